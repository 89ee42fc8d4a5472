/** How many bytes of log lie where: enough to say how much has come since a snapshot, and where to cut the log. */

import type { Index } from '../raft/entry.js';

interface Mark {
  readonly index: Index;
  /** Of everything up to `index`, from an arbitrary start. */
  readonly bytes: number;
}

/** Marks that are kept; with more, every second one is dropped, and what is told becomes coarser. */
const MARKS_MAX = 1024;

/** What is between two marks is taken to be spread evenly. */
export class LogSizes {
  /** Invariant: never empty; increasing in both. */
  #marks: Mark[];

  /** A log of `bytes` from behind `base` to `last`. */
  constructor(base: Index, last: Index, bytes: number) {
    this.#marks = [{ index: base, bytes: 0 }];
    if (last > base) this.#marks.push({ index: last, bytes });
  }

  /** Entries of so many bytes were added, up to `index`; those at or before the newest mark are known already. */
  add(index: Index, bytes: number): void {
    const newest = this.#newest;
    if (index <= newest.index) return;
    this.#marks.push({ index, bytes: newest.bytes + bytes });
    if (this.#marks.length > MARKS_MAX)
      this.#marks = this.#marks.filter((_, at) => at % 2 === 0 || at === MARKS_MAX);
  }

  /** A log that begins behind `index`, with nothing in it that is known. */
  reset(index: Index): void {
    this.#marks = [{ index, bytes: 0 }];
  }

  /** The log begins behind `index` now. */
  forgetBefore(index: Index): void {
    while ((this.#marks[1]?.index ?? Infinity) <= index) this.#marks.shift();
  }

  /** Of the entries behind `from`, up to `to`. */
  between(from: Index, to: Index): number {
    return Math.max(0, this.#bytesAt(to) - this.#bytesAt(from));
  }

  /** The largest index with at least `bytes` of entries behind it, up to `end`; as far as is known. */
  indexBehind(end: Index, bytes: number): Index {
    const limit = this.#bytesAt(end) - bytes;
    const after = this.#marks.findIndex((mark) => mark.bytes > limit);
    if (after < 0) return Math.min(end, this.#newest.index);
    const [low, high] = [this.#marks[after - 1], this.#marks[after]];
    if (low === undefined || high === undefined) return this.#marks[0]?.index ?? 0;
    const share = (limit - low.bytes) / (high.bytes - low.bytes);
    return Math.min(end, low.index + Math.floor(share * (high.index - low.index)));
  }

  get #newest(): Mark {
    return this.#marks.at(-1) ?? { index: 0, bytes: 0 };
  }

  #bytesAt(index: Index): number {
    const after = this.#marks.findIndex((mark) => mark.index > index);
    if (after < 0) return this.#newest.bytes;
    const [low, high] = [this.#marks[after - 1], this.#marks[after]];
    if (low === undefined || high === undefined) return 0;
    return low.bytes + ((high.bytes - low.bytes) * (index - low.index)) / (high.index - low.index);
  }
}
