/**
 * Rows on their way to a store, the newest value of each. A row that comes and goes before it is written, and that the store is known not to hold,
 * needs no writing at all.
 */

import type { Applied, RowKey } from './state-store.js';

export interface PendingRows {
  /** They are written in this order, from 1. */
  readonly number: number;
  /** Null: a deletion. */
  readonly rows: ReadonlyMap<RowKey, Buffer | null>;
  /** Of the keys and values in `rows`. */
  readonly bytes: number;
  /** Undefined: there is nothing to be written. */
  applied: Applied | undefined;
  /** `isNew`: there is no such row, neither here nor in the store. */
  put(key: RowKey, value: Buffer, isNew: boolean): void;
  /**
   * False: nothing of the row needs to be written.
   *
   * @param isMissing whether the store will certainly not hold the row when these are written; false: that is not known
   */
  delete(key: RowKey, isMissing: (key: RowKey) => boolean): boolean;
}

export function pendingRows(number: number): PendingRows {
  const rows = new Map<RowKey, Buffer | null>();
  /** Rows here that the store will not hold before these are written. */
  const added = new Set<RowKey>();
  let bytes = 0;
  const sizeOf = (key: RowKey, value: Buffer | null | undefined): number =>
    value === undefined ? 0 : key.length + (value?.length ?? 0);
  return {
    number,
    rows,
    get bytes() {
      return bytes;
    },
    applied: undefined,
    put(key, value, isNew) {
      const before = rows.get(key);
      bytes += sizeOf(key, value) - sizeOf(key, before);
      // One that is deleted here is new, too, and the store may hold it all the same.
      if (isNew && before === undefined) added.add(key);
      rows.set(key, value);
    },
    delete(key, isMissing) {
      const before = rows.get(key);
      bytes -= sizeOf(key, before);
      if (added.delete(key) || isMissing(key)) {
        if (before !== undefined) rows.delete(key);
        return false;
      }
      bytes += sizeOf(key, null);
      rows.set(key, null);
      return true;
    },
  };
}
