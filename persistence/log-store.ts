/**
 * The port to the durable log. There are no error results: a failed write, or a record that does not check, is final
 * for the process, and the implementation reports it once, through the `fatal` callback it was opened with, and
 * calls no `done` any more (`docs/decisions/0003`).
 */

import type { Entry, HardState, Index, Position } from '../raft/entry.js';

/** What must become durable together, or not at all. */
export interface LogBatch {
  /**
   * Consecutive entries, the first at most one behind the last entry of the log. Entries that the log holds at or
   * behind the first one's index are replaced, all of them (§5.3).
   */
  readonly entries: readonly Entry[];
  readonly hardState?: HardState;
}

export interface LogStore {
  /**
   * Makes the batch durable, fsync included, then calls `done`. Not to be called again before that.
   */
  append(batch: LogBatch, done: () => void): void;

  /**
   * Reads entries `from`..`to`, both included and both in the log, in order; it stops before the entry that would make the payloads
   * exceed `bytesMax`, but always gives the first one.
   */
  read(from: Index, to: Index, bytesMax: number, done: (entries: readonly Entry[]) => void): void;

  /** Ends after what is in flight; nothing may be called afterwards. */
  close(): Promise<void>;
}

/** What a log store found when it was opened. */
export interface RecoveredLog {
  /** Undefined when nothing was ever stored. */
  readonly hardState: HardState | undefined;
  /** The position before the first entry of the log: `ORIGIN` unless the log was compacted. */
  readonly base: Position;
  /** Where each run of equal terms starts: strictly increasing indexes, the first one at `base.index + 1`. Empty for an empty log. */
  readonly termRuns: readonly Position[];
  /** `base.index` for an empty log. */
  readonly lastIndex: Index;
  /** The newest entries, up to the byte bound that the store was opened with; they end at `lastIndex`. */
  readonly tail: readonly Entry[];
}
