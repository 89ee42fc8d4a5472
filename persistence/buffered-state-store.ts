/**
 * A state store whose writes are done once they are in memory; they reach the store under it in order, gathered, a moment later. Nothing that a
 * node promises hangs on that: the state is not synced anyway, and what a crash takes away is applied again from the log, since the applied
 * position goes with it. What asks for durability or for a view waits until everything before it is written.
 *
 * Rows that were read or written lately stay in memory, so that reading them takes no trip to the engine.
 */

import { checkApplied } from './range.js';
import { rowCache } from './row-cache.js';
import type { Position } from '../raft/entry.js';
import type { Applied, StateBatch, StateRestore, StateStore, StateView } from './state-store.js';
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
  /** What waits is written after so long at the latest. */
  readonly delayMs: number;
  /** Of rows that stay in memory. */
  readonly cacheBytes: number;
  /** Resolves when the store under it has failed: from then on it calls nothing back. */
  readonly failed: Promise<void>;
  /** At once, whereas a promise is heard of later: a store that has failed calls nothing back. */
  readonly hasFailed: () => boolean;
  /** Default: those of Node.js. */
  readonly timers?: Timers;
}

/** Rows on their way, by their keys as latin1 text; null: a deletion. */
interface Pending {
  /** They are written in this order, from 1. */
  readonly number: number;
  readonly rows: Map<string, Buffer | null>;
  bytes: number;
  applied: Applied | undefined;
}

const nothingPending = (number: number): Pending => ({
  number,
  rows: new Map(),
  bytes: 0,
  applied: undefined,
});

const idOf = (key: Buffer): string => key.toString('latin1');

/** Buffers are the caller's, those that it gives and those that it gets. */
const copyOf = (row: Buffer | undefined): Buffer | undefined => (row === undefined ? row : Buffer.from(row));

function rowsOf({ puts, deletes }: StateBatch): [string, Buffer | null][] {
  return [
    ...deletes.map((key): [string, null] => [idOf(key), null]),
    ...puts.map(([key, value]): [string, Buffer] => [idOf(key), Buffer.from(value)]),
  ];
}

export function bufferedStateStore(store: StateStore, options: BufferOptions): StateStore {
  return new BufferedStateStore(store, options);
}

class BufferedStateStore implements StateStore {
  readonly recovered: Applied;
  readonly #store: StateStore;
  readonly #options: BufferOptions;
  readonly #cache;
  #pending = nothingPending(1);
  /** What is being written to the store. */
  #flushing: Pending | undefined;
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
  /** Rows that are being read and that nothing was written to since, with the read that is to keep them. */
  readonly #reading = new Map<string, object>();
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

  readonly getMany: StateStore['getMany'] = (keys, done) => {
    this.#checkOpen();
    const values: (Buffer | undefined)[] = [];
    const missing: Buffer[] = [];
    const places: number[] = [];
    keys.forEach((key, at) => {
      const id = idOf(key);
      let row = this.#pending.rows.get(id);
      if (row === undefined) row = this.#flushing?.rows.get(id);
      if (row !== undefined) values[at] = row === null ? undefined : Buffer.from(row);
      else if (this.#cache.has(id)) values[at] = copyOf(this.#cache.get(id));
      else {
        missing.push(key);
        places.push(at);
      }
    });
    if (missing.length === 0) {
      values.length = keys.length;
      this.#timers.soon(() => {
        if (!this.#options.hasFailed()) done(values);
      });
      return;
    }
    const read = {};
    for (const key of missing) this.#reading.set(idOf(key), read);
    this.#store.getMany(missing, (found) => {
      places.forEach((place, at) => (values[place] = found[at]));
      values.length = keys.length;
      missing.forEach((key, at) => this.#keep(idOf(key), found[at], read));
      done(values);
    });
  };

  /** Unless something was written to the row after it was read. */
  #keep(id: string, row: Buffer | undefined, read: object): void {
    if (this.#reading.get(id) !== read) return;
    this.#reading.delete(id);
    if (!this.#replacing) this.#cache.set(id, copyOf(row));
  }

  readonly write: StateStore['write'] = (batch, done) => {
    this.#checkOpen();
    if (this.#writing) throw new Error('write was called before the last one was done');
    if (this.#restoring) throw new Error('write was called during a restore');
    checkApplied(this.#applied, batch.applied);
    this.#applied = batch.applied;
    const { index, term } = batch.applied;
    this.#writing = true;
    const rows = rowsOf(batch);
    // Nobody sees it before it is done: who reads until then tells of what was applied until then.
    this.#landing = () => {
      for (const [id, value] of rows) this.#put(id, value);
      this.#pending.applied = batch.applied;
      this.#flushLater();
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

  #land(): void {
    const landing = this.#landing;
    this.#landing = undefined;
    if (!this.#options.hasFailed()) landing?.();
  }

  #put(id: string, value: Buffer | null): void {
    const pending = this.#pending;
    const before = pending.rows.get(id);
    pending.bytes += value?.length ?? 0;
    pending.bytes += before === undefined ? id.length : -(before?.length ?? 0);
    pending.rows.set(id, value);
    this.#reading.delete(id);
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
    this.#pending = nothingPending(flushing.number + 1);
    const puts: [Buffer, Buffer][] = [];
    const deletes: Buffer[] = [];
    for (const [id, value] of rows) {
      const key = Buffer.from(id, 'latin1');
      if (value === null) deletes.push(key);
      else puts.push([key, value]);
    }
    this.#store.write({ applied, puts, deletes }, () => this.#flushed(flushing));
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    this.#timers.soon(() => this.#land());
  }

  #flushed({ number, rows }: Pending): void {
    for (const [id, value] of rows) this.#cache.set(id, value ?? undefined);
    this.#flushing = undefined;
    // Before the next write begins, so that a restore finds none in flight.
    const waiting = this.#draining;
    this.#draining = waiting.filter((one) => one.number > number);
    for (const one of waiting) if (one.number <= number) one.next();
    if (this.#pending.applied === undefined) return;
    if (this.#draining.length > 0 || this.#isBlocked) this.#flush();
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
          this.#reading.clear();
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
