/**
 * The rows that one batch of commands reads and changes. What it reads was fetched beforehand, so that commands are
 * applied without I/O; what it changes is written afterwards, in one batch.
 */

import type { RowChange } from './chain.js';
import { invariant } from './invariant.js';

/** What became of a key. */
export interface Change {
  readonly kind: 'put' | 'delete' | 'expired';
  readonly key: string;
  /** Of a `put`. */
  readonly value?: Uint8Array;
}

export class WorkingSet {
  /** By row, as latin1 text: one character a byte, so that it is exact and cheap. */
  readonly #rows = new Map<string, Buffer | undefined>();
  readonly #changed = new Map<string, Buffer>();
  #noted: Change[] = [];
  #journal: RowChange[] = [];

  /** `values` are those of `rows`, in order. */
  constructor(rows: readonly Buffer[], values: readonly (Buffer | undefined)[]) {
    rows.forEach((row, at) => this.#rows.set(row.toString('latin1'), values[at]));
  }

  get(row: Buffer): Buffer | undefined {
    const id = row.toString('latin1');
    invariant(this.#rows.has(id), `row ${id} was not fetched before it was read`);
    return this.#rows.get(id);
  }

  put(row: Buffer, value: Buffer): void {
    this.#change(row, value);
  }

  delete(row: Buffer): void {
    this.#change(row, undefined);
  }

  /** To be written down in the history. */
  note(change: Change): void {
    this.#noted.push(change);
  }

  /** What was noted since the last call. */
  takeNotes(): readonly Change[] {
    const noted = this.#noted;
    if (noted.length > 0) this.#noted = [];
    return noted;
  }

  /** What was changed since the last call, in order. */
  takeJournal(): readonly RowChange[] {
    const journal = this.#journal;
    if (journal.length > 0) this.#journal = [];
    return journal;
  }

  /** What is to be written, each row once. */
  changes(): { readonly puts: [row: Buffer, value: Buffer][]; readonly deletes: Buffer[] } {
    const puts: [Buffer, Buffer][] = [];
    const deletes: Buffer[] = [];
    for (const [id, row] of this.#changed) {
      const value = this.#rows.get(id);
      if (value === undefined) deletes.push(row);
      else puts.push([row, value]);
    }
    return { puts, deletes };
  }

  #change(row: Buffer, value: Buffer | undefined): void {
    const id = row.toString('latin1');
    this.#rows.set(id, value);
    this.#changed.set(id, row);
    this.#journal.push([row, value]);
  }
}
