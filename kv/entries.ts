/** The keys in the state: the one place where they come, change and go, with all that is kept along with them. */

import {
  DATA_BYTES_ROW,
  KEY_COUNT_ROW,
  decodeHeader,
  encodeCount,
  encodeValue,
  expiryRow,
  keyBytesIn,
  keyRow,
} from './rows.js';
import type { Row, ValueHeader } from './rows.js';
import type { WorkingSet } from './working-set.js';

/** Undefined where there is no such key. */
export function headerOfKey(set: WorkingSet, key: string): ValueHeader | undefined {
  return headerIn(set, keyRow(key));
}

function headerIn(set: WorkingSet, row: Row): ValueHeader | undefined {
  const record = set.get(row);
  return record === undefined ? undefined : decodeHeader(record);
}

/** 0 where there is no such key. */
export function revisionOfKey(set: WorkingSet, key: string): number {
  return headerOfKey(set, key)?.revision ?? 0;
}

export interface NewEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
  /** 0: it does not expire. */
  readonly deadlineMs: number;
}

/** Whatever deadline the key had is gone. */
export function putEntry(set: WorkingSet, { key, value, revision, deadlineMs }: NewEntry): void {
  const row = keyRow(key);
  const before = headerIn(set, row);
  if (before !== undefined && before.deadlineMs > 0) set.delete(expiryRow(before.deadlineMs, key));
  set.put(row, encodeValue(revision, value, deadlineMs));
  if (deadlineMs > 0) set.put(expiryRow(deadlineMs, key), encodeCount(revision));
  if (before === undefined) set.count(KEY_COUNT_ROW, 1);
  set.note({ kind: 'put', key, value });
  set.count(DATA_BYTES_ROW, value.length - (before?.valueBytes ?? -keyBytesIn(row)));
}

/** Whether there was such a key. */
export function removeEntry(set: WorkingSet, key: string, kind: 'delete' | 'expired' = 'delete'): boolean {
  const row = keyRow(key);
  const before = headerIn(set, row);
  if (before === undefined) return false;
  set.delete(row);
  if (before.deadlineMs > 0) set.delete(expiryRow(before.deadlineMs, key));
  set.note({ kind, key });
  set.count(KEY_COUNT_ROW, -1);
  set.count(DATA_BYTES_ROW, -(keyBytesIn(row) + before.valueBytes));
  return true;
}

/** The log time at which what is written now is to go; 0: never. */
export function deadlineOf(ttlMs: number | undefined, logTimeMs: number): number {
  return ttlMs === undefined ? 0 : logTimeMs + ttlMs;
}

/** How long the key has left, in whole ms; undefined: it does not expire. 0: it is about to go. */
export function ttlLeftMs(deadlineMs: number, logTimeMs: number): number | undefined {
  return deadlineMs === 0 ? undefined : Math.max(0, Math.ceil(deadlineMs - logTimeMs));
}
