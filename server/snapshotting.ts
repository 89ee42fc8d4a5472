/** What the loop of a node and whoever makes, sends, receives and restores its snapshots are to each other. */

import type { Applied } from '../persistence/state-store.js';
import type { Index, Position, Snapshot } from '../raft/entry.js';
import type { InstallSnapshot, SnapshotChunk } from '../raft/messages.js';
import type { Raft } from '../raft/raft.js';
import type { Ready } from '../raft/ready.js';
import type { ChunkAnswer } from '../raft/snapshots.js';
import type { RaftState } from '../raft/state.js';
import type { NodeId } from '../membership/configuration.js';
import type { Clock } from './ports.js';

/** What the loop asks for. Nothing of it is done within the call. */
export interface Snapshotting {
  /** Steps 6 and 8 of `raft/ready.ts`. */
  carryOut(ready: Pick<Ready, 'chunks' | 'chunkAnswers' | 'transfers'>): void;
  /**
   * Restores the state machine from the snapshot that `SnapshotHand.install` was told of; `done` once that is durable, or with nothing
   * when it could not be, and the state machine is as it was.
   */
  restore(snapshot: Snapshot, done: (applied: Applied | undefined) => void): void;
  /** Entries of so many bytes were applied, up to `applied`. */
  applied(applied: Position, bytes: number): void;
  /** Time has passed. */
  tick(nowMs: number): void;
  /** Nothing is begun any more. */
  stop(): void;
}

/** What the loop does for it. None of it does anything once the node has stopped. */
export interface SnapshotHand {
  readonly state: Readonly<RaftState>;
  readonly clock: Pick<Clock, 'nowMs' | 'after'>;
  /** Compacts the log behind what a durable snapshot and the durable state cover; `done` once that is on disk, or was of no use. */
  compact(index: Index, done: () => void): void;
  /** See `Raft.chunkTaken`. */
  chunkTaken(message: InstallSnapshot, answer: ChunkAnswer): void;
  /** See `Raft.install`. */
  install(snapshot: Snapshot, last: InstallSnapshot): boolean;
  sendChunk(to: NodeId, position: Position, chunk: SnapshotChunk): void;
  transferEnded(to: NodeId): void;
}

/** @param drive carries out a deed of the core and what follows from it; undefined once the node has stopped */
export function handOf(
  core: Raft,
  clock: SnapshotHand['clock'],
  drive: <T>(deed: () => T) => T | undefined,
  compact: SnapshotHand['compact'],
): SnapshotHand {
  return {
    state: core.state,
    clock,
    compact,
    chunkTaken: (message, answer) => drive(() => core.chunkTaken(message, answer)),
    install: (snapshot, last) => drive(() => core.install(snapshot, last)) ?? false,
    sendChunk: (to, position, chunk) => drive(() => core.sendChunk(to, position, chunk)),
    transferEnded: (to) => drive(() => core.transferEnded(to)),
  };
}
