/**
 * A state store whose writes are done once they are in memory; they reach the store under it in order, gathered, a moment later. Nothing that a
 * node promises hangs on that: the state is not synced anyway, and what a crash takes away is applied again from the log, since the applied
 * position goes with it. What asks for durability or for a view waits until everything before it is written.
 *
 * Rows that were read lately stay in memory, so that reading them takes no trip to the engine; what was only ever written does not, since most of that is
 * never asked for. Buffers are not copied on their way: nobody changes one that was written or read (`state-store.ts`).
 */

import type { PendingRows } from './pending-rows.js';
import { pendingRows } from './pending-rows.js';
import { headOf } from './head.js';
import { checkApplied } from './range.js';
import { rowCache } from './row-cache.js';
import type { Position } from '../raft/entry.js';
import type { Applied, RowKey, StateBatch, StateRestore, StateStore, StateView } from './state-store.js';
import { VIEWS_MAX } from './state-store.js';

/** What makes things happen later. */
export interface Timers {
  /** After what runs now. */
  soon(task: () => void): void;
  /** Returns what calls it off. */
  after(delayMs: number, task: () => void): () => void;
}

const REAL_TIMERS: Timers = {
  soon: (task) => process.nextTick(task),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};

export interface BufferOptions {
  /** Of rows that wait to be written; a write that brings them above this is done only when they have been. */
  readonly pendingBytesMax: number;
  /** What waits is written after so long at the latest, */
  readonly delayMs: number;
  /** or once it comes to so much, so that no single turn of the event loop has too many rows to hand over. */
  readonly flushBytes: number;
  /** Of rows that stay in memory. */
  readonly cacheBytes: number;
  /** Whether a row that was written is likely to be read: it stays in memory then, whether it was read before or not. */
  readonly isAskedFor: (key: RowKey) => boolean;
  /** Resolves when the store under it has failed: from then on it calls nothing back. */
  readonly failed: Promise<void>;
  /** At once, whereas a promise is heard of later: a store that has failed calls nothing back. */
  readonly hasFailed: () => boolean;
  /** Default: those of Node.js. */
  readonly timers?: Timers;
}

export function bufferedStateStore(store: StateStore, options: BufferOptions): StateStore {
  return new BufferedStateStore(store, options);
}

class BufferedStateStore implements StateStore {
  readonly recovered: Applied;
  readonly #store: StateStore;
  readonly #options: BufferOptions;
  readonly #cache;
  #pending = pendingRows(1);
  /** What is being written to the store. */
  #flushing: PendingRows | undefined;
  readonly #timers: Timers;
  /** Calls off the writing of what waits. */
  #callOff: (() => void) | undefined;
  /** That of the last write that was asked for. */
  #applied: Position;
  /** That of the last write that is done. */
  #done: Position;
  /** Restores that were finished. */
  #restores = 0;
  #writing = false;
  #restoring = false;
  /** From when a restore is to take effect until it has: rows of the one content must not pass for the other's. */
  #replacing = false;
  /** What the write that is under way does at last. */
  #landing: (() => void) | undefined;
  /** It waits for room. */
  #isBlocked = false;
  /** What waits until the rows of this number are written. Bound: what the callers have in flight. */
  #draining: { readonly number: number; readonly next: () => void }[] = [];
  #views = 0;
  /** How often what the store under it holds has changed: the rows in `#cache` are what it holds, those in `#flushing` aside. */
  #contents = 0;
  #closing: Promise<void> | undefined;

  constructor(store: StateStore, options: BufferOptions) {
    this.recovered = store.recovered;
    this.#store = store;
    this.#options = options;
    this.#timers = options.timers ?? REAL_TIMERS;
    this.#cache = rowCache(options.cacheBytes);
    const { index, term } = store.recovered;
    this.#done = { index, term };
    this.#applied = this.#done;
  }

  readonly getMany: StateStore['getMany'] = (keys, done) => this.#read(keys, Infinity, done);

  readonly getHeads: StateStore['getHeads'] = (keys, bytes, done) => this.#read(keys, bytes, done);

  #read(
    keys: readonly RowKey[],
    bytesMax: number,
    done: (values: ReadonlyArray<Buffer | undefined>) => void,
  ): void {
    this.#checkOpen();
    const values = new Array<Buffer | undefined>(keys.length);
    const missing: RowKey[] = [];
    const places: number[] = [];
    for (const [at, key] of keys.entries()) {
      let row = this.#pending.rows.get(key);
      if (row === undefined) row = this.#flushing?.rows.get(key);
      if (row === undefined) row = this.#cache.get(key, bytesMax);
      if (row !== undefined) {
        values[at] = row ?? undefined;
        continue;
      }
      missing.push(key);
      places.push(at);
    }
    if (missing.length === 0) {
      this.#timers.soon(() => {
        if (!this.#options.hasFailed()) done(values);
      });
      return;
    }
    const contents = this.#contents;
    this.#store.getMany(missing, (found) => {
      for (const [at, place] of places.entries()) values[place] = headOf(found[at], bytesMax);
      // Otherwise what it held then need not be what it holds now. What is on its way there is put right once it has come.
      if (contents === this.#contents && !this.#replacing) {
        for (const [at, key] of missing.entries()) this.#cache.keep(key, found[at] ?? null);
      }
      done(values);
    });
  }

  readonly write: StateStore['write'] = (batch, done) => {
    this.#checkOpen();
    if (this.#writing) throw new Error('write was called before the last one was done');
    if (this.#restoring) throw new Error('write was called during a restore');
    checkApplied(this.#applied, batch.applied);
    this.#applied = batch.applied;
    const { index, term } = batch.applied;
    this.#writing = true;
    // Nobody sees it before it is done: who reads until then tells of what was applied until then.
    this.#landing = () => {
      this.#take(batch);
      if (this.#pending.bytes >= this.#options.flushBytes) this.#flush();
      else this.#flushLater();
      this.#writing = false;
      this.#done = { index, term };
      done();
    };
    if (this.#pending.applied === undefined || this.#pending.bytes < this.#options.pendingBytesMax) {
      this.#timers.soon(() => this.#land());
    } else {
      this.#isBlocked = true;
      this.#flush();
    }
  };

  #take({ applied, puts, deletes }: StateBatch): void {
    const pending = this.#pending;
    for (const key of deletes) {
      if (!pending.delete(key, this.#isMissing)) this.#cache.written(key, null);
    }
    for (const [key, value, isNew = false] of puts) pending.put(key, value, isNew);
    pending.applied = applied;
  }

  /** Known not to be in the store under this one once everything before `#pending` is written. */
  readonly #isMissing = (key: RowKey): boolean => {
    const row = this.#flushing?.rows.get(key);
    return row === undefined ? this.#cache.isMissing(key) : row === null;
  };

  #land(): void {
    const landing = this.#landing;
    this.#landing = undefined;
    if (!this.#options.hasFailed()) landing?.();
  }

  #flushLater(): void {
    this.#callOff ??= this.#timers.after(this.#options.delayMs, () => this.#flush());
  }

  #flush(): void {
    this.#callOff?.();
    this.#callOff = undefined;
    const { applied, rows } = this.#pending;
    if (this.#flushing !== undefined || applied === undefined) return;
    const flushing = this.#pending;
    this.#flushing = flushing;
    this.#pending = pendingRows(flushing.number + 1);
    const puts: [RowKey, Buffer][] = [];
    const deletes: RowKey[] = [];
    for (const [key, value] of rows) {
      if (value === null) deletes.push(key);
      else puts.push([key, value]);
    }
    this.#store.write({ applied, puts, deletes }, () => this.#flushed(flushing));
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    this.#timers.soon(() => this.#land());
  }

  #flushed({ number, rows }: PendingRows): void {
    this.#contents += 1;
    for (const [key, value] of rows) {
      if (value !== null && this.#options.isAskedFor(key)) this.#cache.keep(key, value);
      else this.#cache.written(key, value);
    }
    this.#flushing = undefined;
    // Before the next write begins, so that a restore finds none in flight.
    const waiting = this.#draining;
    this.#draining = waiting.filter((one) => one.number > number);
    for (const one of waiting) if (one.number <= number) one.next();
    if (this.#pending.applied === undefined) return;
    const isUrgent = this.#draining.length > 0 || this.#isBlocked;
    if (isUrgent || this.#pending.bytes >= this.#options.flushBytes) this.#flush();
    else this.#flushLater();
  }

  /** Runs `next` once everything is written that was asked for until now. */
  #drained(next: () => void): void {
    const last = this.#pending.applied === undefined ? this.#flushing : this.#pending;
    if (last === undefined) {
      next();
      return;
    }
    this.#draining.push({ number: last.number, next });
    this.#flush();
  }

  readonly scan: StateStore['scan'] = (range, done) => {
    this.#checkOpen();
    this.#drained(() => this.#store.scan(range, done));
  };

  readonly openView: StateStore['openView'] = (done) => {
    this.#checkOpen();
    if (this.#views >= VIEWS_MAX) throw new Error(`${VIEWS_MAX} views of the state are open already`);
    this.#views += 1;
    this.#drained(() => this.#store.openView((view) => done(this.#counted(view))));
  };

  #counted(view: StateView): StateView {
    return {
      applied: view.applied,
      next: (bytesMax, done) => view.next(bytesMax, done),
      close: (done) =>
        view.close(() => {
          this.#views -= 1;
          done();
        }),
    };
  }

  readonly persist: StateStore['persist'] = (done) => {
    this.#checkOpen();
    const applied = this.#done;
    const restores = this.#restores;
    // What a restore put in its place meanwhile is durable as well.
    this.#drained(() => this.#store.persist((found) => done(restores === this.#restores ? applied : found)));
  };

  readonly beginRestore: StateStore['beginRestore'] = (done) => {
    this.#checkOpen();
    if (this.#restoring || this.#writing) {
      throw new Error(`beginRestore was called during a ${this.#writing ? 'write' : 'restore'}`);
    }
    this.#restoring = true;
    this.#drained(() => this.#store.beginRestore((restore) => done(this.#watched(restore))));
  };

  #watched(restore: StateRestore): StateRestore {
    return {
      write: (rows, done) => restore.write(rows, done),
      finish: (applied, done) => {
        this.#replacing = true;
        this.#cache.clear();
        restore.finish(applied, () => {
          // What is being read may be of the old content.
          this.#contents += 1;
          this.#replacing = false;
          this.#restoring = false;
          this.#restores += 1;
          this.#applied = applied;
          this.#done = { index: applied.index, term: applied.term };
          done();
        });
      },
      abandon: (done) =>
        restore.abandon(() => {
          this.#restoring = false;
          done();
        }),
    };
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new Error('the state is closed');
  }

  readonly close = (): Promise<void> => {
    this.#closing ??= this.#close();
    return this.#closing;
  };

  async #close(): Promise<void> {
    this.#land();
    const written = new Promise<void>((resolve) => this.#drained(resolve));
    await Promise.race([written, this.#options.failed]);
    this.#callOff?.();
    await this.#store.close();
  }
}
