/** When a snapshot is due, which ones are kept, and how far the log may be cut off behind them. Pure. */

import type { Index } from '../raft/entry.js';
import type { SnapshotFile, SnapshotId } from './identity.js';

export interface Growth {
  /** Bytes of log since the last snapshot, or since the beginning. */
  readonly logBytes: number;
  /** Of the last snapshot; 0 when there is none. */
  readonly lastSnapshotBytes: number;
  /** `raft.snapshotThreshold`. */
  readonly thresholdBytes: number;
  /** How far the state has come, and how far it had when the last snapshot was made. */
  readonly appliedIndex: Index;
  readonly lastSnapshotIndex: Index;
}

/**
 * A snapshot costs what the state is large, so it waits until the log has grown by half of that: then the time it takes stays
 * in proportion to what was written, however large the state and however small the threshold.
 */
export function isSnapshotDue(growth: Growth): boolean {
  const due = Math.max(growth.thresholdBytes, growth.lastSnapshotBytes / 2);
  return growth.appliedIndex > growth.lastSnapshotIndex && growth.logBytes >= due;
}

/**
 * Which snapshots are to be removed: the oldest ones beyond `maxSnapshots`, but never the newest one and never a pinned one.
 *
 * @param files oldest first
 */
export function snapshotsToRemove(
  files: readonly SnapshotFile[],
  maxSnapshots: number,
  isPinned: (id: SnapshotId) => boolean,
): readonly SnapshotId[] {
  const surplus = Math.max(0, files.length - Math.max(1, maxSnapshots));
  return files
    .slice(0, surplus)
    .map(({ id }) => id)
    .filter((id) => !isPinned(id));
}

/** For members that catch up the log may have so many times `raft.trailingLog`: one that is further behind gets a snapshot. */
export const HELD_LOGS_MAX = 8;

/** A member that the leader sends its log to. */
export interface Follower {
  /** Up to where it has the log. */
  readonly index: Index;
  /** Of log that it lacks. */
  readonly bytesBehind: number;
  /** It was heard of lately. */
  readonly answers: boolean;
}

/**
 * Where followers are that the log can still bring level. To cut it off before them would cost each a whole snapshot, and the next one as much,
 * where restoring takes longer than until a further one is made.
 */
export function heldIndexes(
  followers: readonly Follower[],
  baseIndex: Index,
  trailingLogBytes: number,
): readonly Index[] {
  const bytesMax = HELD_LOGS_MAX * trailingLogBytes;
  return followers
    .filter(({ index, bytesBehind, answers }) => answers && index >= baseIndex && bytesBehind <= bytesMax)
    .map(({ index }) => index);
}

export interface CompactionInput {
  /** The log begins behind it. */
  readonly baseIndex: Index;
  /** Of the newest snapshot; undefined: the log is all there is. */
  readonly snapshotIndex: Index | undefined;
  /** What `StateStore.persist` has reported. */
  readonly durableIndex: Index;
  /** Of snapshots that are being sent: who receives one goes on from the log behind it. And where members are that catch up from the log. */
  readonly pinnedIndexes: readonly Index[];
  /** `raft.trailingLog`. */
  readonly trailingLogBytes: number;
  /** The largest index with at least so many bytes of entries behind it, up to and including `end`; `baseIndex` when there is none. */
  readonly indexBehind: (end: Index, bytes: number) => Index;
}

/** The index to compact the log to; undefined when there is nothing to gain. */
export function compactionIndex(input: CompactionInput): Index | undefined {
  if (input.snapshotIndex === undefined) return undefined;
  const trailing = input.indexBehind(input.snapshotIndex, input.trailingLogBytes);
  const index = Math.min(trailing, input.snapshotIndex, input.durableIndex, ...input.pinnedIndexes);
  return index > input.baseIndex ? index : undefined;
}
