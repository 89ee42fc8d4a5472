/**
 * The port to the state machine's data: an ordered map of bytes with atomic batches. Writes are *not* synced: what a
 * crash takes away is applied again from the log, because the applied position is in the same batch as the data.
 * Errors as in `log-store.ts`: final, reported once through `fatal`.
 *
 * Buffers that are given to `write`, and those that a read gives, are never changed again, by neither side: so none has to be copied in between.
 */

import type { Configuration } from '../membership/configuration.js';
import type { Index, Position } from '../raft/entry.js';

/** A row's key: any bytes, as text of one character each (latin1), so that keys are looked up and compared without a detour through Buffers. */
export type RowKey = string;

/** How far the state has come; part of every batch, so that nothing is ever applied twice. */
export interface Applied extends Position {
  /** The last configuration at or before `index`, and the index of its entry. */
  readonly configuration: Configuration | undefined;
  readonly configurationIndex: Index;
}

export interface StateBatch {
  /** Its index is above that of the batch before, its term not below. `write` throws otherwise. */
  readonly applied: Applied;
  /**
   * They come after `deletes`; of several on one key the last counts. `isNew`: the writer knows, from what it read, that there is no such row
   * so far; it only spares work.
   */
  readonly puts: ReadonlyArray<readonly [key: RowKey, value: Buffer, isNew?: boolean]>;
  readonly deletes: readonly RowKey[];
}

/** Half-open or not, in byte order of the keys. Of `gte` and `gt` the stricter counts when both are given, likewise above. */
export interface Range {
  readonly gte?: RowKey;
  readonly gt?: RowKey;
  readonly lt?: RowKey;
  readonly lte?: RowKey;
  readonly reverse?: boolean;
  /**
   * At most so many entries; the answer ends as well once its keys and values hold `bytesMax` bytes: with the entry that reaches them,
   * so it exceeds them by less than one entry.
   */
  readonly limit: number;
  readonly bytesMax: number;
}

export interface Scan {
  readonly entries: readonly StateRow[];
  /** True when the range holds more than was given. */
  readonly more: boolean;
  /** The applied position of the view that was read: exactly the entries up to it are reflected. */
  readonly applied: Position;
}

/** A row that a scan or a view gives, or a restore takes. */
export type StateRow = readonly [key: RowKey, value: Buffer];

/**
 * Everything there is, as of one moment, however long it takes to read and whatever is written or restored meanwhile. It holds back what the
 * disk could free, so it is to be closed soon. Neither method may be called before the last call's `done`.
 */
export interface StateView {
  /** Exactly the entries up to it are reflected. */
  readonly applied: Applied;
  /**
   * The next rows in the order of their keys, checked; it ends with the row by which their keys and values, as they are stored, reach `bytesMax`.
   * Empty: there are no more.
   */
  next(bytesMax: number, done: (rows: readonly StateRow[]) => void): void;
  /** The view may not be used any more (it throws). */
  close(done: () => void): void;
}

/** New content, beside the old one until it is complete. No method may be called before the last call's `done`. */
export interface StateRestore {
  /** Keys may come in any order; of several rows with one key the last counts. The values are copied before it returns. */
  write(rows: readonly StateRow[], done: () => void): void;
  /**
   * Puts the new content in the place of the old one, durably. After a crash there is one of the two. What was asked for before is
   * answered from the old one; reads go on meanwhile.
   */
  finish(applied: Applied, done: () => void): void;
  /** Drops the new content; the old one stays. */
  abandon(done: () => void): void;
}

/** Views of one store that may be open at a time. */
export const VIEWS_MAX = 8;

export interface StateStore {
  /** As of opening. Not kept up to date: the node keeps its own. */
  readonly recovered: Applied;

  /** One value a key, in order, all of one view; undefined where there is none. As below, `done` is never called within the call. */
  getMany(keys: readonly RowKey[], done: (values: ReadonlyArray<Buffer | undefined>) => void): void;

  /** As `getMany`, where the first `bytes` bytes of each value are enough: a longer one may be cut there, and then holds no more than that in memory. */
  getHeads(
    keys: readonly RowKey[],
    bytes: number,
    done: (heads: ReadonlyArray<Buffer | undefined>) => void,
  ): void;

  /** Atomically. Not to be called again before `done`; the Buffers in the batch are the store's from the call on. Later `getMany` and `scan` calls see it once `done` was called. */
  write(batch: StateBatch, done: () => void): void;

  /** One consistent view, however long it takes and whatever is written meanwhile. */
  scan(range: Range, done: (scan: Scan) => void): void;

  /** Throws when `VIEWS_MAX` are open. */
  openView(done: (view: StateView) => void): void;

  /**
   * Makes durable what is written: after a crash the store has applied at least up to the position that `done` is given, that of
   * the last write that was done at the call. The log must keep everything behind it.
   */
  persist(done: (applied: Position) => void): void;

  /**
   * Begins to replace everything. Until `finish` or `abandon` is done, reads, scans and views are of the old content, and `write` and another
   * `beginRestore` throw; `beginRestore` throws while a write is in flight. What a crash leaves unfinished is removed at the next opening.
   */
  beginRestore(done: (restore: StateRestore) => void): void;

  /** Ends after what is in flight, and closes views; nothing may be called afterwards (it throws). An unfinished restore is dropped. */
  close(): Promise<void>;
}

/** A store that nothing was ever applied to. */
export const NOTHING_APPLIED: Applied = Object.freeze({
  index: 0,
  term: 0,
  configuration: undefined,
  configurationIndex: 0,
});
