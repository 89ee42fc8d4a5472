/**
 * The term of every entry, as the starts of runs of equal terms: terms change rarely, so millions of entries take a
 * few numbers.
 */

import type { Index, Position, Term } from './entry.js';

export class TermRuns {
  /** Invariant: strictly increasing in index and in term. */
  readonly #runs: Position[];

  constructor(runs: readonly Position[]) {
    this.#runs = [...runs];
  }

  get runs(): readonly Position[] {
    return this.#runs;
  }

  /** The caller knows that the log holds `index`. */
  at(index: Index): Term | undefined {
    return this.#runs[this.#runAt(index)]?.term;
  }

  push(index: Index, term: Term): void {
    if (this.#runs.at(-1)?.term !== term) this.#runs.push({ index, term });
  }

  truncateFrom(index: Index): void {
    while (this.#runs.length > 0 && (this.#runs.at(-1)?.index ?? 0) >= index) this.#runs.pop();
  }

  /** Forgets what is at or before `index`; the run that goes on behind it starts there. The log goes on behind `index`. */
  compactTo(index: Index): void {
    const run = this.#runAt(index + 1);
    const term = this.#runs[run]?.term;
    this.#runs.splice(0, run + 1);
    if (term !== undefined && this.#runs[0]?.index !== index + 1)
      this.#runs.unshift({ index: index + 1, term });
  }

  /** The largest index <= `index` with a term <= `term`; 0 when there is none. */
  lastIndexOfTermAtMost(index: Index, term: Term): Index {
    let end = index;
    for (let run = this.#runAt(index); run >= 0; run -= 1) {
      const start = this.#runs[run];
      if (start === undefined || start.term <= term) return end;
      end = start.index - 1;
    }
    return end;
  }

  /** The number of the run that holds `index`; -1 when `index` is before the first one. */
  #runAt(index: Index): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#runs[middle]?.index ?? Infinity) <= index) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
