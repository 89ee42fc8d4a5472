/**
 * One database of a storage engine, made fit for the stores above it:
 *
 * - Callbacks come only on success and never within the call. The first failure is final: it is reported once, and from
 *   then on nothing is written, read or called back. RocksDB was seen to acknowledge and then lose synced
 *   writes after a first ENOSPC (`docs/decisions/0003`), so there is no second try.
 * - Nothing here trusts the engine's own checks: the values are sealed records (`records.ts`), and the rows of an
 *   iteration must come in order.
 */

import { readdir } from 'node:fs/promises';
import type { Cursor } from './cursor.js';
import { cursorOn } from './cursor.js';
import type { Engine, EngineDatabase, EngineOptions, Operation, RowIterator, RowRange } from './engine.js';
import type { Fatal } from './errors.js';
import { StorageError } from './errors.js';
import { errorCode, makeDirectory } from './files.js';
import { isInUse } from './in-use.js';
import type { TableSums } from './table-sums.js';
import { checkTables } from './table-sums.js';
import { cutGap, refuseGap } from './write-ahead-log.js';

/** Of the two bounds at either end only one is to be given. */
export interface Rows {
  readonly gte?: Buffer;
  readonly gt?: Buffer;
  readonly lte?: Buffer;
  readonly lt?: Buffer;
  /** From the last row to the first. To be `settled`. */
  readonly reverse?: boolean;
  /** At most so many rows; default: all. */
  readonly limit?: number;
  /** How much is read ahead. The first call of RocksDB reads a single row whatever this says. */
  readonly readAheadBytes: number;
  readonly settled?: boolean;
}

/** Says whether to go on. A StorageError that it throws is final for the database. */
export type Visit = (key: Buffer, value: Buffer) => boolean;

export interface Database {
  /** Atomically; with `sync`, `done` means that it is on disk. The Buffers are copied before this returns. */
  write(operations: readonly Operation[], sync: boolean, done: () => void): void;
  /** All from one view, that of the call; undefined where there is nothing. */
  getMany(keys: readonly Buffer[], done: (values: ReadonlyArray<Buffer | undefined>) => void): void;
  /**
   * Visits rows in the order of their keys. All are of one view: that of the call or, with `settled`, the one in which the write
   * that is in flight has just ended, so that the caller knows exactly which writes the view holds.
   */
  each(rows: Rows, visit: Visit, done: () => void): void;
  /** What is written is on disk once `done` is called: every write that was done at the call. */
  sync(done: () => void): void;
  /** Sees the database as of the call. Its rows come in order; its callbacks as all others. It is ended by `close` at the latest. */
  openCursor(rows: Rows): Cursor;
  /** For what the store finds damaged. */
  fail(error: StorageError): void;
  /** Waits for what is in flight. `removed`: its files are removed next, so nothing more is written beside them; default: they are kept. */
  close(then?: 'removed'): Promise<void>;
}

/** The directory is made when it is missing. */
export interface DatabaseOptions extends EngineOptions {
  readonly engine: Engine;
  /**
   * What to do about a write-ahead log that is damaged before its end: refuse it, or go back to the moment before, as after a
   * crash, which is for a database whose last writes can be done again.
   */
  readonly gap: 'refuse' | 'cut';
  readonly fatal: Fatal;
}

const INT32_MAX = 2 ** 31 - 1;

/**
 * Opens a database and lets `recover` read from it what its store starts from. A failure until then rejects, with
 * the database closed again; a later one goes to `fatal`.
 *
 * @throws StorageError
 */
export async function openDatabase<R>(
  options: DatabaseOptions,
  recover: (database: Database, done: (recovered: R) => void) => void,
): Promise<{ database: Database; recovered: R }> {
  const { directory } = options;
  let onFailure: Fatal = options.fatal;
  const { engine, sums } = await openEngine(options);
  const database = wrap(engine, sums, directory, (error) => onFailure(error));
  sums.start((error) => database.fail(toStorageError(error)));
  try {
    const recovered = await new Promise<R>((resolve, reject) => {
      onFailure = reject;
      recover(database, (result) => {
        onFailure = options.fatal;
        resolve(result);
      });
    });
    return { database, recovered };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** What can't be looked at can't be served. */
function toStorageError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  return new StorageError('write', `the table files cannot be checked: ${oneLine(error)}`, error);
}

async function closeEngine(engine: EngineDatabase, sums: TableSums, areKept: boolean): Promise<void> {
  await sums.stop();
  await engine.close();
  // They are an addition: what can't be written now is summed up after the next opening.
  if (areKept) await sums.finish().catch(() => undefined);
}

async function openEngine(
  options: DatabaseOptions,
): Promise<{ readonly engine: EngineDatabase; readonly sums: TableSums }> {
  const { directory, engine } = options;
  let exists = false;
  try {
    await makeDirectory(directory);
    exists = await checkFiles(directory);
    await (options.gap === 'cut' ? cutGap(directory) : refuseGap(directory));
    const sums = await checkTables(directory);
    return { engine: await engine.open(options), sums };
  } catch (error) {
    const fault = error instanceof StorageError ? error : openError(directory, exists, error);
    throw fault.fault === 'damaged' && (await isInUse(engine, directory)) ? inUse(directory, fault) : fault;
  }
}

/** Whether there is a database. Without its `CURRENT`, an engine takes it for a new one and deletes what is there. */
async function checkFiles(directory: string): Promise<boolean> {
  const names = await readdir(directory);
  if (names.includes('CURRENT')) return true;
  const data = names.find((name) => /\.(sst|ldb|log)$/.test(name));
  if (data !== undefined) {
    throw new StorageError('damaged', `${directory} is damaged: the file CURRENT is missing beside ${data}`);
  }
  return false;
}

function openError(directory: string, exists: boolean, error: unknown): StorageError {
  const reason = oneLine(error);
  if (/\block\b/i.test(reason) && !reason.startsWith('Corruption')) {
    return inUse(directory, error);
  }
  // LevelDB follows a damaged CURRENT to a file that there isn't.
  if (reason.startsWith('Corruption') || (exists && /no such file/i.test(reason))) {
    return new StorageError('damaged', `${directory} is damaged: ${reason}`, error);
  }
  const code = errorCode(error);
  if (code === 'ENOSPC' || code === 'EIO' || /no space left|input\/output error|quota/i.test(reason)) {
    return new StorageError('write', `${directory} cannot be written: ${reason}`, error);
  }
  const remedy = 'raft.dataDir must name a directory that this process may read and write';
  return new StorageError('unusable', `${directory} cannot be opened: ${reason}; ${remedy}`, error);
}

function inUse(directory: string, cause: unknown): StorageError {
  const remedy = 'stop that process, or give this node a raft.dataDir of its own';
  return new StorageError('unusable', `${directory} is in use by a running process: ${remedy}`, cause);
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ').trim();
}

/** What is in flight, and whether the database is still sound. */
interface Life {
  readonly sound: () => boolean;
  readonly fail: (error: unknown) => void;
  /** False when there is nothing to do any more. @throws Error once the database is closed. */
  readonly begin: () => boolean;
  /** An operation is over; `then` runs only while the database is sound. */
  readonly finish: (then: () => void) => void;
  /** Nothing begins any more; resolves when nothing is in flight. */
  readonly end: () => Promise<void>;
}

function life(directory: string, fatal: Fatal): Life {
  let failed = false;
  let ended = false;
  let inFlight = 0;
  let idle: (() => void) | undefined;
  return {
    sound: () => !failed,
    fail(error) {
      if (failed) return;
      failed = true;
      const known = error instanceof StorageError;
      const message = known ? error.message : `reading failed: ${oneLine(error)}`;
      const cause = known ? error.cause : error;
      fatal(new StorageError(known ? error.fault : 'damaged', `${directory}: ${message}`, cause));
    },
    begin() {
      if (ended) throw new Error(`${directory} is closed`);
      if (!failed) inFlight += 1;
      return !failed;
    },
    finish(then) {
      inFlight -= 1;
      if (!failed) then();
      if (inFlight === 0) idle?.();
    },
    async end() {
      ended = true;
      if (inFlight === 0) return;
      await new Promise<void>((resolve) => {
        idle = resolve;
      });
    },
  };
}

function wrap(engine: EngineDatabase, sums: TableSums, directory: string, fatal: Fatal): Database {
  const { sound, fail, begin, finish, end } = life(directory, fatal);
  let writing = 0;
  /** Iterations that wait for a write to end. Bound: what the callers have in flight. */
  let waiting: (() => void)[] = [];
  let closing: Promise<void> | undefined;
  const cursors = openCursors({ fail, begin, finish });

  const startWaiting = (): void => {
    const ready = waiting;
    waiting = [];
    for (const start of ready) start();
  };
  return {
    fail,
    write(operations, sync, done) {
      if (!begin()) return;
      engine.batch(operations, sync, (error) => {
        writing -= 1;
        if (error) fail(new StorageError('write', `writing failed: ${oneLine(error)}`, error));
        // Before `done`, which may begin the next write.
        if (writing === 0) startWaiting();
        finish(done);
      });
      writing += 1;
    },
    getMany(keys, done) {
      if (!begin()) return;
      engine.getMany(keys, (error, values) => {
        if (error || values?.length !== keys.length) fail(error ?? 'a value is missing');
        finish(() => done(values ?? []));
      });
    },
    each(rows, visit, done) {
      if (!begin()) return;
      const over = (): void => finish(done);
      const start = (): void => (sound() ? iterate(engine, rows, visit, { sound, fail, over }) : over());
      if (rows.settled === true && writing > 0) waiting.push(start);
      else start();
    },
    sync(done) {
      if (!begin()) return;
      engine.sync((error) => {
        if (error) fail(new StorageError('write', `syncing failed: ${oneLine(error)}`, error));
        finish(done);
      });
    },
    openCursor: (rows) => cursors.open(() => engine.iterator(toRange(rows))),
    close(then) {
      closing ??= end()
        .then(() => cursors.endAll())
        .then(() => closeEngine(engine, sums, then !== 'removed'));
      return closing;
    },
  };
}

/** The engine must not be closed under an iterator. */
interface Cursors {
  open(makeIterator: () => RowIterator): Cursor;
  endAll(): Promise<void>;
}

function openCursors({ fail, begin, finish }: Pick<Life, 'fail' | 'begin' | 'finish'>): Cursors {
  const all = new Set<Cursor>();
  return {
    open(makeIterator) {
      const nothing = (): void => undefined;
      // It throws for a closed database, whose engine must not be asked.
      if (begin()) finish(nothing);
      const cursor = cursorOn(makeIterator(), (error) => {
        fail(error);
        finish(nothing);
      });
      all.add(cursor);
      return {
        next(bytesMax, done) {
          if (!begin()) return;
          cursor.next(bytesMax, (rows) => finish(() => done(rows)));
        },
        end(done) {
          if (!begin()) return;
          all.delete(cursor);
          cursor.end(() => finish(done));
        },
      };
    },
    async endAll() {
      await Promise.all([...all].map((cursor) => new Promise<void>((resolve) => cursor.end(resolve))));
    },
  };
}

function toRange({ gte, gt, lte, lt, reverse, limit, readAheadBytes }: Rows): RowRange {
  return {
    gte,
    gt,
    lte,
    lt,
    reverse: reverse === true,
    limit: limit === undefined ? -1 : Math.min(limit, INT32_MAX),
    readAheadBytes,
  };
}

interface Iteration {
  readonly sound: () => boolean;
  readonly fail: (error: unknown) => void;
  readonly over: () => void;
}

/** Iterators are ended in every case: one left open keeps its snapshot, and with it every old version of every row. */
function iterate(engine: EngineDatabase, rows: Rows, visit: Visit, iteration: Iteration): void {
  const range = toRange(rows);
  const iterator = engine.iterator(range);
  // Positioned backwards, the binding forgets an error of its seek and reports an empty range. So an empty answer
  // is confirmed forwards, where errors are kept. It is the same view, since nothing is being written now.
  const probe = rows.reverse === true ? engine.iterator({ ...range, reverse: false, limit: 1 }) : undefined;
  const accept = inOrder(rows.reverse === true, visit);

  const end = (): void =>
    iterator.end(() => {
      if (probe === undefined) iteration.over();
      else probe.end(iteration.over);
    });
  const failed = (error: unknown): void => {
    iteration.fail(error);
    end();
  };
  const confirmEmpty = (forwards: RowIterator): void =>
    forwards.next((error, key) => {
      if (error) failed(error);
      else if (key !== undefined) failed(new StorageError('damaged', `a scan missed ${key.toString('hex')}`));
      else end();
    });
  const step = (first: boolean): void =>
    iterator.next((error, key, value) => {
      if (error) {
        failed(error);
      } else if (key === undefined || value === undefined) {
        if (first && probe !== undefined) confirmEmpty(probe);
        else end();
      } else {
        takeRow(() => accept(key, value));
      }
    });
  const takeRow = (accepted: () => boolean): void => {
    let goOn: boolean;
    try {
      goOn = accepted();
    } catch (fault) {
      if (!(fault instanceof StorageError)) throw fault;
      failed(fault);
      return;
    }
    if (goOn && iteration.sound()) step(false);
    else end();
  };
  step(true);
}

/** An engine whose blocks are damaged may lead an iterator astray; then keys come twice or out of order. */
function inOrder(reverse: boolean, visit: Visit): Visit {
  let previous: Buffer | undefined;
  return (key, value) => {
    const order = previous === undefined ? -1 : Buffer.compare(previous, key);
    if (order === 0 || (previous !== undefined && order > 0 !== reverse)) {
      throw new StorageError('damaged', `the rows are out of order at ${key.toString('hex')}`);
    }
    previous = key;
    return visit(key, value);
  };
}
