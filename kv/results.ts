/**
 * The results of updates as bytes, as sessions keep them. Status (1), then
 * - of a write: a revision (8); of a prefix delete: revision (8), keys (8);
 * - of a transaction: revision (8), and for each operation its status (1) and, of `got`, revision (8), ttlMs (8, a float; -1: none), length of
 *   the value (4), value; of failed checks: their positions (2 each).
 */

import type { TxnOpResult, UpdateResult } from './command.js';
import { INTEGER_BYTES, readInteger, writeInteger } from './integers.js';

const STATUSES = [
  'set',
  'deleted',
  'not-found',
  'revision-mismatch',
  'txn',
  'check-failed',
  'too-large',
  'prefix-deleted',
] as const;
const OP_STATUSES = ['set', 'deleted', 'not-found', 'missing', 'got'] as const;
const NO_TTL = -1;

/** With `room` bytes in front that the caller fills. */
export function encodeResult(result: UpdateResult, room: number): Buffer {
  switch (result.status) {
    case 'set':
    case 'deleted':
    case 'not-found':
      return numbered(result.status, room, result.revision);
    case 'revision-mismatch':
      return numbered(result.status, room, result.currentRevision);
    case 'prefix-deleted':
      return numbered(result.status, room, result.revision, result.deleted);
    case 'check-failed':
      return Buffer.concat([numbered(result.status, room), ...result.failed.map(position)]);
    case 'too-large':
      return numbered(result.status, room);
    case 'txn':
      return Buffer.concat([
        numbered(result.status, room, result.revision),
        ...result.results.flatMap(encodeOp),
      ]);
  }
}

function numbered(status: UpdateResult['status'], room: number, ...numbers: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(room + 1 + numbers.length * INTEGER_BYTES);
  let at = bytes.writeUInt8(STATUSES.indexOf(status), room);
  for (const number of numbers) at = writeInteger(bytes, number, at);
  return bytes;
}

function encodeOp(result: TxnOpResult): Buffer[] {
  const status = Buffer.from([OP_STATUSES.indexOf(result.status)]);
  if (result.status !== 'got') return [status];
  const { revision, ttlMs = NO_TTL, value } = result;
  const rest = Buffer.allocUnsafe(12);
  rest.writeDoubleBE(ttlMs, 0);
  rest.writeUInt32BE(value.length, 8);
  return [status, integer(revision), rest, value];
}

/** What `encodeResult` gave; throws for anything else. Values share memory with `bytes`. */
export function decodeResult(bytes: Buffer): UpdateResult {
  const status = STATUSES[bytes.readUInt8(0)];
  const number = (at: number): number => readInteger(bytes, at);
  switch (status) {
    case 'set':
    case 'deleted':
    case 'not-found':
      return { status, revision: number(1) };
    case 'revision-mismatch':
      return { status, currentRevision: number(1) };
    case 'prefix-deleted':
      return { status, revision: number(1), deleted: number(9) };
    case 'check-failed': {
      const failed: number[] = [];
      for (let at = 1; at < bytes.length; at += 2) failed.push(bytes.readUInt16BE(at));
      return { status, failed };
    }
    case 'too-large':
      return { status };
    case 'txn':
      return { status, revision: number(1), results: decodeOps(bytes, 9) };
    default:
      throw new Error('a kept result has no status');
  }
}

function decodeOps(bytes: Buffer, start: number): TxnOpResult[] {
  const results: TxnOpResult[] = [];
  let at = start;
  while (at < bytes.length) {
    const status = OP_STATUSES[bytes.readUInt8(at)];
    at += 1;
    if (status === undefined) throw new Error('a kept result of an operation has no status');
    if (status !== 'got') {
      results.push({ status });
      continue;
    }
    const revision = readInteger(bytes, at);
    const ttlMs = bytes.readDoubleBE(at + 8);
    const end = at + 20 + bytes.readUInt32BE(at + 16);
    const value = bytes.subarray(at + 20, end);
    results.push({ status, revision, value, ...(ttlMs !== NO_TTL && { ttlMs }) });
    at = end;
  }
  return results;
}

function integer(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(INTEGER_BYTES);
  writeInteger(bytes, value, 0);
  return bytes;
}

function position(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value, 0);
  return bytes;
}
