/**
 * The state machine's data in a database, whatever its engine. Nothing is synced but on demand: the WAL keeps batches in order, so a crash takes away the
 * newest ones as a whole. A restore is a second database that takes the place of the first (`generations.ts`).
 */

import path from 'node:path';
import type { Position } from '../../raft/entry.js';
import type { Fatal } from '../errors.js';
import { StorageError } from '../errors.js';
import { headOf } from '../head.js';
import { checkApplied } from '../range.js';
import type { Applied, StateRestore, StateStore, StateView } from '../state-store.js';
import { VIEWS_MAX } from '../state-store.js';
import type { Database } from '../database.js';
import { openDatabase } from '../database.js';
import type { Engine } from '../engine.js';
import { findGenerations, generationDirectory, partDirectory, putInPlace, removeAll } from './generations.js';
import {
  operationsOf,
  putApplied,
  putRow,
  readRows,
  recoverApplied,
  scanRows,
  viewRows,
} from './state-rows.js';

const CACHE_BYTES = 32 * 1024 * 1024;
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024;

export interface DiskStateStoreOptions {
  readonly engine: Engine;
  /** Made when it is missing. */
  readonly directory: string;
  readonly fatal: Fatal;
}

/**
 * Opens a state. Its rows are checked when they are read, not here.
 *
 * @throws StorageError as `openDiskLogStore`
 */
export async function openDiskStateStore(options: DiskStateStoreOptions): Promise<StateStore> {
  const root = options.directory;
  const health = sharedHealth(options.engine, options.fatal);
  const { current, leftovers } = await orStorageError(root, findGenerations(root));
  const { database, recovered } = await openGeneration(generationDirectory(root, current), health);
  await orStorageError(root, removeAll(root, leftovers)).catch(async (error: unknown) => {
    await database.close();
    throw error;
  });
  return new DiskStateStore(root, health, { database, number: current, views: 0, retired: false }, recovered);
}

/** What the databases of one store share. One failure is that of all: none of them calls back after it. */
interface Health {
  readonly engine: Engine;
  readonly fail: Fatal;
  readonly failed: Promise<void>;
  readonly databases: Set<Database>;
}

function sharedHealth(engine: Engine, fatal: Fatal): Health {
  let reported = false;
  let report: () => void = () => undefined;
  const failed = new Promise<void>((resolve) => (report = resolve));
  const databases = new Set<Database>();
  return {
    engine,
    failed,
    databases,
    fail(error) {
      if (reported) return;
      reported = true;
      for (const database of databases) database.fail(error);
      report();
      fatal(error);
    },
  };
}

async function openGeneration(
  directory: string,
  health: Health,
): Promise<{ database: Database; recovered: Applied }> {
  const opened = await openDatabase<Applied>(
    {
      engine: health.engine,
      gap: 'cut',
      directory,
      compression: true,
      cacheBytes: CACHE_BYTES,
      writeBufferBytes: WRITE_BUFFER_BYTES,
      fatal: health.fail,
    },
    recoverApplied,
  );
  health.databases.add(opened.database);
  return opened;
}

async function orStorageError<T>(root: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof StorageError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new StorageError('write', `${root} cannot be written: ${reason}`, error);
  }
}

interface Generation {
  readonly database: Database;
  readonly number: number;
  /** Open ones, which keep a retired generation. */
  views: number;
  retired: boolean;
}

class DiskStateStore implements StateStore {
  readonly recovered: Applied;
  readonly #root: string;
  readonly #health: Health;
  #current: Generation;
  /** That of the last write that is done, or in flight when `#writing`. */
  #applied: Position;
  /** That of the last write that is done. */
  #done: Position;
  #writing = false;
  #restoring = false;
  #views = 0;
  /** What runs outside a database's own operations. */
  readonly #work = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;

  constructor(root: string, health: Health, current: Generation, recovered: Applied) {
    this.#root = root;
    this.#health = health;
    this.#current = current;
    this.recovered = recovered;
    this.#applied = positionOf(recovered);
    this.#done = this.#applied;
  }

  readonly getMany: StateStore['getMany'] = (keys, done) => {
    this.#checkOpen();
    readRows(this.#current.database, keys, done);
  };

  readonly getHeads: StateStore['getHeads'] = (keys, bytes, done) => {
    this.getMany(keys, (values) => done(values.map((value) => headOf(value, bytes))));
  };

  readonly write: StateStore['write'] = (batch, done) => {
    this.#checkOpen();
    if (this.#writing) throw new Error('write was called before the last one was done');
    if (this.#restoring) throw new Error('write was called during a restore');
    checkApplied(this.#applied, batch.applied);
    const applied = positionOf(batch.applied);
    this.#current.database.write(operationsOf(batch), false, () => {
      this.#writing = false;
      this.#done = applied;
      done();
    });
    this.#applied = applied;
    this.#writing = true;
  };

  readonly scan: StateStore['scan'] = (range, done) => {
    this.#checkOpen();
    // A settled view holds the write that is in flight now, and none after it.
    const view = this.#applied;
    scanRows(this.#current.database, range, (found) => done({ ...found, applied: view }));
  };

  readonly openView: StateStore['openView'] = (done) => {
    this.#checkOpen();
    if (this.#views >= VIEWS_MAX) throw new Error(`${VIEWS_MAX} views of the state are open already`);
    const generation = this.#current;
    viewRows(generation.database, ({ applied, next, end }) => {
      let closed = false;
      const checkOpen = (): void => {
        this.#checkOpen();
        if (closed) throw new Error('the view is closed');
      };
      const view: StateView = {
        applied,
        next: (bytesMax, taken) => {
          checkOpen();
          next(bytesMax, taken);
        },
        close: (ended) => {
          checkOpen();
          closed = true;
          end(() => {
            this.#views -= 1;
            generation.views -= 1;
            this.#removeWhenUnused(generation);
            ended();
          });
        },
      };
      done(view);
    });
    this.#views += 1;
    generation.views += 1;
  };

  readonly persist: StateStore['persist'] = (done) => {
    this.#checkOpen();
    const generation = this.#current;
    const applied = this.#done;
    // What took the place of the old content meanwhile is durable as well.
    generation.database.sync(() => done(generation === this.#current ? applied : this.#done));
  };

  readonly beginRestore: StateStore['beginRestore'] = (done) => {
    this.#checkOpen();
    if (this.#restoring || this.#writing) {
      throw new Error(`beginRestore was called during a ${this.#writing ? 'write' : 'restore'}`);
    }
    this.#restoring = true;
    const number = this.#current.number + 1;
    const part = partDirectory(this.#root, number);
    this.#run(async () => {
      await removeAll(this.#root, [path.basename(part)]);
      const { database } = await openGeneration(part, this.#health);
      return () => done(this.#restore(number, database));
    });
  };

  #restore(number: number, database: Database): StateRestore {
    return {
      write: (rows, done) => {
        this.#checkOpen();
        database.write(rows.map(putRow), false, done);
      },
      finish: (applied, done) => {
        this.#checkOpen();
        this.#run(async () => {
          await this.#orFailed((written) => database.write([putApplied(applied)], false, written));
          await this.#orFailed((synced) => database.sync(synced));
          await database.close();
          this.#health.databases.delete(database);
          await putInPlace(this.#root, number);
          await this.#switchTo(number);
          return done;
        });
      },
      abandon: (done) => {
        this.#checkOpen();
        this.#run(async () => {
          await this.#remove(database, partDirectory(this.#root, number));
          this.#restoring = false;
          return done;
        });
      },
    };
  }

  async #switchTo(number: number): Promise<void> {
    const directory = generationDirectory(this.#root, number);
    const { database, recovered } = await openGeneration(directory, this.#health);
    const old = this.#current;
    this.#current = { database, number, views: 0, retired: false };
    this.#applied = positionOf(recovered);
    this.#done = this.#applied;
    this.#restoring = false;
    old.retired = true;
    this.#removeWhenUnused(old);
  }

  #removeWhenUnused(generation: Generation): void {
    if (!generation.retired || generation.views > 0 || this.#closing !== undefined) return;
    this.#run(async () => {
      await this.#remove(generation.database, generationDirectory(this.#root, generation.number));
      return () => undefined;
    });
  }

  /** Waits for what is in flight there. */
  async #remove(database: Database, directory: string): Promise<void> {
    await database.close('removed');
    this.#health.databases.delete(database);
    await removeAll(this.#root, [path.basename(directory)]);
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new Error(`${this.#root} is closed`);
  }

  /** Carries out `work` and then what it gives; a failure is that of the store. */
  #run(work: () => Promise<() => void>): void {
    let healthy = true;
    void this.#health.failed.then(() => (healthy = false));
    const running = orStorageError(this.#root, work()).then(
      (done) => {
        this.#work.delete(running);
        if (healthy) done();
      },
      (error: unknown) => {
        this.#work.delete(running);
        if (!(error instanceof StorageError)) throw error;
        this.#health.fail(error);
      },
    );
    this.#work.add(running);
  }

  /** Never resolves after a failure, as no callback comes then. */
  #orFailed(operation: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => operation(resolve));
  }

  readonly close = (): Promise<void> => {
    this.#closing ??= this.#close();
    return this.#closing;
  };

  async #close(): Promise<void> {
    // Nothing of it begins anything but what removes a generation, and that not while closing.
    await Promise.race([Promise.all(this.#work), this.#health.failed]);
    await Promise.all([...this.#health.databases].map((database) => database.close()));
  }
}

function positionOf({ index, term }: Position): Position {
  return { index, term };
}
