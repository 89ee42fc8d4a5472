/**
 * Where each record stands. A key's first byte says what it is; the rest orders records of a kind. Both layouts
 * belong to the format version in the identity file: a change here raises it.
 */

import type { Index } from '../raft/entry.js';
import { writeSafeInteger } from './records.js';
import type { RowKey } from './state-store.js';

const ENTRY_PREFIX = 0x65; // 'e'
const ROW_PREFIX = 0x72; // 'r'
const ENTRY_KEY_BYTES = 9;

/** In the log: term, vote and commit. */
export const HARD_STATE_KEY: Buffer = Buffer.from('h');

/** In the log: the position that it begins behind; absent for `ORIGIN`. Before every entry in the order of keys. */
export const BASE_KEY: Buffer = Buffer.from('b');

/** In the log: up to which index entries that are not the log's any more have been removed. */
export const REMOVED_KEY: Buffer = Buffer.from('c');

/** In the state: how far it has come. */
export const APPLIED_KEY: Buffer = Buffer.from('a');

/** True for a row of the state, whatever its caller's key. */
export function isRowKey(key: Buffer): boolean {
  return key[0] === ROW_PREFIX;
}

/** The first key behind every row of the state. */
export const ROWS_END: Buffer = Buffer.of(ROW_PREFIX + 1);

/** In the log: one entry. Big-endian, so that the order of the bytes is the order of the indexes. */
export function entryKey(index: Index): Buffer {
  const key = Buffer.allocUnsafe(ENTRY_KEY_BYTES);
  key.writeUInt8(ENTRY_PREFIX, 0);
  writeSafeInteger(key, index, 1);
  return key;
}

/** The index that a key of the log stands for; undefined when it is not the key of an entry. */
export function indexOfEntryKey(key: Buffer): Index | undefined {
  if (key.length !== ENTRY_KEY_BYTES || key.readUInt8(0) !== ENTRY_PREFIX) return undefined;
  const index = Number(key.readBigUInt64BE(1));
  return Number.isSafeInteger(index) ? index : undefined;
}

/** In the state: one row. Any bytes may be a caller's key, none at all too; the prefix keeps them off the other records. */
export function rowKey(userKey: RowKey): Buffer {
  const key = Buffer.allocUnsafe(1 + userKey.length);
  key[0] = ROW_PREFIX;
  key.write(userKey, 1, 'latin1');
  return key;
}

/** The caller's key of a row. */
export function userKeyOf(key: Buffer): RowKey {
  return key.toString('latin1', 1);
}
