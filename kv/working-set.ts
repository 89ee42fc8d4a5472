/**
 * The rows that one batch of entries reads and changes. What it reads was fetched beforehand, so that commands are
 * applied without I/O; what it changes is written afterwards, in one batch.
 *
 * Counters and sessions are decoded once a batch, and written at the end of each entry that touched them, in the order in which it first did:
 * what an entry changes, and in which order, must not depend on the entries that share its batch (`chain.ts`).
 */

import type { RowChange } from './chain.js';
import { invariant } from './invariant.js';
import type { Row } from './rows.js';
import { decodeCount, encodeCount } from './rows.js';
import type { Session } from './session-rows.js';
import { decodeSession, encodeSession, sessionRow } from './session-rows.js';

/** What became of a key. */
export interface Change {
  readonly kind: 'put' | 'delete' | 'expired';
  readonly key: string;
  /** Of a `put`. */
  readonly value?: Uint8Array;
}

interface Cell {
  readonly row: Row;
  record: Buffer | undefined;
  /** The store was found not to hold it. */
  readonly isNew: boolean;
  isChanged: boolean;
}

/** A row whose record is decoded. */
interface Decoded<T> {
  readonly row: Row;
  value: T;
  /** By the entry that is being applied. */
  isTouched: boolean;
  readonly encode: (value: T) => Buffer | undefined;
}

export class WorkingSet {
  readonly #cells = new Map<Row, Cell>();
  /** In the order in which they were first changed. */
  readonly #changed: Cell[] = [];
  readonly #counters = new Map<Row, Decoded<number>>();
  readonly #sessions = new Map<number, Decoded<Session | undefined>>();
  #touched: (() => void)[] = [];
  #noted: Change[] = [];
  #journal: RowChange[] = [];

  /** `values` are those of `rows`, in order. */
  constructor(rows: readonly Row[], values: readonly (Buffer | undefined)[]) {
    rows.forEach((row, at) => this.fetched(row, values[at]));
  }

  /** What the store holds in a row, before anything is done with it. */
  fetched(row: Row, record: Buffer | undefined): void {
    this.#cells.set(row, { row, record, isNew: record === undefined, isChanged: false });
  }

  /** Whether the row was fetched, or changed. */
  has(row: Row): boolean {
    return this.#cells.has(row);
  }

  get(row: Row): Buffer | undefined {
    const cell = this.#cells.get(row);
    invariant(cell !== undefined, `row ${row} was not fetched before it was read`);
    return cell.record;
  }

  put(row: Row, value: Buffer): void {
    this.#change(row, value);
  }

  delete(row: Row): void {
    this.#change(row, undefined);
  }

  /** What the counter in `row` stands at. */
  countOf(row: Row): number {
    return this.#counter(row).value;
  }

  /** Adds to the counter in `row`. */
  count(row: Row, change: number): void {
    if (change === 0) return;
    const counter = this.#counter(row);
    this.#touch(counter, counter.value + change);
  }

  session(clientId: number): Session | undefined {
    return this.#session(clientId).value;
  }

  /** There was none of this id before: it was not fetched. */
  openSession(clientId: number, session: Session): void {
    this.fetched(sessionRow(clientId), undefined);
    this.putSession(clientId, session);
  }

  /** Undefined: it ends. */
  putSession(clientId: number, session: Session | undefined): void {
    this.#touch(this.#session(clientId), session);
  }

  /** An entry is applied: what it counted, and what it did to sessions, is written. */
  settle(): void {
    for (const write of this.#touched) write();
    this.#touched = [];
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

  /** What is to be written, each row once; `isNew`: the store was found not to hold it. */
  changes(): { readonly puts: [row: Row, value: Buffer, isNew: boolean][]; readonly deletes: Row[] } {
    const puts: [Row, Buffer, boolean][] = [];
    const deletes: Row[] = [];
    for (const { row, record, isNew } of this.#changed) {
      if (record !== undefined) puts.push([row, record, isNew]);
      else if (!isNew) deletes.push(row);
    }
    return { puts, deletes };
  }

  #counter(row: Row): Decoded<number> {
    let counter = this.#counters.get(row);
    if (counter === undefined) {
      counter = { row, value: decodeCount(this.get(row)), isTouched: false, encode: encodeCount };
      this.#counters.set(row, counter);
    }
    return counter;
  }

  #session(clientId: number): Decoded<Session | undefined> {
    let session = this.#sessions.get(clientId);
    if (session === undefined) {
      const row = sessionRow(clientId);
      const record = this.get(row);
      const value = record === undefined ? undefined : decodeSession(record);
      session = { row, value, isTouched: false, encode: (known) => known && encodeSession(known) };
      this.#sessions.set(clientId, session);
    }
    return session;
  }

  #touch<T>(decoded: Decoded<T>, value: T): void {
    decoded.value = value;
    if (decoded.isTouched) return;
    decoded.isTouched = true;
    this.#touched.push(() => {
      decoded.isTouched = false;
      this.#change(decoded.row, decoded.encode(decoded.value));
    });
  }

  #change(row: Row, record: Buffer | undefined): void {
    let cell = this.#cells.get(row);
    if (cell === undefined) {
      cell = { row, record, isNew: false, isChanged: false };
      this.#cells.set(row, cell);
    }
    cell.record = record;
    if (!cell.isChanged) {
      cell.isChanged = true;
      this.#changed.push(cell);
    }
    this.#journal.push([row, record]);
  }
}
