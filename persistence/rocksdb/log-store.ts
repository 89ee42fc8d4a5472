/**
 * The log in RocksDB: one sealed record an entry, and one for term, vote and commit. An append is one synced batch, so
 * that the removal of a conflicting tail, the new entries and the hard state become durable together or not at all (§5.3, §5.4).
 */

import type { Entry, Index, Position } from '../../raft/entry.js';
import { ORIGIN } from '../../raft/entry.js';
import type { Fatal } from '../errors.js';
import { HARD_STATE_KEY, entryKey, indexOfEntryKey } from '../keys.js';
import type { LogShape } from '../log-shape.js';
import { checkRead, hardStateFault, shapeAfter } from '../log-shape.js';
import type { LogBatch, LogStore, RecoveredLog } from '../log-store.js';
import { damaged, decodeEntry, decodeHardState, encodeEntry, encodeHardState } from '../records.js';
import { boundedTail } from '../tail.js';
import type { Database } from '../database.js';
import { openDatabase } from '../database.js';
import type { Engine, Operation } from '../engine.js';

/** Few blocks are read twice: what is read often is in the core's own cache. */
const CACHE_BYTES = 1024 * 1024;
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024;
const READ_AHEAD_BYTES = 256 * 1024;

export interface RocksLogStoreOptions {
  readonly engine: Engine;
  /** Made when it is missing. */
  readonly directory: string;
  /** How much of the newest entries `recovered.tail` may hold, counted by `entryBytes`. */
  readonly tailBytesMax: number;
  readonly fatal: Fatal;
}

/**
 * Opens a log, checking every record of it.
 *
 * @throws StorageError `damaged` names the first record that does not check; `unusable` for a directory in use or
 *   out of reach; `write` when the disk fails meanwhile. `fatal` is not called for these.
 */
export async function openRocksLogStore(
  options: RocksLogStoreOptions,
): Promise<{ store: LogStore; recovered: RecoveredLog }> {
  const { database, recovered } = await openDatabase<RecoveredLog>(
    {
      engine: options.engine,
      directory: options.directory,
      compression: false,
      cacheBytes: CACHE_BYTES,
      writeBufferBytes: WRITE_BUFFER_BYTES,
      fatal: options.fatal,
    },
    (opened, done) => recover(opened, options.tailBytesMax, done),
  );
  // Without the tail, which is the caller's to keep or to let go.
  const { base, lastIndex, termRuns, hardState } = recovered;
  return { store: logStore(database, { base, lastIndex, termRuns, hardState }), recovered };
}

/** One pass over everything there is. A key that is no log's is damage too: some record is missing at its place. */
function recover(database: Database, tailBytesMax: number, done: (recovered: RecoveredLog) => void): void {
  const tail = boundedTail(tailBytesMax);
  let shape: LogShape = { base: ORIGIN, lastIndex: ORIGIN.index, termRuns: [], hardState: undefined };
  const runs: Position[] = [];

  const visit = (key: Buffer, value: Buffer): boolean => {
    if (key.equals(HARD_STATE_KEY)) {
      shape = { ...shape, hardState: decodeHardState(key, value) };
      return true;
    }
    if (indexOfEntryKey(key) === undefined) {
      throw damaged(`the record ${key.toString('hex')}`, 'no record has such a key');
    }
    const entry = readEntry(shape.lastIndex + 1, key, value);
    const { index, term } = entry;
    const termBefore = runs.at(-1)?.term ?? shape.base.term;
    if (term < termBefore) throw damaged(`log entry ${index}`, `its term ${term} is below ${termBefore}`);
    if (term > termBefore || runs.length === 0) runs.push({ index, term });
    shape = { ...shape, lastIndex: index };
    tail.push(entry);
    return true;
  };
  database.each({ readAheadBytes: READ_AHEAD_BYTES }, visit, () => {
    shape = { ...shape, termRuns: runs };
    const fault = hardStateFault(shape);
    if (fault === undefined) done({ ...shape, tail: tail.entries() });
    else database.fail(damaged('the log', fault));
  });
}

function logStore(database: Database, recovered: LogShape): LogStore {
  /** The durable log. */
  let shape = recovered;
  /** The log once the append in flight is durable. */
  let next: LogShape | undefined;

  return {
    append(batch, done) {
      if (next !== undefined) throw new Error('append was called before the last one was done');
      next = shapeAfter(shape, batch);
      const after = next;
      database.write(operationsOf(batch, shape.lastIndex), true, () => {
        shape = after;
        next = undefined;
        done();
      });
    },
    read(from, to, bytesMax, done) {
      checkRead(shape, from, to);
      const entries: Entry[] = [];
      let bytes = 0;
      let enough = false;
      const visit = (key: Buffer, value: Buffer): boolean => {
        const entry = readEntry(from + entries.length, key, value);
        const previous = entries.at(-1);
        if (previous !== undefined && entry.term < previous.term) {
          throw damaged(`log entry ${entry.index}`, `its term ${entry.term} is below ${previous.term}`);
        }
        bytes += entry.data.length;
        enough = bytes > bytesMax && previous !== undefined;
        if (!enough) entries.push(entry);
        return !enough;
      };
      const rows = { gte: entryKey(from), lte: entryKey(to), readAheadBytes: readAhead(bytesMax) };
      database.each(rows, visit, () => {
        const end = from + entries.length;
        if (enough || end > to) done(entries);
        else database.fail(damaged(`log entry ${end}`, 'it is missing'));
      });
    },
    close: () => database.close(),
  };
}

function readAhead(bytesMax: number): number {
  return Math.max(1, Math.min(bytesMax, READ_AHEAD_BYTES));
}

/** The entry that must stand at `index`. */
function readEntry(index: Index, key: Buffer, value: Buffer): Entry {
  const found = indexOfEntryKey(key);
  if (found !== index)
    throw damaged(`log entry ${index}`, `it is missing, the next one is ${found ?? 'none'}`);
  return decodeEntry(index, key, value);
}

/** The replaced tail goes in the same batch as what replaces it. */
function operationsOf(batch: LogBatch, lastIndex: Index): Operation[] {
  const operations: Operation[] = [];
  const newEnd = batch.entries.at(-1)?.index ?? lastIndex;
  for (let index = newEnd + 1; index <= lastIndex; index += 1) {
    operations.push({ type: 'del', key: entryKey(index) });
  }
  for (const entry of batch.entries) {
    const key = entryKey(entry.index);
    operations.push({ type: 'put', key, value: encodeEntry(key, entry) });
  }
  if (batch.hardState !== undefined) {
    const value = encodeHardState(HARD_STATE_KEY, batch.hardState);
    operations.push({ type: 'put', key: HARD_STATE_KEY, value });
  }
  return operations;
}
