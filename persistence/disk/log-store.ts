/**
 * The log in a database: one sealed record an entry, and one for term, vote and commit. An append is one synced batch, so
 * that the removal of a conflicting tail, the new entries and the hard state become durable together or not at all (§5.3, §5.4).
 */

import type { Configuration } from '../../membership/configuration.js';
import { decodeConfiguration } from '../../membership/configuration.js';
import type { ConfigurationAt, Entry, HardState, Index, Position, Snapshot } from '../../raft/entry.js';
import { ORIGIN, entryBytes } from '../../raft/entry.js';
import type { Fatal, StorageError } from '../errors.js';
import { BASE_KEY, HARD_STATE_KEY, REMOVED_KEY, entryKey, indexOfEntryKey } from '../keys.js';
import { logLedger } from '../log-ledger.js';
import type { LogShape } from '../log-shape.js';
import { checkRead, hardStateFault, withCommittedBase } from '../log-shape.js';
import type { LogBatch, LogStore, RecoveredLog } from '../log-store.js';
import {
  damaged,
  decodeApplied,
  decodeEntry,
  decodeHardState,
  decodePosition,
  encodeApplied,
  encodeEntry,
  encodeHardState,
  encodePosition,
} from '../records.js';
import { boundedTail } from '../tail.js';
import type { Database } from '../database.js';
import { openDatabase } from '../database.js';
import type { Engine, Operation } from '../engine.js';

/** Few blocks are read twice: what is read often is in the core's own cache. */
const CACHE_BYTES = 1024 * 1024;
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024;
const READ_AHEAD_BYTES = 256 * 1024;
/** Entries in one batch of a removal: about a millisecond, that an append may have to wait. */
const REMOVALS_MAX = 1024;

export interface DiskLogStoreOptions {
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
export async function openDiskLogStore(
  options: DiskLogStoreOptions,
): Promise<{ store: LogStore; recovered: RecoveredLog }> {
  const opened = await openDatabase<Recovered>(
    {
      engine: options.engine,
      gap: 'refuse',
      directory: options.directory,
      compression: false,
      cacheBytes: CACHE_BYTES,
      writeBufferBytes: WRITE_BUFFER_BYTES,
      fatal: options.fatal,
    },
    (database, done) => recover(database, options.tailBytesMax, done),
  );
  const { removed, ...recovered } = opened.recovered;
  // Without the tail, which is the caller's to keep or to let go.
  const { base, lastIndex, termRuns, hardState } = recovered;
  return { store: logStore(opened.database, { base, lastIndex, termRuns, hardState }, removed), recovered };
}

type Recovered = RecoveredLog & { readonly removed: Index };

/** What is not an entry. */
interface Marks {
  base: Position & Partial<Snapshot>;
  /** Up to here entries have been removed. */
  removed: Index;
}

/**
 * One pass over everything there is, entries before the base excepted: those are passed over by their keys, however many there
 * are. A key that is no log's is damage too: some record is missing at its place.
 */
function recover(database: Database, tailBytesMax: number, done: (recovered: Recovered) => void): void {
  const marks: Marks = { base: ORIGIN, removed: ORIGIN.index };
  const visit = (key: Buffer, value: Buffer): boolean => {
    if (key.equals(BASE_KEY)) marks.base = decodeBase(key, value);
    else if (key.equals(REMOVED_KEY))
      marks.removed = decodePosition('the record of removed entries', key, value).index;
    else throw unknownKey(key);
    return true;
  };
  database.each({ lt: entryKey(0), readAheadBytes: READ_AHEAD_BYTES }, visit, () =>
    recoverEntries(database, marks, tailBytesMax, done),
  );
}

function decodeBase(key: Buffer, value: Buffer): Snapshot {
  const what = "the record of the log's base";
  const { configuration, ...rest } = decodeApplied(key, value, what);
  if (configuration === undefined) throw damaged(what, 'it names no members');
  return { ...rest, configuration };
}

function unknownKey(key: Buffer): StorageError {
  return damaged(`the record ${key.toString('hex')}`, 'no record has such a key');
}

function recoverEntries(
  database: Database,
  { base, removed }: Marks,
  tailBytesMax: number,
  done: (recovered: Recovered) => void,
): void {
  const tail = boundedTail(tailBytesMax);
  let lastIndex = base.index;
  let hardState: HardState | undefined;
  let bytes = 0;
  const configurations = knownAt(base);
  const runs: Position[] = [];

  const visit = (key: Buffer, value: Buffer): boolean => {
    if (key.equals(HARD_STATE_KEY)) {
      hardState = decodeHardState(key, value);
      return true;
    }
    if (indexOfEntryKey(key) === undefined) throw unknownKey(key);
    const entry = readEntry(lastIndex + 1, key, value);
    const { index, term } = entry;
    const termBefore = runs.at(-1)?.term ?? base.term;
    if (term < termBefore) throw damaged(`log entry ${index}`, `its term ${term} is below ${termBefore}`);
    if (term > termBefore || runs.length === 0) runs.push({ index, term });
    lastIndex = index;
    bytes += entryBytes(entry);
    if (entry.type === 'configuration') configurations.push({ index, configuration: configurationOf(entry) });
    tail.push(entry);
    return true;
  };
  const rows = { gte: entryKey(base.index + 1), readAheadBytes: READ_AHEAD_BYTES };
  database.each(rows, visit, () => {
    const { index, term } = base;
    const shape = withCommittedBase({ base: { index, term }, lastIndex, termRuns: runs, hardState });
    const fault = hardStateFault(shape);
    if (fault === undefined) done({ ...shape, configurations, bytes, tail: tail.entries(), removed });
    else database.fail(damaged('the log', fault));
  });
}

function knownAt({ configuration, configurationIndex: index = 0 }: Marks['base']): ConfigurationAt[] {
  return configuration === undefined ? [] : [{ index, configuration }];
}

function configurationOf({ index, data }: Entry): Configuration {
  try {
    return decodeConfiguration(data);
  } catch (error) {
    throw damaged(`log entry ${index}`, 'it names no members', error);
  }
}

function logStore(database: Database, recovered: LogShape, removed: Index): LogStore {
  const ledger = logLedger(recovered);
  const remover = entryRemover(database, removed);
  remover.removeTo(recovered.base.index);

  return {
    append(batch, done) {
      const landed = ledger.append(batch);
      database.write(operationsOf(batch, ledger.shape.lastIndex), true, () => {
        landed();
        done();
      });
    },
    read(from, to, bytesMax, done) {
      checkRead(ledger.shape, from, to);
      readEntries(database, from, to, bytesMax, done);
    },
    compact(base, done) {
      const landed = ledger.compact(base);
      database.write([putBase(base)], true, () => {
        landed();
        remover.removeTo(base.index);
        done();
      });
    },
    reset(base, given, done) {
      const { lastIndex } = ledger.shape;
      const { hardState, landed } = ledger.reset(base, given);
      const operations = deletions(base.index + 1, lastIndex);
      operations.push(putBase(base), putHardState(hardState));
      database.write(operations, true, () => {
        landed();
        remover.removeTo(Math.min(base.index, lastIndex), base.index);
        done();
      });
    },
    close() {
      remover.stop();
      return database.close();
    },
  };
}

function readEntries(
  database: Database,
  from: Index,
  to: Index,
  bytesMax: number,
  done: (entries: readonly Entry[]) => void,
): void {
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
  const newEnd = batch.entries.at(-1)?.index ?? lastIndex;
  const operations = deletions(newEnd + 1, lastIndex);
  for (const entry of batch.entries) {
    const key = entryKey(entry.index);
    operations.push({ type: 'put', key, value: encodeEntry(key, entry) });
  }
  if (batch.hardState !== undefined) operations.push(putHardState(batch.hardState));
  return operations;
}

function deletions(from: Index, to: Index): Operation[] {
  const operations: Operation[] = [];
  for (let index = from; index <= to; index += 1) operations.push({ type: 'del', key: entryKey(index) });
  return operations;
}

function putHardState(hardState: HardState): Operation {
  return { type: 'put', key: HARD_STATE_KEY, value: encodeHardState(HARD_STATE_KEY, hardState) };
}

function putBase(base: Snapshot): Operation {
  return { type: 'put', key: BASE_KEY, value: encodeApplied(BASE_KEY, base) };
}

/** Frees what lies before the base, batch by batch, beside everything else. */
interface Remover {
  /** @param next up to where there is nothing behind `end`; default: `end` itself. */
  removeTo(end: Index, next?: Index): void;
  /** What is left is removed after the next opening. */
  stop(): void;
}

/** How far it has come is in the same batch as the removals, so after a crash it goes on where it was. Nothing needs to be synced for that. */
function entryRemover(database: Database, recovered: Index): Remover {
  let removed = recovered;
  let goal = recovered;
  /** Never below `goal`; where `removed` is once that is reached. */
  let beyond = recovered;
  let removing = false;
  let stopped = false;
  const step = (): void => {
    removing = removed < beyond && !stopped;
    if (!removing) return;
    const end = Math.min(goal, removed + REMOVALS_MAX);
    const operations = deletions(removed + 1, end);
    const reached = end === goal ? beyond : end;
    const value = encodePosition(REMOVED_KEY, { index: reached, term: 0 });
    operations.push({ type: 'put', key: REMOVED_KEY, value });
    database.write(operations, false, () => {
      removed = reached;
      step();
    });
  };
  return {
    removeTo(end, next = end) {
      goal = Math.max(goal, end);
      beyond = Math.max(beyond, next);
      if (!removing) step();
    },
    stop() {
      stopped = true;
    },
  };
}
