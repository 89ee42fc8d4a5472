/**
 * The state machine's data in RocksDB: one sealed record a row, and one for the applied position, which is part of
 * every batch. Nothing is synced: the WAL keeps batches in order, so a crash takes away the newest ones as a whole.
 */

import type { Position } from '../../raft/entry.js';
import type { Fatal } from '../errors.js';
import { StorageError } from '../errors.js';
import { APPLIED_KEY, ROWS_END, rowKey, userKeyOf } from '../keys.js';
import { checkApplied, lowerBound, page, upperBound } from '../range.js';
import { damaged, decodeApplied, encodeApplied, seal, unseal } from '../records.js';
import type { Applied, Range, StateBatch, StateStore } from '../state-store.js';
import { NOTHING_APPLIED } from '../state-store.js';
import type { Database, Rows } from '../database.js';
import { openDatabase } from '../database.js';
import type { Engine, Operation } from '../engine.js';

const CACHE_BYTES = 32 * 1024 * 1024;
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024;
const READ_AHEAD_BYTES = 64 * 1024;

export interface RocksStateStoreOptions {
  readonly engine: Engine;
  /** Made when it is missing. */
  readonly directory: string;
  readonly fatal: Fatal;
}

/**
 * Opens a state. Its rows are checked when they are read, not here.
 *
 * @throws StorageError as `openRocksLogStore`
 */
export async function openRocksStateStore(options: RocksStateStoreOptions): Promise<StateStore> {
  const { database, recovered } = await openDatabase<Applied>(
    {
      engine: options.engine,
      directory: options.directory,
      compression: true,
      cacheBytes: CACHE_BYTES,
      writeBufferBytes: WRITE_BUFFER_BYTES,
      fatal: options.fatal,
    },
    recover,
  );
  return stateStore(database, recovered);
}

function recover(database: Database, done: (applied: Applied) => void): void {
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
  return unseal(`the row ${userKeyOf(key).toString('hex')}`, key, record);
}

function stateStore(database: Database, recovered: Applied): StateStore {
  /** That of the last write that is done, or in flight when `writing`. */
  let applied: Position = { index: recovered.index, term: recovered.term };
  let writing = false;

  return {
    recovered,
    getMany(keys, done) {
      const rows = keys.map(rowKey);
      database.getMany(rows, (records) => {
        const decode = (): (Buffer | undefined)[] =>
          rows.map((key, i) => {
            const record = records[i];
            return record === undefined ? undefined : decodeRow(key, record);
          });
        check(database, decode, done);
      });
    },
    write(batch, done) {
      if (writing) throw new Error('write was called before the last one was done');
      checkApplied(applied, batch.applied);
      database.write(operationsOf(batch), false, () => {
        writing = false;
        done();
      });
      applied = { index: batch.applied.index, term: batch.applied.term };
      writing = true;
    },
    scan(range, done) {
      // A settled view holds the write that is in flight now, and none after it.
      const view = applied;
      const found = page(range);
      const visit = (key: Buffer, record: Buffer): boolean =>
        found.take(userKeyOf(key), decodeRow(key, record));
      database.each(toRows(range), visit, () =>
        done({ entries: found.entries, more: found.more, applied: view }),
      );
    },
    close: () => database.close(),
  };
}

/** One bound at either end, as the engine wants it, and never outside the rows. */
function toRows(range: Range): Rows {
  const lower = lowerBound(range) ?? { key: Buffer.alloc(0), inclusive: true };
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

function operationsOf(batch: StateBatch): Operation[] {
  const operations: Operation[] = [];
  for (const userKey of batch.deletes) operations.push({ type: 'del', key: rowKey(userKey) });
  for (const [userKey, value] of batch.puts) {
    const key = rowKey(userKey);
    operations.push({ type: 'put', key, value: seal(key, value) });
  }
  operations.push({ type: 'put', key: APPLIED_KEY, value: encodeApplied(APPLIED_KEY, batch.applied) });
  return operations;
}
