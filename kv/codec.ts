/**
 * Commands as bytes: one encoding for the log, the wire between nodes, and replay.
 *
 * Layout: stamp (8, a float), format (1), op (1), then
 * - `set`, `delete`: flags (1), [ifRevision (8)], [clientId (8), seq (8), lowestPending (8)], key length (2), key (UTF-8),
 *   value (the rest; `set` only);
 * - `register`: ttlMs (8), sessionsMax (8); `expire`: clientIds (8 each, the rest).
 *
 * Integers are big-endian. The stamp is the leader's: it is written when the command is proposed. The format byte
 * changes when an old reader would misread.
 */

import { isUtf8 } from 'node:buffer';
import type { Command, SessionTag, Write } from './command.js';

const FORMAT = 1;
const OPS = { set: 1, delete: 2, register: 3, expire: 4 } as const;
const FLAG_IF_REVISION = 1;
const FLAG_IF_ABSENT = 2;
const FLAG_SESSION = 4;
const STAMP_BYTES = 8;
const HEADER_BYTES = STAMP_BYTES + 2;
const INTEGER_BYTES = 8;
const LENGTH_BYTES = 2;

/** The bytes are no command; whoever sent them is told, and nothing is proposed. */
export class CommandFormatError extends Error {
  override readonly name = 'CommandFormatError';
}

export function encodeCommand(command: Command): Buffer {
  switch (command.op) {
    case 'set':
    case 'delete':
      return encodeWrite(command);
    case 'register':
      return encodeIntegers(OPS.register, [command.ttlMs, command.sessionsMax]);
    case 'expire':
      return encodeIntegers(OPS.expire, command.clientIds);
  }
}

function encodeWrite(command: Write): Buffer {
  const { key, session, ifRevision } = command;
  const value = command.op === 'set' ? command.value : undefined;
  const integers = [
    ...(ifRevision === undefined ? [] : [ifRevision]),
    ...(session === undefined ? [] : [session.clientId, session.seq, session.lowestPending]),
  ];
  const keyBytes = Buffer.byteLength(key);
  const size =
    HEADER_BYTES + 1 + integers.length * INTEGER_BYTES + LENGTH_BYTES + keyBytes + (value?.length ?? 0);
  const out = header(size, OPS[command.op]);
  const ifAbsent = command.op === 'set' && command.ifAbsent === true;
  let at = out.writeUInt8(
    (ifRevision === undefined ? 0 : FLAG_IF_REVISION) |
      (ifAbsent ? FLAG_IF_ABSENT : 0) |
      (session === undefined ? 0 : FLAG_SESSION),
    HEADER_BYTES,
  );
  for (const integer of integers) at = out.writeBigUInt64BE(BigInt(integer), at);
  at = out.writeUInt16BE(keyBytes, at);
  at += out.write(key, at, 'utf8');
  if (value !== undefined) out.set(value, at);
  return out;
}

function encodeIntegers(op: number, integers: readonly number[]): Buffer {
  const out = header(HEADER_BYTES + integers.length * INTEGER_BYTES, op);
  let at = HEADER_BYTES;
  for (const integer of integers) at = out.writeBigUInt64BE(BigInt(integer), at);
  return out;
}

function header(size: number, op: number): Buffer {
  const out = Buffer.allocUnsafe(size);
  out.writeDoubleBE(0, 0);
  out[STAMP_BYTES] = FORMAT;
  out[STAMP_BYTES + 1] = op;
  return out;
}

/** Writes the leader's log time, in ms, into an encoded command. */
export function writeStamp(bytes: Uint8Array, logTimeMs: number): void {
  view(bytes).writeDoubleBE(logTimeMs, 0);
}

/** The log time, in ms, at which the command was proposed. */
export function readStamp(bytes: Uint8Array): number {
  return view(bytes).readDoubleBE(0);
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Throws `CommandFormatError`. A value shares memory with `bytes`. */
export function decodeCommand(bytes: Uint8Array): Command {
  const input = view(bytes);
  try {
    return decode(input);
  } catch (error) {
    if (error instanceof CommandFormatError) throw error;
    throw new CommandFormatError(`a command ends after ${input.length} bytes`);
  }
}

/** Strict: what one version of the program passes by and another one heeds would lead their states apart. */
function decode(input: Buffer): Command {
  const stamp = input.readDoubleBE(0);
  if (!Number.isFinite(stamp) || stamp < 0) throw new CommandFormatError(`${stamp} is no log time`);
  const format = input.readUInt8(STAMP_BYTES);
  if (format !== FORMAT) throw new CommandFormatError(`command format ${format} is not known`);
  const op = input.readUInt8(STAMP_BYTES + 1);
  switch (op) {
    case OPS.set:
    case OPS.delete:
      return decodeWrite(input, op);
    case OPS.register: {
      const [ttlMs, sessionsMax, ...more] = decodeIntegers(input);
      if (ttlMs === undefined || sessionsMax === undefined || more.length > 0)
        throw new CommandFormatError('a registration holds two numbers');
      return { op: 'register', ttlMs, sessionsMax };
    }
    case OPS.expire:
      return { op: 'expire', clientIds: decodeIntegers(input) };
    default:
      throw new CommandFormatError(`command ${op} is not known`);
  }
}

function decodeWrite(input: Buffer, op: number): Write {
  const flags = input.readUInt8(HEADER_BYTES);
  const known = FLAG_IF_REVISION | FLAG_SESSION | (op === OPS.set ? FLAG_IF_ABSENT : 0);
  if ((flags & ~known) !== 0) throw new CommandFormatError(`flags ${flags} are not known for command ${op}`);
  let at = HEADER_BYTES + 1;
  const next = (): number => {
    at += INTEGER_BYTES;
    return safeInteger(input.readBigUInt64BE(at - INTEGER_BYTES));
  };
  const condition = (flags & FLAG_IF_REVISION) === 0 ? {} : { ifRevision: next() };
  const tag: { session?: SessionTag } =
    (flags & FLAG_SESSION) === 0 ? {} : { session: { clientId: next(), seq: next(), lowestPending: next() } };
  const keyEnd = at + LENGTH_BYTES + input.readUInt16BE(at);
  if (keyEnd > input.length) throw new CommandFormatError('a command ends within its key');
  const keyBytes = input.subarray(at + LENGTH_BYTES, keyEnd);
  if (!isUtf8(keyBytes)) throw new CommandFormatError('a key is not UTF-8');
  const key = keyBytes.toString('utf8');
  if (op === OPS.set) {
    const absent = (flags & FLAG_IF_ABSENT) === 0 ? {} : { ifAbsent: true };
    return { op: 'set', key, value: input.subarray(keyEnd), ...condition, ...absent, ...tag };
  }
  if (keyEnd < input.length) throw new CommandFormatError('a delete goes on behind its end');
  return { op: 'delete', key, ...condition, ...tag };
}

function decodeIntegers(input: Buffer): number[] {
  if ((input.length - HEADER_BYTES) % INTEGER_BYTES !== 0)
    throw new CommandFormatError('a command ends within a number');
  const integers: number[] = [];
  for (let at = HEADER_BYTES; at < input.length; at += INTEGER_BYTES) {
    integers.push(safeInteger(input.readBigUInt64BE(at)));
  }
  return integers;
}

function safeInteger(integer: bigint): number {
  if (integer > Number.MAX_SAFE_INTEGER) throw new CommandFormatError(`${integer} is beyond 2^53`);
  return Number(integer);
}
