/** The newest entries of the log with their payloads, bounded in bytes. */

import type { Entry, Index } from './entry.js';
import { entryBytes } from './entry.js';

export class EntryCache {
  readonly #bytesMax: number;
  /** Invariant: consecutive from `#head` on; the last one is the log's last entry. Slots before `#head` are evicted. */
  #entries: Entry[];
  #head = 0;
  #bytes = 0;
  /** The index that the next pushed entry has. */
  #nextIndex: Index;

  /** `tail` ends at `lastIndex`, and may be empty. */
  constructor(bytesMax: number, tail: readonly Entry[], lastIndex: Index) {
    this.#bytesMax = bytesMax;
    this.#entries = [...tail];
    this.#nextIndex = lastIndex + 1;
    for (const entry of tail) this.#bytes += entryBytes(entry);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many entries are held on to, those included that are evicted but not let go yet. At most twice those in use. */
  get slots(): number {
    return this.#entries.length;
  }

  /** The index of the first entry in memory; one behind the log's end when there is none. */
  get #firstIndex(): Index {
    return this.#nextIndex - (this.#entries.length - this.#head);
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entryBytes(entry);
    this.#nextIndex = entry.index + 1;
  }

  truncateFrom(index: Index): void {
    while (this.#nextIndex > index) {
      const entry = this.#entries.length > this.#head ? this.#entries.pop() : undefined;
      if (entry !== undefined) this.#bytes -= entryBytes(entry);
      this.#nextIndex -= 1;
    }
  }

  /** Gives up the oldest entries until the bound holds, but none behind `through`: those are nowhere else yet. */
  evict(through: Index): void {
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#entries[this.#head];
      if (oldest === undefined || oldest.index > through) break;
      this.#bytes -= entryBytes(oldest);
      this.#head += 1;
    }
    // Moving the rest only once half is free keeps the cost per entry constant, and no more payloads than are in use.
    if (this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  /** See `RaftLog.entries`. */
  slice(from: Index, to: Index, bytesMax: number): readonly Entry[] | undefined {
    if (from < this.#firstIndex) return undefined;
    const start = this.#head + (from - this.#firstIndex);
    const end = start + (to - from) + 1;
    let bytes = 0;
    for (let slot = start; slot < end; slot += 1) {
      const entry = this.#entries[slot];
      if (entry === undefined) break;
      bytes += entryBytes(entry);
      if (bytes > bytesMax && slot > start) return this.#entries.slice(start, slot);
    }
    return this.#entries.slice(start, end);
  }

  /**
   * The bytes of the entries behind `index`. Where those behind an earlier index are known (`bytesBehindKnown` behind
   * `known`), only the difference is counted.
   */
  bytesBehind(index: Index, known?: Index, bytesBehindKnown = 0): number {
    if (known === undefined) {
      const entries = this.slice(Math.max(index + 1, this.#firstIndex), this.#nextIndex - 1, Infinity) ?? [];
      return entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
    }
    let bytes = bytesBehindKnown;
    for (let at = Math.max(known + 1, this.#firstIndex); at <= index; at += 1) {
      const entry = this.#entries[this.#head + (at - this.#firstIndex)];
      if (entry !== undefined) bytes -= entryBytes(entry);
    }
    return bytes;
  }
}
