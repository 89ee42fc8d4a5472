/**
 * Commands as bytes: one encoding for the log, the wire between nodes, and replay.
 *
 * Layout: stamp (8, a float), format (1), op (1), then
 * - `set`, `delete`: flags (1), [ifRevision (8)], [ttlMs (8)], [session (24)], key, value (the rest; `set` only);
 * - `register`: ttlMs (8), sessionsMax (8); `expire-sessions`: clientIds (8 each, the rest);
 * - `expire-keys`: a check each, the rest;
 * - `txn`: flags (1), [session (24)], number of checks (2), checks, operations (the rest): kind (1), [flags (1), [ttlMs (8)]], key, [length of
 *   the value (4), value], what is in brackets for a `set` only;
 * - `trim-history`: bytes (8), revisions (8 each, the rest);
 * - `delete-prefix`: flags (1), [session (24)], prefix, as a key;
 * - `mark`: nothing; `attest`: index (8), chain (8), the node's id, as a key.
 *
 * A session is clientId (8), seq (8), lowestPending (8); a key its length (2) and its UTF-8; a check its revision (8) and key. Integers are
 * big-endian. The stamp is the leader's: it is written when the command is proposed. The format byte changes when an
 * old reader would misread. Writes may share one entry of the log (`shared.ts`).
 */

import type { Command, DeletePrefixCommand, SessionTag, TxnCommand, TxnOp, Write } from './command.js';
import { EXPIRE_KEYS_MAX, TRIM_REVISIONS_MAX, TTL_MS_MAX, TXN_CHECKS_MAX, TXN_OPS_MAX } from './command.js';
import { CommandFormatError, Cursor } from './cursor.js';
import { INTEGER_BYTES, writeInteger } from './integers.js';

const FORMAT = 1;
const OPS = {
  set: 1,
  delete: 2,
  register: 3,
  'expire-sessions': 4,
  'expire-keys': 5,
  txn: 6,
  'delete-prefix': 7,
  mark: 9,
  attest: 10,
  shared: 11,
  // 8 was one that did not say how many bytes.
  'trim-history': 12,
} as const;
const TXN_OPS = { set: 1, delete: 2, get: 3 } as const;
const FLAG_IF_REVISION = 1;
const FLAG_IF_ABSENT = 2;
const FLAG_SESSION = 4;
const FLAG_TTL = 8;
const FLAG_IF_PRESENT = 16;
/** What comes before the format. */
export const STAMP_BYTES = 8;
/** What every command begins with. */
export const HEADER_BYTES = STAMP_BYTES + 2;
const LENGTH_BYTES = 2;
const CHAIN_BYTES = 8;

/** The `op` byte of an entry that several commands share. */
export const SHARED_OP = OPS.shared;

export function encodeCommand(command: Command): Buffer {
  switch (command.op) {
    case 'set':
    case 'delete':
      return encodeWrite(command);
    case 'txn':
      return encodeTxn(command);
    case 'delete-prefix':
      return Buffer.concat([
        header(HEADER_BYTES, OPS[command.op]),
        ...sessionPart(command),
        text(command.prefix),
      ]);
    case 'register':
      return Buffer.concat([
        header(HEADER_BYTES, OPS.register),
        integers(command.ttlMs, command.sessionsMax),
      ]);
    case 'expire-sessions':
      return Buffer.concat([header(HEADER_BYTES, OPS[command.op]), integers(...command.clientIds)]);
    case 'trim-history':
      return Buffer.concat([
        header(HEADER_BYTES, OPS[command.op]),
        integers(command.bytes, ...command.revisions),
      ]);
    case 'mark':
      return header(HEADER_BYTES, OPS.mark);
    case 'attest': {
      const chain = Buffer.from(command.chain, 'hex');
      return Buffer.concat([
        header(HEADER_BYTES, OPS.attest),
        integers(command.index),
        chain,
        text(command.node),
      ]);
    }
    case 'expire-keys': {
      const keys = command.keys.flatMap(({ key, revision }) => [integers(revision), text(key)]);
      return Buffer.concat([header(HEADER_BYTES, OPS[command.op]), ...keys]);
    }
  }
}

/** By hand, in one buffer: nearly all commands are writes. */
function encodeWrite(command: Write): Buffer {
  const { key, session, ifRevision } = command;
  const value = command.op === 'set' ? command.value : undefined;
  const ttlMs = command.op === 'set' ? command.ttlMs : undefined;
  const numbers = [
    ...(ifRevision === undefined ? [] : [ifRevision]),
    ...(ttlMs === undefined ? [] : [ttlMs]),
    ...(session === undefined ? [] : [session.clientId, session.seq, session.lowestPending]),
  ];
  const keyBytes = Buffer.byteLength(key);
  const size =
    HEADER_BYTES + 1 + numbers.length * INTEGER_BYTES + LENGTH_BYTES + keyBytes + (value?.length ?? 0);
  const out = header(size, OPS[command.op]);
  const ifAbsent = command.op === 'set' && command.ifAbsent === true;
  let at = out.writeUInt8(
    (ifRevision === undefined ? 0 : FLAG_IF_REVISION) |
      (ifAbsent ? FLAG_IF_ABSENT : 0) |
      (command.ifPresent === true ? FLAG_IF_PRESENT : 0) |
      (session === undefined ? 0 : FLAG_SESSION) |
      (ttlMs === undefined ? 0 : FLAG_TTL),
    HEADER_BYTES,
  );
  for (const number of numbers) at = writeInteger(out, number, at);
  at = out.writeUInt16BE(keyBytes, at);
  at += out.write(key, at, 'utf8');
  if (value !== undefined) out.set(value, at);
  return out;
}

function encodeTxn(command: TxnCommand): Buffer {
  const checks = command.checks.flatMap(({ key, revision }) => [integers(revision), text(key)]);
  return Buffer.concat([
    header(HEADER_BYTES, OPS.txn),
    ...sessionPart(command),
    uint16(command.checks.length),
    ...checks,
    ...command.ops.flatMap(encodeTxnOp),
  ]);
}

function encodeTxnOp(op: TxnOp): Uint8Array[] {
  const kind = Buffer.from([TXN_OPS[op.op]]);
  if (op.op !== 'set') return [kind, text(op.key)];
  const { key, value, ttlMs } = op;
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(value.length, 0);
  const ttl = ttlMs === undefined ? [Buffer.from([0])] : [Buffer.from([FLAG_TTL]), integers(ttlMs)];
  return [kind, ...ttl, text(key), length, value];
}

function sessionPart({ session }: { readonly session?: SessionTag }): Buffer[] {
  if (session === undefined) return [Buffer.from([0])];
  return [Buffer.from([FLAG_SESSION]), integers(session.clientId, session.seq, session.lowestPending)];
}

function text(key: string): Buffer {
  const out = Buffer.allocUnsafe(LENGTH_BYTES + Buffer.byteLength(key));
  out.write(key, out.writeUInt16BE(out.length - LENGTH_BYTES, 0), 'utf8');
  return out;
}

function integers(...values: readonly number[]): Buffer {
  const out = Buffer.allocUnsafe(values.length * INTEGER_BYTES);
  values.forEach((value, at) => writeInteger(out, value, at * INTEGER_BYTES));
  return out;
}

function uint16(value: number): Buffer {
  const out = Buffer.allocUnsafe(2);
  out.writeUInt16BE(value, 0);
  return out;
}

/** A buffer of `size` bytes, of which the header is written. */
export function header(size: number, op: number): Buffer {
  const out = Buffer.allocUnsafe(size);
  out.writeDoubleBE(0, 0);
  out[STAMP_BYTES] = FORMAT;
  out[STAMP_BYTES + 1] = op;
  return out;
}

/** Whether the `op` byte is that of a write of one key. */
export function isWriteOp(op: number | undefined): op is number {
  return op === OPS.set || op === OPS.delete;
}

/** The key of an encoded write, as latin1 text of its bytes; undefined for any other command. Only of what `encodeCommand` gave. */
export function keyIdOf(command: Uint8Array): string | undefined {
  if (!isWriteOp(command[STAMP_BYTES + 1])) return undefined;
  const bytes = view(command);
  const flags = bytes.readUInt8(HEADER_BYTES);
  const integers =
    ((flags & FLAG_IF_REVISION) === 0 ? 0 : 1) +
    ((flags & FLAG_TTL) === 0 ? 0 : 1) +
    ((flags & FLAG_SESSION) === 0 ? 0 : 3);
  const at = HEADER_BYTES + 1 + integers * INTEGER_BYTES;
  return bytes.toString('latin1', at + LENGTH_BYTES, at + LENGTH_BYTES + bytes.readUInt16BE(at));
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
  return decoded(bytes, (input, op) => decodeBody(input, op));
}

/** As `decodeCommand`, for what `decode` makes of the bytes behind the header. */
export function decoded<T>(bytes: Uint8Array, decode: (input: Buffer, op: number) => T): T {
  const input = view(bytes);
  try {
    const stamp = input.readDoubleBE(0);
    if (!Number.isFinite(stamp) || stamp < 0) throw new CommandFormatError(`${stamp} is no log time`);
    const format = input.readUInt8(STAMP_BYTES);
    if (format !== FORMAT) throw new CommandFormatError(`command format ${format} is not known`);
    return decode(input, input.readUInt8(STAMP_BYTES + 1));
  } catch (error) {
    if (error instanceof CommandFormatError) throw error;
    throw new CommandFormatError(`a command ends after ${input.length} bytes`);
  }
}

/** Strict: what one version of the program passes by and another one heeds would lead their states apart. */
function decodeBody(input: Buffer, op: number): Command {
  const cursor = new Cursor(input, HEADER_BYTES);
  switch (op) {
    case OPS.set:
    case OPS.delete:
      return decodeWrite(cursor, op);
    case OPS.register: {
      const command = { op: 'register', ttlMs: cursor.integer(), sessionsMax: cursor.integer() } as const;
      cursor.end('a registration');
      return command;
    }
    case OPS['expire-sessions']: {
      const clientIds: number[] = [];
      while (cursor.left > 0) clientIds.push(cursor.integer());
      return { op: 'expire-sessions', clientIds };
    }
    case OPS['expire-keys']: {
      const keys: { key: string; revision: number }[] = [];
      while (cursor.left > 0) keys.push(check(cursor));
      if (keys.length > EXPIRE_KEYS_MAX) throw new CommandFormatError(`${keys.length} keys expire at once`);
      return { op: 'expire-keys', keys };
    }
    case OPS['trim-history']: {
      const bytes = cursor.integer();
      const revisions: number[] = [];
      while (cursor.left > 0) revisions.push(cursor.integer());
      if (revisions.length > TRIM_REVISIONS_MAX)
        throw new CommandFormatError(`${revisions.length} revisions are trimmed at once`);
      return { op: 'trim-history', revisions, bytes };
    }
    case OPS.mark:
      cursor.end('a mark');
      return { op: 'mark' };
    case OPS.attest: {
      const index = cursor.integer();
      const chain = cursor.bytes(CHAIN_BYTES).toString('hex');
      const command = { op: 'attest', node: cursor.key(), index, chain } as const;
      cursor.end('an attestation');
      return command;
    }
    case OPS.txn:
      return decodeTxn(cursor);
    case OPS['delete-prefix']:
      return decodeDeletePrefix(cursor);
    default:
      throw new CommandFormatError(`command ${op} is not known`);
  }
}

/** What comes behind the header of a write. */
export function decodeWrite(cursor: Cursor, op: number): Write {
  const flags = cursor.flags(
    FLAG_IF_REVISION | FLAG_IF_PRESENT | FLAG_SESSION | (op === OPS.set ? FLAG_IF_ABSENT | FLAG_TTL : 0),
  );
  const revision = (flags & FLAG_IF_REVISION) === 0 ? {} : { ifRevision: cursor.integer() };
  const present = (flags & FLAG_IF_PRESENT) === 0 ? {} : { ifPresent: true };
  const condition = { ...revision, ...present };
  const time = ttl(cursor, flags);
  const tag = session(cursor, flags);
  const key = cursor.key();
  if (op === OPS.set) {
    const absent = (flags & FLAG_IF_ABSENT) === 0 ? {} : { ifAbsent: true };
    return { op: 'set', key, value: cursor.rest(), ...time, ...condition, ...absent, ...tag };
  }
  cursor.end('a delete');
  return { op: 'delete', key, ...condition, ...tag };
}

function decodeTxn(cursor: Cursor): TxnCommand {
  const tag = session(cursor, cursor.flags(FLAG_SESSION));
  const checkCount = cursor.uint16();
  if (checkCount > TXN_CHECKS_MAX) throw new CommandFormatError(`a transaction has ${checkCount} checks`);
  const checks = Array.from({ length: checkCount }, () => check(cursor));
  const ops: TxnOp[] = [];
  while (cursor.left > 0) {
    if (ops.length === TXN_OPS_MAX) throw new CommandFormatError('a transaction has too many operations');
    ops.push(decodeTxnOp(cursor));
  }
  return { op: 'txn', checks, ops, ...tag };
}

function decodeTxnOp(cursor: Cursor): TxnOp {
  const kind = cursor.uint8();
  switch (kind) {
    case TXN_OPS.set: {
      const time = ttl(cursor, cursor.flags(FLAG_TTL));
      const key = cursor.key();
      return { op: 'set', key, value: cursor.bytes(cursor.uint32()), ...time };
    }
    case TXN_OPS.delete:
      return { op: 'delete', key: cursor.key() };
    case TXN_OPS.get:
      return { op: 'get', key: cursor.key() };
    default:
      throw new CommandFormatError(`operation ${kind} of a transaction is not known`);
  }
}

function decodeDeletePrefix(cursor: Cursor): DeletePrefixCommand {
  const tag = session(cursor, cursor.flags(FLAG_SESSION));
  const prefix = cursor.key();
  cursor.end('a delete of a prefix');
  return { op: 'delete-prefix', prefix, ...tag };
}

function check(cursor: Cursor): { key: string; revision: number } {
  const revision = cursor.integer();
  return { key: cursor.key(), revision };
}

function ttl(cursor: Cursor, flags: number): { readonly ttlMs?: number } {
  if ((flags & FLAG_TTL) === 0) return {};
  const ttlMs = cursor.integer();
  if (ttlMs < 1 || ttlMs > TTL_MS_MAX) throw new CommandFormatError(`${ttlMs} is no time to live`);
  return { ttlMs };
}

function session(cursor: Cursor, flags: number): { readonly session?: SessionTag } {
  if ((flags & FLAG_SESSION) === 0) return {};
  const [clientId, seq, lowestPending] = [cursor.integer(), cursor.integer(), cursor.integer()];
  return { session: { clientId, seq, lowestPending } };
}
