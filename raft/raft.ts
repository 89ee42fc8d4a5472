/**
 * The core: decides, and does nothing. Inputs are method calls; what they lead to is collected by `ready()`. It is
 * synchronous, reads no clock and draws no chance of its own, so the same inputs give the same outputs everywhere.
 */

import type { Change } from '../membership/change.js';
import type { Configuration, NodeId } from '../membership/configuration.js';
import { memberOf } from '../membership/configuration.js';
import {
  answerVote,
  electionTimeout,
  echo,
  onPreVote,
  onPreVoteResponse,
  onRequestVote,
  onRequestVoteResponse,
  onTimeoutNow,
  ownVoteDurable,
  putsOff,
} from './election.js';
import type { Entry, Index, Position, Snapshot, Term } from './entry.js';
import type { InstallSnapshot, Message, SnapshotChunk } from './messages.js';
import type { ChangeRefusal } from './membership.js';
import { propose } from './membership.js';
import { sendHeartbeats } from './heartbeats.js';
import { NO_ROUND, isResponse } from './messages.js';
import { hearsQuorum, holdsLease, pendingReads } from './reads.js';
import type { Fetch, Ready } from './ready.js';
import { takeReady } from './ready-maker.js';
import {
  advanceCommit,
  askAgain,
  maybeHandOver,
  onAppendEntries,
  onAppendResponse,
  onFetched,
  onHeartbeat,
  onHeartbeatResponse,
} from './replication.js';
import type { ChunkAnswer } from './snapshots.js';
import {
  answerChunk,
  install,
  installFailed,
  installed,
  onInstallSnapshot,
  onInstallSnapshotResponse,
  sendChunk,
} from './snapshots.js';
import type { RaftOptions, RaftSeed, RaftState } from './state.js';
import {
  appendToLog,
  becomeFollower,
  committedConfiguration,
  forgetConfigurations,
  leaderOf,
  newState,
  refuse,
  snapshotAt,
} from './state.js';
import {
  ownAnswer,
  traceAnswers,
  traceConfiguration,
  traceReady,
  traceReceived,
  traceReplicate,
} from './trace.js';

/** Why a proposal or a read was not taken; nothing of it happened. */
export type Refusal = 'not-leader' | 'overloaded' | 'transferring';

export type Proposed = { readonly term: Term; readonly firstIndex: Index } | Refusal;

export class Raft {
  /** For checks and status; only the functions of this folder change it. */
  readonly state: Readonly<RaftState>;
  readonly #state: RaftState;

  constructor(options: RaftOptions, seed: RaftSeed) {
    this.#state = newState(options, seed);
    this.state = this.#state;
  }

  get configuration(): Configuration {
    return this.#state.configuration;
  }

  /** The latest one that is committed; the one that counts may be later (§6). */
  get committedConfiguration(): Configuration {
    return committedConfiguration(this.#state);
  }

  get leader(): NodeId | undefined {
    return leaderOf(this.#state);
  }

  /** What the monotonic clock says now. To be told before whatever leases hang on: ticks, `ready()`, lease reads. */
  clock(nowMs: number): void {
    this.#state.clockMs = nowMs;
  }

  /** Time has passed: one tick of `electionTicks` and `heartbeatTicks`. */
  tick(): void {
    const state = this.#state;
    state.now += 1;
    const { current } = state;
    if (current.role !== 'leader') {
      if (state.now >= state.electionTick) electionTimeout(state);
      return;
    }
    if (!hearsQuorum(state, current)) {
      becomeFollower(state, state.term, undefined);
      return;
    }
    if (current.transfer !== undefined && state.now >= current.transfer.untilTick)
      current.transfer = undefined;
    const due = state.now >= state.heartbeatTick;
    if (due) {
      state.heartbeatTick = state.now + state.options.heartbeatTicks;
      askAgain(state, current);
    }
    // When writes pause, followers learn of the last commit at the next tick rather than at the next heartbeat.
    if (due || current.announcedCommit < state.log.commit) sendHeartbeats(state, current, true);
  }

  /** A message came in. The transport has checked that its sender speaks for this cluster. */
  step(message: Message): void {
    const state = this.#state;
    if (message.to !== state.id || message.from === state.id) {
      refuse(state, message, `it is from ${message.from} to ${message.to}`);
      return;
    }
    // Pre-votes ask and answer about terms without entering them; all else is about the sender's own.
    if (message.type === 'preVote') onPreVote(state, message);
    else if (message.type === 'preVoteResponse') onPreVoteResponse(state, message);
    // An election that is put off changes nothing, the term included.
    else if (message.type === 'requestVote' && message.term >= state.term && putsOff(state, message))
      answerVote(state, message, false);
    else {
      traceReceived(state, message);
      if (message.term < state.term) this.#stepStale(message);
      else if (this.#enterTerm(message)) this.#stepCurrent(message);
    }
  }

  /** Terms change here, once, before any role looks at the message (§5.1). False: the message is not to be handled. */
  #enterTerm(message: Message): boolean {
    const state = this.#state;
    const ofLeader =
      message.type === 'appendEntries' || message.type === 'heartbeat' || message.type === 'installSnapshot';
    if (message.term > state.term) {
      becomeFollower(state, message.term, ofLeader ? message.from : undefined);
    } else if (ofLeader) {
      const known = leaderOf(state);
      if (known !== undefined && known !== message.from) {
        refuse(state, message, `${known} leads this term`);
        return false;
      }
      if (known === undefined) becomeFollower(state, state.term, message.from);
    }
    return true;
  }

  #stepCurrent(message: Message): void {
    const state = this.#state;
    const lead = state.current.role === 'leader' ? state.current : undefined;
    switch (message.type) {
      case 'preVote':
      case 'preVoteResponse':
        break;
      case 'requestVote':
        onRequestVote(state, message);
        break;
      case 'requestVoteResponse':
        onRequestVoteResponse(state, message);
        break;
      case 'appendEntries':
        onAppendEntries(state, message);
        break;
      case 'heartbeat':
        onHeartbeat(state, message);
        break;
      case 'installSnapshot':
        onInstallSnapshot(state, message);
        break;
      case 'timeoutNow':
        onTimeoutNow(state, message);
        break;
      case 'appendEntriesResponse':
        if (lead !== undefined) onAppendResponse(state, lead, message);
        break;
      case 'heartbeatResponse':
        if (lead !== undefined) onHeartbeatResponse(state, lead, message);
        break;
      case 'installSnapshotResponse':
        if (lead !== undefined) onInstallSnapshotResponse(state, lead, message);
        break;
    }
  }

  /** The answer to a request of an earlier term carries the later one; that is how its sender learns of it (§5.1). */
  #stepStale(message: Message): void {
    const state = this.#state;
    if (isResponse(message) || message.type === 'timeoutNow') return;
    const reply = { from: state.id, to: message.from, term: state.term, ...echo(message) };
    switch (message.type) {
      case 'appendEntries': {
        const { prevIndex: index } = message;
        state.afterAppend.push({
          type: 'appendEntriesResponse',
          success: false,
          index,
          hintIndex: 0,
          hintTerm: 0,
          ...reply,
        });
        return;
      }
      case 'heartbeat':
        // The answer bears the later term, in which the sender may lead by now; its rounds there are other ones.
        state.afterAppend.push({ type: 'heartbeatResponse', round: NO_ROUND, needsSnapshot: 0, ...reply });
        return;
      case 'installSnapshot':
        answerChunk(state, message, { offset: 0 }, 0);
        return;
      case 'requestVote':
        answerVote(state, message, false);
        return;
      case 'preVote':
        return;
    }
  }

  /** Why nothing can be proposed now, if so. `bytesWaiting`: what the caller has gathered to propose already. */
  refusal(bytesWaiting = 0): Refusal | undefined {
    const { current, log, options } = this.#state;
    if (current.role !== 'leader') return 'not-leader';
    if (current.transfer !== undefined) return 'transferring';
    return log.uncommittedBytes + bytesWaiting >= options.uncommittedBytesMax ? 'overloaded' : undefined;
  }

  /** Appends commands, all or none. They are committed once `Ready.committed` holds them, under the same term. */
  propose(commands: readonly Uint8Array[]): Proposed {
    const refusal = this.refusal();
    if (refusal !== undefined) return refusal;
    const state = this.#state;
    const { log, term } = state;
    const firstIndex = log.lastIndex + 1;
    traceReplicate(state, commands.length);
    appendToLog(
      state,
      commands.map((data, offset) => ({ index: firstIndex + offset, term, type: 'command', data })),
    );
    return { term, firstIndex };
  }

  /** Changes the members; committed like any entry, and counting from the moment it is in the log (§6). */
  change(change: Change): Position | ChangeRefusal {
    return propose(this.#state, change);
  }

  /**
   * Asks for an index at which a linearizable read may be answered; it comes back under `id`, or `id` fails. With
   * `lease` it comes without a round while the leader's lease holds.
   */
  readIndex(id: number, lease = false): 'taken' | Refusal {
    const { current, options, log } = this.#state;
    if (current.role !== 'leader') return 'not-leader';
    if (lease && holdsLease(this.#state, current)) {
      current.reads.confirmed.push({ id, index: log.commit });
      return 'taken';
    }
    if (pendingReads(current.reads) >= options.pendingReadsMax) return 'overloaded';
    current.reads.waiting.push(id);
    return 'taken';
  }

  /** Hands leadership to `to`, within one maximum election timeout or not at all; no proposal is taken meanwhile. */
  transfer(to: NodeId): 'taken' | 'not-leader' | 'not-a-voter' {
    const { current, configuration, now, options, id } = this.#state;
    if (current.role !== 'leader') return 'not-leader';
    if (to === id || memberOf(configuration, to)?.voter !== true) return 'not-a-voter';
    current.transfer = { to, untilTick: now + options.electionTicks[1], asked: false };
    maybeHandOver(this.#state, current);
    return 'taken';
  }

  /** The disk has stopped answering, or answers again. A node whose disk stalls does not campaign. */
  diskStalled(stalled: boolean): void {
    this.#state.stalled = stalled;
  }

  /** Gives up leadership, without a successor: this node can't do a leader's work, or was away for too long. */
  stepDown(): void {
    const state = this.#state;
    if (state.current.role === 'leader') becomeFollower(state, state.term, undefined);
  }

  /** The append that `ready()` handed out is on disk. Its messages may leave now. */
  durable(): void {
    const state = this.#state;
    const { writing } = state;
    if (writing === undefined) return;
    state.writing = undefined;
    if (writing.hardState !== undefined) state.stored = writing.hardState;
    state.log.durableTo(writing.last);
    if (state.lostEnd !== undefined && state.log.isDurableTo(state.lostEnd)) state.lostEnd = undefined;
    // Entries that were removed and came back while they were written are on disk already (the ABA case).
    state.handedOut = Math.max(state.handedOut, state.log.durable);
    traceReady(state);
    traceAnswers(state, writing.messages);
    if (writing.hardState !== undefined) ownVoteDurable(state, writing.hardState);
    // What a leader wrote in its own term is its own answer to itself.
    if (state.current.role === 'leader' && writing.last.term === state.term)
      traceReceived(state, ownAnswer(state, writing.last.index));
    advanceCommit(state);
  }

  /** What `ready()` handed out as committed is applied up to `index`. */
  applied(index: Index): void {
    const state = this.#state;
    const { applied } = state.log;
    state.applying = undefined;
    state.log.appliedTo(index);
    for (const known of state.configurations)
      if (known.index > applied && known.index <= index)
        traceConfiguration(state, 'ApplyConfChange', known.configuration);
  }

  fetched(fetch: Fetch, entries: readonly Entry[]): void {
    onFetched(this.#state, fetch, entries);
  }

  /**
   * A durable snapshot covers what is applied up to `index`: the log begins behind it from now on (§7). Returns the new base; undefined when
   * it begins there or later already.
   */
  compact(index: Index): Snapshot | undefined {
    const state = this.#state;
    if (index <= state.log.base.index) return undefined;
    const base = snapshotAt(state, index);
    state.log.compactTo(index);
    forgetConfigurations(state, index);
    return base;
  }

  /** What became of one of `Ready.chunks`: everything before `offset` is on disk, or it is refused. */
  chunkTaken(chunk: InstallSnapshot, answer: ChunkAnswer): void {
    answerChunk(this.#state, chunk, answer, 0);
  }

  /** A snapshot has arrived with `last`, whole and verified; `Ready.install` follows. False: it is of no use, or of none yet. */
  install(snapshot: Snapshot, last: InstallSnapshot): boolean {
    return install(this.#state, snapshot, last);
  }

  /** The state machine is that of `Ready.install` by now, durably. */
  installed(): void {
    installed(this.#state);
  }

  /** `Ready.install` could not be restored after all; the state machine is as it was. */
  installFailed(): void {
    installFailed(this.#state);
  }

  /** Sends a piece of the snapshot at `position` for one of `Ready.transfers`, in the term that this came in. */
  sendChunk(to: NodeId, position: Position, chunk: SnapshotChunk): void {
    const { current } = this.#state;
    if (current.role === 'leader') sendChunk(this.#state, current, to, position, chunk);
  }

  /** One of `Ready.transfers` is over, however it ended; to be told in the term that it came in. */
  transferEnded(to: NodeId): void {
    const { current } = this.#state;
    if (current.role === 'leader') current.progress.get(to)?.transferEnded();
  }

  /** What was sent to `peer` and not answered may be lost. */
  unreachable(peer: NodeId): void {
    const { current } = this.#state;
    if (current.role !== 'leader') return;
    const progress = current.progress.get(peer);
    if (progress?.mode === 'replicate') progress.lost();
  }

  /** See `ready.ts`. Cheap when there is nothing to do. */
  ready(): Ready {
    return takeReady(this.#state);
  }
}
