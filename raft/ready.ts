/**
 * What the core wants done. The loop carries it out in this order:
 *
 * 1. send `messages`, at once: they promise nothing about this node's disk. A leader's entries are among them, so
 *    that followers write while the leader's own disk does (thesis §10.2.1);
 * 2. make `append` durable, as one atomic batch, after the log was emptied where it has a `newBase`; then `Raft.durable()`, then send
 *    `append.messages`;
 * 3. apply `committed`, then `Raft.applied()`;
 * 4. answer `reads` once their index is applied; fail `failedReads`;
 * 5. read each of `fetches` from disk, then `Raft.fetched()`;
 * 6. store `chunks`, then `Raft.chunkTaken()`; once one is the last, verify the file, then `Raft.install()`;
 * 7. restore the state machine from `install`, then `Raft.installed()`, or `Raft.installFailed()`;
 * 8. send a snapshot to each of `transfers`, going on by `chunkAnswers`, then `Raft.transferEnded()`.
 *
 * At most one append and one apply are out at a time; what gathers meanwhile is the next one.
 */

import type { NodeId } from '../membership/configuration.js';
import type { Entry, HardState, Index, Snapshot, Term } from './entry.js';
import type { InstallSnapshot, InstallSnapshotResponse, Message } from './messages.js';
import type { ConfirmedRead } from './reads.js';
import type { Transfer } from './snapshots.js';

export interface Append {
  /** A snapshot has taken the log's place: it is empty behind this position before anything else is written. */
  readonly newBase: Snapshot | undefined;
  readonly entries: readonly Entry[];
  readonly hardState: HardState | undefined;
  /** Votes, acknowledgements: to be sent only after the batch is durable. */
  readonly messages: readonly Message[];
}

export interface Committed {
  readonly from: Index;
  readonly to: Index;
  /** Undefined: not in memory any more; `from`..`to` are to be read from disk. Then `to` may be far away. */
  readonly entries: readonly Entry[] | undefined;
}

/** Entries for a follower that are not in memory any more. */
export interface Fetch {
  readonly to: NodeId;
  readonly term: Term;
  readonly from: Index;
  readonly through: Index;
  readonly bytesMax: number;
}

export interface Ready {
  readonly messages: readonly Message[];
  readonly append: Append | undefined;
  readonly committed: Committed | undefined;
  readonly reads: readonly ConfirmedRead[];
  readonly failedReads: readonly number[];
  readonly fetches: readonly Fetch[];
  readonly chunks: readonly InstallSnapshot[];
  readonly chunkAnswers: readonly InstallSnapshotResponse[];
  readonly transfers: readonly Transfer[];
  readonly install: Snapshot | undefined;
  readonly refusals: readonly string[];
}
