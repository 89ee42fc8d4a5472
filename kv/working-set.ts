/**
 * The rows that one batch of entries reads and changes. What it reads was fetched beforehand, so that commands are
 * applied without I/O; what it changes is written afterwards, in one batch.
 *
 * Counters and sessions are decoded once a batch, and written at the end of each entry that touched them, in the order in which it first did:
 * what an entry changes, and in which order, must not depend on the entries that share its batch (`chain.ts`).
 */

import type { RowChange } from './chain.js';
import { invariant } from './invariant.js';
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

/** A row whose record is decoded. */
interface Decoded<T> {
  readonly row: Buffer;
  value: T;
  /** By the entry that is being applied. */
  isTouched: boolean;
  readonly encode: (value: T) => Buffer | undefined;
}

export class WorkingSet {
  /** By row, as latin1 text: one character a byte, so that it is exact and cheap. */
  readonly #rows = new Map<string, Buffer | undefined>();
  readonly #changed = new Map<string, { readonly row: Buffer; readonly isNew: boolean }>();
  /** By the row itself: counters are constants. */
  readonly #counters = new Map<Buffer, Decoded<number>>();
  readonly #sessions = new Map<number, Decoded<Session | undefined>>();
  #touched: (() => void)[] = [];
  #noted: Change[] = [];
  #journal: RowChange[] = [];

  /** `values` are those of `rows`, in order. */
  constructor(rows: readonly Buffer[], values: readonly (Buffer | undefined)[]) {
    rows.forEach((row, at) => this.fetched(row, values[at]));
  }

  /** What the store holds in a row, before anything is applied. */
  fetched(row: Buffer, record: Buffer | undefined): void {
    this.#rows.set(row.toString('latin1'), record);
  }

  get(row: Buffer): Buffer | undefined {
    const id = row.toString('latin1');
    const record = this.#rows.get(id);
    invariant(record !== undefined || this.#rows.has(id), `row ${id} was not fetched before it was read`);
    return record;
  }

  put(row: Buffer, value: Buffer): void {
    this.#change(row, value);
  }

  delete(row: Buffer): void {
    this.#change(row, undefined);
  }

  /** What the counter in `row` stands at. */
  countOf(row: Buffer): number {
    return this.#counter(row).value;
  }

  /** Adds to the counter in `row`. */
  count(row: Buffer, change: number): void {
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
  changes(): { readonly puts: [row: Buffer, value: Buffer, isNew: boolean][]; readonly deletes: Buffer[] } {
    const puts: [Buffer, Buffer, boolean][] = [];
    const deletes: Buffer[] = [];
    for (const [id, { row, isNew }] of this.#changed) {
      const value = this.#rows.get(id);
      if (value !== undefined) puts.push([row, value, isNew]);
      else if (!isNew) deletes.push(row);
    }
    return { puts, deletes };
  }

  #counter(row: Buffer): Decoded<number> {
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

  #change(row: Buffer, value: Buffer | undefined): void {
    const id = row.toString('latin1');
    if (!this.#changed.has(id)) {
      const isNew = this.#rows.has(id) && this.#rows.get(id) === undefined;
      this.#changed.set(id, { row, isNew });
    }
    this.#rows.set(id, value);
    this.#journal.push([row, value]);
  }
}
