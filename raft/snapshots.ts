/**
 * Snapshots as the core sees them (§7): whom the log can't serve any more, and when a snapshot takes the log's place. The file
 * itself, its pieces and its making are the loop's business.
 */

import type { NodeId } from '../membership/configuration.js';
import { echo } from './election.js';
import { invariant } from './assert.js';
import type { Index, Position, Snapshot } from './entry.js';
import type { InstallSnapshot, InstallSnapshotResponse, SnapshotChunk } from './messages.js';
import { advanceCommit, heardOfLeader, maybeHandOver } from './replication.js';
import type { Leadership, RaftState } from './state.js';
import { adoptConfiguration, refuse } from './state.js';
import { traceChunkSent, traceSnapshotReceived } from './trace.js';

/** A member that needs a snapshot; the transfer ends with `Raft.transferEnded()`. */
export interface Transfer {
  readonly to: NodeId;
  /** The snapshot covers this index at least. */
  readonly atLeast: Index;
}

// ---- the leader

/** The members that a snapshot has to be sent to, and none is on its way to. */
export function nextTransfers(state: RaftState, lead: Leadership): readonly Transfer[] {
  const transfers: Transfer[] = [];
  for (const [to, progress] of lead.progress) {
    if (progress.transferring) continue;
    const atLeast = progress.mode === 'snapshot' ? state.log.base.index : progress.wantsSnapshot;
    if (atLeast === 0) continue;
    progress.transferring = true;
    transfers.push({ to, atLeast });
  }
  return transfers;
}

/** Sends a piece of the snapshot that a transfer is of; only the leader whose transfer it is may. */
export function sendChunk(
  state: RaftState,
  lead: Leadership,
  to: NodeId,
  { index, term }: Position,
  chunk: SnapshotChunk,
): void {
  const request: InstallSnapshot = {
    type: 'installSnapshot',
    from: state.id,
    to,
    term: state.term,
    snapshot: { index, term },
    chunk,
  };
  state.outbox.push(request);
  traceChunkSent(state, request, lead.progress.get(to)?.match ?? 0);
}

export function onInstallSnapshotResponse(
  state: RaftState,
  lead: Leadership,
  message: InstallSnapshotResponse,
): void {
  const progress = lead.progress.get(message.from);
  if (progress === undefined) return;
  if (message.index > state.log.lastIndex) {
    refuse(state, message, `it answers for index ${message.index}, the log ends at ${state.log.lastIndex}`);
    return;
  }
  progress.contactTick = state.now;
  // It leads again by now: the chunk was of the transfer before.
  if (message.stale) return;
  state.chunkAnswers.push(message);
  if (message.index === 0) return;
  progress.wantsSnapshot = 0;
  if (progress.acknowledged(message.index, state.log.base.index)) advanceCommit(state);
  maybeHandOver(state, lead);
}

// ---- the follower; `Raft.step` has made the sender its leader in this term

export function onInstallSnapshot(state: RaftState, message: InstallSnapshot): void {
  heardOfLeader(state);
  const { log, installing } = state;
  const { snapshot, chunk } = message;
  if (!isNeeded(state, snapshot)) {
    traceSnapshotReceived(state, message);
    // What a snapshot covers is committed.
    if (log.holds(snapshot)) log.commitTo(snapshot.index);
    answerChunk(state, message, { offset: chunk.bytesTotal }, log.commit);
  } else if (installing !== undefined) answerChunk(state, message, { offset: chunk.bytesTotal }, 0);
  else state.chunks.push(message);
}

/** Whether it brings this node further than its own log does. */
function isNeeded({ log }: RaftState, snapshot: Position): boolean {
  if (log.lacksState) return snapshot.index >= log.base.index;
  return snapshot.index > log.commit && !log.holds(snapshot);
}

/** What becomes of a chunk. */
export type ChunkAnswer = Pick<InstallSnapshotResponse, 'offset' | 'refusal'>;

/**
 * Goes behind the append, since the index it names must be durable. Where the term has changed meanwhile, a former leader is told of the
 * later one, and of nothing else.
 */
export function answerChunk(
  state: RaftState,
  message: InstallSnapshot,
  answer: ChunkAnswer,
  index: Index,
): void {
  const isStale = message.term < state.term;
  if (isStale) traceSnapshotReceived(state, message);
  state.afterAppend.push({
    type: 'installSnapshotResponse',
    from: state.id,
    to: message.from,
    term: state.term,
    snapshotId: message.chunk.snapshotId,
    ...(isStale ? { offset: 0, stale: true, index: 0 } : { ...answer, index }),
    ...echo(message),
  });
}

/** A snapshot has arrived with `last`, whole and verified. False: it is of no use, or of none yet. */
export function install(state: RaftState, snapshot: Snapshot, last: InstallSnapshot): boolean {
  const { log } = state;
  if (state.installing !== undefined || state.current.role !== 'follower') return false;
  if (!isNeeded(state, snapshot)) return false;
  const replacesLog = !log.holds(snapshot);
  // Where the log stays, it has to hold on disk what the state will have applied.
  if (!replacesLog && log.durable < snapshot.index) return false;
  state.installing = { snapshot, replacesLog, last, handedOut: false };
  return true;
}

/** The state machine is that of the snapshot by now, durably; the log follows with the next append. */
export function installed(state: RaftState): void {
  const { installing, log } = state;
  invariant(installing !== undefined, 'nothing is being installed');
  const { snapshot, replacesLog, last } = installing;
  state.installing = undefined;
  const isOfLeader = last.term === state.term;
  if (isOfLeader) traceSnapshotReceived(state, last);
  if (replacesLog) {
    log.replaceBy(snapshot);
    state.handedOut = snapshot.index;
    state.newBase = snapshot;
    adoptConfiguration(state, snapshot);
  } else log.restoredTo(snapshot.index);
  if (isOfLeader) answerChunk(state, last, { offset: last.chunk.bytesTotal }, log.commit);
}

/** It could not be restored after all; the state machine is as it was. */
export function installFailed(state: RaftState): void {
  invariant(state.installing !== undefined, 'nothing is being installed');
  state.installing = undefined;
}
