/** Reads rows in pieces, at the caller's pace, from one iterator and so from one view. */

import type { RowIterator } from './engine.js';
import { StorageError } from './errors.js';

export type FoundRow = readonly [key: Buffer, value: Buffer];

export interface Cursor {
  /**
   * The next rows; it ends with the one by which their keys and values reach `bytesMax`. Empty: there are no more. Not to be called again before `done`.
   */
  next(bytesMax: number, done: (rows: readonly FoundRow[]) => void): void;
  /** Once what is in flight is done. */
  end(done: () => void): void;
}

/** @param fail is called in place of `done`, once, when the iterator fails or strays. */
export function cursorOn(iterator: RowIterator, fail: (error: unknown) => void): Cursor {
  let previous: Buffer | undefined;
  return {
    next(bytesMax, done) {
      const rows: FoundRow[] = [];
      let bytes = 0;
      const step = (): void =>
        iterator.next((error, key, value) => {
          if (error) {
            fail(error);
            return;
          }
          if (key === undefined || value === undefined) {
            done(rows);
            return;
          }
          // An engine whose blocks are damaged may lead an iterator astray.
          if (previous !== undefined && Buffer.compare(previous, key) >= 0) {
            fail(new StorageError('damaged', `the rows are out of order at ${key.toString('hex')}`));
            return;
          }
          previous = key;
          rows.push([key, value]);
          bytes += key.length + value.length;
          if (bytes >= bytesMax) done(rows);
          else step();
        });
      step();
    },
    end: (done) => iterator.end(done),
  };
}
