/**
 * Rows on their way to a store, the newest value of each. A row that comes and goes before it is written, and that the store is known not to hold,
 * needs no writing at all.
 */

import type { Applied } from './state-store.js';

export interface PendingRows {
  /** They are written in this order, from 1. */
  readonly number: number;
  /** By their keys as latin1 text; null: a deletion. */
  readonly rows: ReadonlyMap<string, Buffer | null>;
  /** Of the keys and values in `rows`. */
  readonly bytes: number;
  /** Undefined: there is nothing to be written. */
  applied: Applied | undefined;
  /** `isNew`: there is no such row, neither here nor in the store. */
  put(id: string, value: Buffer, isNew: boolean): void;
  /**
   * False: nothing of the row needs to be written.
   *
   * @param isMissing whether the store will certainly not hold the row when these are written; false: that is not known
   */
  delete(id: string, isMissing: (id: string) => boolean): boolean;
}

export function pendingRows(number: number): PendingRows {
  const rows = new Map<string, Buffer | null>();
  /** Rows here that the store will not hold before these are written. */
  const added = new Set<string>();
  let bytes = 0;
  const sizeOf = (id: string, value: Buffer | null | undefined): number =>
    value === undefined ? 0 : id.length + (value?.length ?? 0);
  return {
    number,
    rows,
    get bytes() {
      return bytes;
    },
    applied: undefined,
    put(id, value, isNew) {
      const before = rows.get(id);
      bytes += sizeOf(id, value) - sizeOf(id, before);
      // One that is deleted here is new, too, and the store may hold it all the same.
      if (isNew && before === undefined) added.add(id);
      rows.set(id, value);
    },
    delete(id, isMissing) {
      const before = rows.get(id);
      bytes -= sizeOf(id, before);
      if (added.delete(id) || isMissing(id)) {
        if (before !== undefined) rows.delete(id);
        return false;
      }
      bytes += sizeOf(id, null);
      rows.set(id, null);
      return true;
    },
  };
}
