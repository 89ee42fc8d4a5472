/** Carries appends and compactions to the log store, which takes a new base only while nothing else is on its way. */

import type { LogStore } from '../persistence/log-store.js';
import type { Snapshot } from '../raft/entry.js';
import type { Append } from '../raft/ready.js';

export class LogWriter {
  readonly #store: LogStore;
  #compacting = false;
  #onCompacted: (() => void) | undefined;
  #stopped = false;

  constructor(store: LogStore) {
    this.#store = store;
  }

  get isCompacting(): boolean {
    return this.#compacting;
  }

  /** Begins nothing any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** `done` once all of it is durable. Not to be called again before that. */
  append(append: Append, done: () => void): void {
    const { newBase, entries, hardState } = append;
    if (newBase === undefined) {
      this.#store.append(hardState === undefined ? { entries } : { entries, hardState }, done);
    } else if (this.#compacting) {
      this.#onCompacted = () => this.append(append, done);
    } else {
      // Entries may have been committed behind the base by now; the log does not hold them before they are appended.
      const commit = Math.min(hardState?.commit ?? newBase.index, newBase.index);
      this.#store.reset(newBase, hardState && { ...hardState, commit }, () => {
        if (this.#stopped) return;
        if (entries.length === 0) done();
        else this.#store.append({ entries }, done);
      });
    }
  }

  /** Not to be called while one is under way. */
  compact(base: Snapshot, done: () => void): void {
    this.#compacting = true;
    this.#store.compact(base, () => {
      this.#compacting = false;
      if (this.#stopped) return;
      const next = this.#onCompacted;
      this.#onCompacted = undefined;
      next?.();
      done();
    });
  }
}
