/**
 * Commands as bytes: one encoding for the log, the wire between nodes, and replay.
 *
 * Layout: format (1), op (1), flags (1), [ifRevision (8)], key length (2), key (UTF-8), value (the rest; `set` only).
 * Integers are big-endian. The format byte changes when an old reader would misread; see docs/ARCHITECTURE.md.
 */

import { isUtf8 } from 'node:buffer';
import type { Command } from './command.js';

const FORMAT = 1;
const OP_SET = 1;
const OP_DELETE = 2;
const FLAG_IF_REVISION = 1;
const FLAG_IF_ABSENT = 2;
const HEADER_BYTES = 3;
const REVISION_BYTES = 8;
const LENGTH_BYTES = 2;

/** The bytes are no command; whoever sent them is told, and nothing is proposed. */
export class CommandFormatError extends Error {
  override readonly name = 'CommandFormatError';
}

export function encodeCommand(command: Command): Buffer {
  const keyBytes = Buffer.byteLength(command.key);
  const value = command.op === 'set' ? command.value : undefined;
  const hasRevision = command.ifRevision !== undefined;
  const revisionBytes = hasRevision ? REVISION_BYTES : 0;
  const size = HEADER_BYTES + revisionBytes + LENGTH_BYTES + keyBytes + (value?.length ?? 0);
  const out = Buffer.allocUnsafe(size);
  const ifAbsent = command.op === 'set' && command.ifAbsent === true;
  out[0] = FORMAT;
  out[1] = command.op === 'set' ? OP_SET : OP_DELETE;
  out[2] = (hasRevision ? FLAG_IF_REVISION : 0) | (ifAbsent ? FLAG_IF_ABSENT : 0);
  let at = HEADER_BYTES;
  if (hasRevision) at = out.writeBigUInt64BE(BigInt(command.ifRevision), at);
  at = out.writeUInt16BE(keyBytes, at);
  at += out.write(command.key, at, 'utf8');
  if (value !== undefined) out.set(value, at);
  return out;
}

/** Throws `CommandFormatError`. The value shares memory with `bytes`. */
export function decodeCommand(bytes: Uint8Array): Command {
  const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return decode(input);
  } catch (error) {
    if (error instanceof CommandFormatError) throw error;
    throw new CommandFormatError(`a command ends after ${input.length} bytes`);
  }
}

/** Strict: what one version of the program passes by and another one heeds would lead their states apart. */
function decode(input: Buffer): Command {
  if (input.readUInt8(0) !== FORMAT)
    throw new CommandFormatError(`command format ${input.readUInt8(0)} is not known`);
  const op = input.readUInt8(1);
  if (op !== OP_SET && op !== OP_DELETE) throw new CommandFormatError(`command ${op} is not known`);
  const flags = input.readUInt8(2);
  const known = op === OP_SET ? FLAG_IF_REVISION | FLAG_IF_ABSENT : FLAG_IF_REVISION;
  if ((flags & ~known) !== 0) throw new CommandFormatError(`flags ${flags} are not known for command ${op}`);
  let at = HEADER_BYTES;
  let condition: { ifRevision?: number } = {};
  if ((flags & FLAG_IF_REVISION) !== 0) {
    condition = { ifRevision: safeRevision(input.readBigUInt64BE(at)) };
    at += REVISION_BYTES;
  }
  const keyEnd = at + LENGTH_BYTES + input.readUInt16BE(at);
  if (keyEnd > input.length) throw new CommandFormatError('a command ends within its key');
  const keyBytes = input.subarray(at + LENGTH_BYTES, keyEnd);
  if (!isUtf8(keyBytes)) throw new CommandFormatError('a key is not UTF-8');
  const key = keyBytes.toString('utf8');
  if (op === OP_SET) {
    const absent = (flags & FLAG_IF_ABSENT) === 0 ? {} : { ifAbsent: true };
    return { op: 'set', key, value: input.subarray(keyEnd), ...condition, ...absent };
  }
  if (keyEnd < input.length) throw new CommandFormatError('a delete goes on behind its end');
  return { op: 'delete', key, ...condition };
}

function safeRevision(revision: bigint): number {
  if (revision > Number.MAX_SAFE_INTEGER) throw new CommandFormatError(`${revision} is no revision`);
  return Number(revision);
}
