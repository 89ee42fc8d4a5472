/**
 * How records look on disk. Every one of them carries its own checksum, because the engine's are not enough: an
 * iterator of RocksDB returns what it finds in a damaged block (`docs/decisions/0003`).
 *
 * A sealed record is `[crc32: 4 bytes][body]`, the checksum taken over the key's length, the key and the body. So a
 * record that turns up under another key than it was written to does not check either. Numbers are big-endian.
 */

import { crc32 } from 'node:zlib';
import type { Configuration } from '../membership/configuration.js';
import { decodeConfiguration } from '../membership/configuration.js';
import type { Entry, EntryType, HardState, Index, Position } from '../raft/entry.js';
import { StorageError } from './errors.js';
import type { Applied } from './state-store.js';
import type { Mark } from './watermark.js';

const CRC_BYTES = 4;
const UINT64_BYTES = 8;
/** Term and type. The index stands in the key, which the checksum covers. */
const ENTRY_HEADER_BYTES = UINT64_BYTES + 1;
/** Term, commit, and whether there is a vote. */
const HARD_STATE_HEADER_BYTES = 2 * UINT64_BYTES + 1;
/** Sequence, term, index and term of the last entry, whether there is a vote, and the length of it. */
const MARK_HEADER_BYTES = 4 * UINT64_BYTES + 2;
/** Index, term, index of the configuration. */
const APPLIED_HEADER_BYTES = 3 * UINT64_BYTES;

/** Stable on disk: a number is never given another meaning. */
const TYPE_CODES: Readonly<Record<EntryType, number>> = { command: 1, noop: 2, configuration: 3 };
const TYPES = new Map<number, EntryType>([
  [TYPE_CODES.command, 'command'],
  [TYPE_CODES.noop, 'noop'],
  [TYPE_CODES.configuration, 'configuration'],
]);

/** Nothing changes no sum. `crc32` itself says 0 of an empty array that has no memory. */
function addTo(sum: number, bytes: Uint8Array): number {
  return bytes.length === 0 ? sum : crc32(bytes, sum);
}

/** Seeded with the key's length, so that no byte can move between key and body unseen. */
function keySum(key: Uint8Array): number {
  return addTo(key.length, key);
}

/** Puts the checksum before the parts of a body. The result is a copy. */
export function seal(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  let length = CRC_BYTES;
  for (const part of parts) length += part.length;
  const record = Buffer.allocUnsafe(length);
  let at = CRC_BYTES;
  let sum = keySum(key);
  for (const part of parts) {
    record.set(part, at);
    at += part.length;
    sum = addTo(sum, part);
  }
  record.writeUInt32BE(sum, 0);
  return record;
}

/**
 * Checks a sealed record and gives its body, a view into `record`.
 *
 * @param what names the record in the error, or gives its name.
 * @throws StorageError `damaged`
 */
export function unseal(what: string | (() => string), key: Uint8Array, record: Buffer): Buffer {
  const name = (): string => (typeof what === 'string' ? what : what());
  if (record.length < CRC_BYTES) throw damaged(name(), `only ${record.length} bytes are left of it`);
  const body = record.subarray(CRC_BYTES);
  if (record.readUInt32BE(0) !== addTo(keySum(key), body))
    throw damaged(name(), 'its checksum does not match');
  return body;
}

/** An error that says which record is damaged, and how. */
export function damaged(what: string, how: string, cause?: unknown): StorageError {
  return new StorageError('damaged', `${what} is damaged: ${how}`, cause);
}

function readSafeInteger(what: string, body: Buffer, offset: number): number {
  const number = Number(body.readBigUInt64BE(offset));
  if (!Number.isSafeInteger(number)) throw damaged(what, `it holds the number ${number}`);
  return number;
}

/** `number` must be a safe integer, not negative; anything else throws a RangeError. */
export function writeSafeInteger(target: Buffer, number: number, offset: number): void {
  if (!Number.isSafeInteger(number) || number < 0) {
    throw new RangeError(`${number} is not a whole number that can be stored`);
  }
  target.writeBigUInt64BE(BigInt(number), offset);
}

export function encodeEntry(key: Uint8Array, entry: Entry): Buffer {
  const header = Buffer.allocUnsafe(ENTRY_HEADER_BYTES);
  writeSafeInteger(header, entry.term, 0);
  header.writeUInt8(TYPE_CODES[entry.type], UINT64_BYTES);
  return seal(key, header, entry.data);
}

/** @throws StorageError `damaged` */
export function decodeEntry(index: Index, key: Uint8Array, record: Buffer): Entry {
  const what = `log entry ${index}`;
  const body = unseal(what, key, record);
  if (body.length < ENTRY_HEADER_BYTES) throw damaged(what, 'it is too short');
  const code = body.readUInt8(UINT64_BYTES);
  const type = TYPES.get(code);
  if (type === undefined) throw damaged(what, `its type ${code} is unknown`);
  return { index, term: readSafeInteger(what, body, 0), type, data: body.subarray(ENTRY_HEADER_BYTES) };
}

export function encodeHardState(key: Uint8Array, hardState: HardState): Buffer {
  const header = Buffer.allocUnsafe(HARD_STATE_HEADER_BYTES);
  writeSafeInteger(header, hardState.term, 0);
  writeSafeInteger(header, hardState.commit, UINT64_BYTES);
  header.writeUInt8(hardState.vote === undefined ? 0 : 1, 2 * UINT64_BYTES);
  return seal(key, header, Buffer.from(hardState.vote ?? '', 'utf8'));
}

/** @throws StorageError `damaged` */
export function decodeHardState(key: Uint8Array, record: Buffer): HardState {
  const what = 'the record of term and vote';
  const body = unseal(what, key, record);
  if (body.length < HARD_STATE_HEADER_BYTES) throw damaged(what, 'it is too short');
  const voted = body.readUInt8(2 * UINT64_BYTES) === 1;
  return {
    term: readSafeInteger(what, body, 0),
    vote: voted ? body.toString('utf8', HARD_STATE_HEADER_BYTES) : undefined,
    commit: readSafeInteger(what, body, UINT64_BYTES),
  };
}

/** Its own length is in it, so that anything may follow. @throws RangeError for a vote of more than 255 bytes. */
export function encodeMark(key: Uint8Array, mark: Mark, sequence: number): Buffer {
  const header = Buffer.allocUnsafe(MARK_HEADER_BYTES);
  const vote = Buffer.from(mark.vote ?? '', 'utf8');
  writeSafeInteger(header, sequence, 0);
  writeSafeInteger(header, mark.term, UINT64_BYTES);
  writeSafeInteger(header, mark.last.index, 2 * UINT64_BYTES);
  writeSafeInteger(header, mark.last.term, 3 * UINT64_BYTES);
  header.writeUInt8(mark.vote === undefined ? 0 : 1, 4 * UINT64_BYTES);
  header.writeUInt8(vote.length, 4 * UINT64_BYTES + 1);
  return seal(key, header, vote);
}

/** @throws StorageError `damaged` */
export function decodeMark(key: Uint8Array, bytes: Buffer): { mark: Mark; sequence: number } {
  const what = 'the watermark';
  const headerEnd = CRC_BYTES + MARK_HEADER_BYTES;
  if (bytes.length < headerEnd) throw damaged(what, 'it is too short');
  const end = headerEnd + bytes.readUInt8(headerEnd - 1);
  const body = unseal(what, key, bytes.subarray(0, end));
  const voted = body.readUInt8(4 * UINT64_BYTES) === 1;
  const mark: Mark = {
    term: readSafeInteger(what, body, UINT64_BYTES),
    vote: voted ? body.toString('utf8', MARK_HEADER_BYTES) : undefined,
    last: {
      index: readSafeInteger(what, body, 2 * UINT64_BYTES),
      term: readSafeInteger(what, body, 3 * UINT64_BYTES),
    },
  };
  return { mark, sequence: readSafeInteger(what, body, 0) };
}

export function encodePosition(key: Uint8Array, { index, term }: Position): Buffer {
  const body = Buffer.allocUnsafe(2 * UINT64_BYTES);
  writeSafeInteger(body, index, 0);
  writeSafeInteger(body, term, UINT64_BYTES);
  return seal(key, body);
}

/** @throws StorageError `damaged` */
export function decodePosition(what: string, key: Uint8Array, record: Buffer): Position {
  const body = unseal(what, key, record);
  if (body.length !== 2 * UINT64_BYTES) throw damaged(what, 'it has another length');
  return { index: readSafeInteger(what, body, 0), term: readSafeInteger(what, body, UINT64_BYTES) };
}

export function encodeApplied(key: Uint8Array, applied: Applied): Buffer {
  const header = Buffer.allocUnsafe(APPLIED_HEADER_BYTES);
  writeSafeInteger(header, applied.index, 0);
  writeSafeInteger(header, applied.term, UINT64_BYTES);
  writeSafeInteger(header, applied.configurationIndex, 2 * UINT64_BYTES);
  const json = applied.configuration === undefined ? '' : JSON.stringify(applied.configuration);
  return seal(key, header, Buffer.from(json, 'utf8'));
}

/**
 * @param what names the record in the error.
 * @throws StorageError `damaged`
 */
export function decodeApplied(
  key: Uint8Array,
  record: Buffer,
  what = 'the record of the applied position',
): Applied {
  const body = unseal(what, key, record);
  if (body.length < APPLIED_HEADER_BYTES) throw damaged(what, 'it is too short');
  return {
    index: readSafeInteger(what, body, 0),
    term: readSafeInteger(what, body, UINT64_BYTES),
    configuration: configurationIn(what, body.subarray(APPLIED_HEADER_BYTES)),
    configurationIndex: readSafeInteger(what, body, 2 * UINT64_BYTES),
  };
}

function configurationIn(what: string, bytes: Uint8Array): Configuration | undefined {
  if (bytes.length === 0) return undefined;
  try {
    return decodeConfiguration(bytes);
  } catch (error) {
    throw damaged(what, 'the configuration in it cannot be read', error);
  }
}
