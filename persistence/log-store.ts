/**
 * The port to the durable log. There are no error results: a failed write, or a record that does not check, is final
 * for the process, and the implementation reports it once, through the `fatal` callback it was opened with, and
 * calls no `done` any more (`docs/decisions/0003`).
 */

import type { ConfigurationAt, Entry, HardState, Index, Position, Snapshot } from '../raft/entry.js';

/**
 * What must become durable together, or not at all. It may be empty.
 *
 * A breach of the following is a fault of the caller: `append` throws, and nothing is written. The term never goes
 * back, a vote does not change within its term, the term after the batch is not below any entry's (so the first entry comes with a
 * hard state, or after one), and the commit index is not behind the last entry. A recovered log has been checked for the same.
 */
export interface LogBatch {
  /**
   * Consecutive entries, the first at most one behind the last entry of the log, their terms never decreasing. Entries that the
   * log holds at or behind the first one's index are replaced, all of them (§5.3).
   */
  readonly entries: readonly Entry[];
  /** Absent: as it was. */
  readonly hardState?: HardState;
}

export interface LogStore {
  /**
   * Makes the batch durable, fsync included, then calls `done`, never within the call. Not to be called again before
   * that. The batch's buffers are copied before it returns.
   */
  append(batch: LogBatch, done: () => void): void;

  /**
   * Reads entries `from`..`to`, both included and both in the durable log (`done` was called for them, or they were
   * recovered), in order; it stops before the entry that would make the payloads exceed `bytesMax`, but always gives the
   * first one. The answer is of one view of the log, also when an append replaces entries meanwhile. Throws for entries that are not there.
   */
  read(from: Index, to: Index, bytesMax: number, done: (entries: readonly Entry[]) => void): void;

  /**
   * Forgets the entries up to `base`, an entry that the log holds durably and that is committed (§7). `done` is called once the new
   * base is durable; until then they can be read. What they took on disk is freed after that, in small batches beside
   * the appends. A `read` begun before keeps its view. After a crash the log begins behind the old base or the new one.
   *
   * It may be called while an append is in flight, but not again before `done`. Throws for a base that is not above the old one,
   * or that the log does not hold, or that the append in flight replaces; later appends must begin behind it.
   */
  compact(base: Snapshot, done: () => void): void;

  /**
   * Drops every entry: the log is empty behind `base`, which a snapshot has brought (§7). Term and vote are those of
   * `hardState`, or stay; the commit index becomes `base.index`. Atomic and durable once `done` is called. A `read` begun before keeps its view.
   *
   * Throws while an append or a compaction is in flight, for a base that is not above the old one or is below the commit index, and
   * when the log's term is below that of `base`.
   */
  reset(base: Snapshot, hardState: HardState | undefined, done: () => void): void;

  /** Ends after what is in flight; nothing may be called afterwards (it throws). */
  close(): Promise<void>;
}

/** What a log store found when it was opened. */
export interface RecoveredLog {
  /** Undefined when nothing was ever stored. The commit index is `base.index` at least. */
  readonly hardState: HardState | undefined;
  /** The position before the first entry of the log: `ORIGIN` unless the log was compacted or reset. */
  readonly base: Position;
  /**
   * Who the members are, oldest first: the configuration that was the latest at the base, where the log was compacted or reset, then every
   * configuration entry of the log.
   */
  readonly configurations: readonly ConfigurationAt[];
  /** What the entries take, counted by `entryBytes`. */
  readonly bytes: number;
  /** Where each run of equal terms starts: strictly increasing indexes, the first one at `base.index + 1`. Empty for an empty log. */
  readonly termRuns: readonly Position[];
  /** `base.index` for an empty log. */
  readonly lastIndex: Index;
  /** The newest entries, up to the byte bound that the store was opened with; they end at `lastIndex`. */
  readonly tail: readonly Entry[];
}
