/** What one database of a state holds: a sealed record a row, and one for the applied position, which is part of every batch. */

import { StorageError } from '../errors.js';
import { APPLIED_KEY, ROWS_END, isRowKey, rowKey, userKeyOf } from '../keys.js';
import { lowerBound, page, upperBound } from '../range.js';
import { damaged, decodeApplied, encodeApplied, seal, unseal } from '../records.js';
import type { Applied, Range, RowKey, Scan, StateBatch, StateRow } from '../state-store.js';
import { NOTHING_APPLIED } from '../state-store.js';
import type { Cursor, FoundRow } from '../cursor.js';
import type { Database, Rows } from '../database.js';
import type { Operation } from '../engine.js';

const READ_AHEAD_BYTES = 64 * 1024;
/** All that is read ahead is handed on within one turn of the event loop, so this bounds how long a view holds it: under a millisecond. */
const VIEW_READ_AHEAD_BYTES = 64 * 1024;

export function recoverApplied(database: Database, done: (applied: Applied) => void): void {
  database.getMany([APPLIED_KEY], ([record]) => {
    if (record !== undefined) {
      check(database, () => decodeApplied(APPLIED_KEY, record), done);
      return;
    }
    const visit = (): boolean => {
      throw damaged('the record of the applied position', 'it is missing, but there are rows');
    };
    database.each({ limit: 1, readAheadBytes: READ_AHEAD_BYTES }, visit, () => done(NOTHING_APPLIED));
  });
}

/** Hands on what `decode` gives, or fails with what it throws. */
function check<T>(database: Database, decode: () => T, done: (result: T) => void): void {
  let result: T;
  try {
    result = decode();
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    database.fail(error);
    return;
  }
  done(result);
}

function decodeRow(key: Buffer, record: Buffer): Buffer {
  return unseal(() => `the row ${key.toString('hex', 1)}`, key, record);
}

export function readRows(
  database: Database,
  keys: readonly RowKey[],
  done: (values: ReadonlyArray<Buffer | undefined>) => void,
): void {
  const rows = keys.map(rowKey);
  database.getMany(rows, (records) => {
    const decode = (): (Buffer | undefined)[] =>
      rows.map((key, i) => {
        const record = records[i];
        return record === undefined ? undefined : decodeRow(key, record);
      });
    check(database, decode, done);
  });
}

/** A settled scan. */
export function scanRows(
  database: Database,
  range: Range,
  done: (found: Pick<Scan, 'entries' | 'more'>) => void,
): void {
  const found = page(range);
  const visit = (key: Buffer, record: Buffer): boolean => found.take(userKeyOf(key), decodeRow(key, record));
  database.each(toRows(range), visit, () => done({ entries: found.entries, more: found.more }));
}

/** One bound at either end, as the engine wants it, and never outside the rows. */
function toRows(range: Range): Rows {
  const lower = lowerBound(range) ?? { key: '', inclusive: true };
  const upper = upperBound(range);
  const above = rowKey(lower.key);
  return {
    ...(lower.inclusive ? { gte: above } : { gt: above }),
    ...toUpper(upper),
    reverse: range.reverse === true,
    // One more than the page takes tells whether there is more.
    limit: range.limit + 1,
    readAheadBytes: Math.max(1, Math.min(range.bytesMax, READ_AHEAD_BYTES)),
    settled: true,
  };
}

function toUpper(upper: ReturnType<typeof upperBound>): Pick<Rows, 'lt' | 'lte'> {
  if (upper === undefined) return { lt: ROWS_END };
  const below = rowKey(upper.key);
  return upper.inclusive ? { lte: below } : { lt: below };
}

/** The applied position and the rows behind it, through one iterator and so of one view. */
export interface RowsView {
  readonly applied: Applied;
  readonly next: (bytesMax: number, done: (rows: readonly StateRow[]) => void) => void;
  readonly end: (done: () => void) => void;
}

export function viewRows(database: Database, done: (view: RowsView) => void): void {
  const bounds = { gte: APPLIED_KEY, lt: ROWS_END, readAheadBytes: VIEW_READ_AHEAD_BYTES };
  const cursor: Cursor = database.openCursor(bounds);
  // The position sorts before the rows.
  cursor.next(1, (rows) =>
    check(
      database,
      () => appliedOf(rows),
      (applied) =>
        done({
          applied,
          next: (bytesMax, taken) =>
            cursor.next(bytesMax, (found) => check(database, () => found.map(toStateRow), taken)),
          end: (ended) => cursor.end(ended),
        }),
    ),
  );
}

function appliedOf([first]: readonly FoundRow[]): Applied {
  if (first === undefined) return NOTHING_APPLIED;
  const [key, record] = first;
  if (!key.equals(APPLIED_KEY)) {
    throw damaged('the record of the applied position', 'it is missing, but there are rows');
  }
  return decodeApplied(key, record);
}

function toStateRow([key, record]: FoundRow): StateRow {
  if (!isRowKey(key)) throw damaged(`the record ${key.toString('hex')}`, 'no record has such a key');
  return [userKeyOf(key), decodeRow(key, record)];
}

export function operationsOf(batch: StateBatch): Operation[] {
  const operations: Operation[] = [];
  for (const userKey of batch.deletes) operations.push({ type: 'del', key: rowKey(userKey) });
  for (const [key, value] of batch.puts) operations.push(putRow([key, value]));
  operations.push(putApplied(batch.applied));
  return operations;
}

export function putRow([userKey, value]: StateRow): Operation {
  const key = rowKey(userKey);
  return { type: 'put', key, value: seal(key, value) };
}

export function putApplied(applied: Applied): Operation {
  return { type: 'put', key: APPLIED_KEY, value: encodeApplied(APPLIED_KEY, applied) };
}
