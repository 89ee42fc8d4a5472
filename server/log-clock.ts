/**
 * Log time is the last stamp that is applied plus what has passed since on the leader's monotonic clock: it stands still
 * without a leader, and no wall clock moves it.
 */

import type { Term } from '../raft/entry.js';

export class LogClock {
  /** Where this leader's log time is counted from. */
  #base: { readonly term: Term; readonly logTimeMs: number; readonly clockMs: number } = {
    term: -1,
    logTimeMs: 0,
    clockMs: 0,
  };

  /** What to stamp a command with in `term`, where `appliedMs` is the last stamp that is applied. It never goes back within a term. */
  nowMs(term: Term, appliedMs: number, clockMs: number): number {
    const sinceMs = this.#base.logTimeMs + (clockMs - this.#base.clockMs);
    if (this.#base.term === term && sinceMs >= appliedMs) return sinceMs;
    this.#base = { term, logTimeMs: appliedMs, clockMs };
    return appliedMs;
  }
}
