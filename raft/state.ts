/**
 * The whole state of the core (Figure 2), and the few functions that change its term, vote, role and commit index:
 * each of these changes here and nowhere else.
 */

import type { Configuration, NodeId } from '../membership/configuration.js';
import { decodeConfiguration, electors, memberOf } from '../membership/configuration.js';
import { invariant } from './assert.js';
import type { ConfigurationAt, Entry, HardState, Index, Position, Snapshot, Term } from './entry.js';
import type { LogSeed } from './log.js';
import { RaftLog } from './log.js';
import type { InstallSnapshot, InstallSnapshotResponse, Message } from './messages.js';
import type { Window } from './progress.js';
import { Progress } from './progress.js';
import type { LeaderReads } from './reads.js';
import { newReads } from './reads.js';
import type { Trace } from './trace.js';
import { traceSkipped, traceStep } from './trace.js';

export interface RaftOptions {
  readonly id: NodeId;
  /** Election timeouts are drawn from this range, in ticks, both ends included. The shortest is above `heartbeatTicks`. */
  readonly electionTicks: readonly [min: number, max: number];
  readonly heartbeatTicks: number;
  /** One AppendEntries carries at most so many bytes of entries, or one entry. */
  readonly appendBytesMax: number;
  /** What may be on its way to one follower. */
  readonly window: Window;
  /** A leader takes no proposal while so many bytes are uncommitted. */
  readonly uncommittedBytesMax: number;
  /** Recent entries in memory. */
  readonly entryCacheBytes: number;
  /** One batch for the state machine holds at most so many bytes of entries, or one entry. */
  readonly applyBytesMax: number;
  /**
   * How long a leader counts on a majority's loyalty, from the moment it sent the heartbeat that they answered: the
   * shortest election timeout, less one tick, less what clocks may drift apart in that time. 0: leases are off.
   */
  readonly leaseMs: number;
  /** Reads that wait for a heartbeat round, at most. */
  readonly pendingReadsMax: number;
  /** Uniform in [0, 1): the core's only source of chance. */
  readonly random: () => number;
  /** Takes what the core does, as it does it; see `trace.ts`. */
  readonly trace?: Trace;
}

/** What a node starts from: what its disk gave back. */
export interface RaftSeed {
  readonly hardState: HardState;
  readonly log: Omit<LogSeed, 'commit'>;
  /** Oldest first: the latest at or before the log's base, where there is one, then each configuration entry of the log. At least one. */
  readonly configurations: readonly ConfigurationAt[];
  /**
   * The disk has lost the end of the log: it reached this position at least, and what it held there may count for something that is committed.
   */
  readonly lostEnd?: Position;
}

export interface Leadership {
  readonly role: 'leader';
  /** One for each other member. */
  readonly progress: Map<NodeId, Progress>;
  /** The index of the no-op that opened this term; reads wait until it is committed (§8). */
  readonly firstIndex: Index;
  readonly reads: LeaderReads;
  /** The commit index that the last heartbeats carried. */
  announcedCommit: Index;
  /** Whether another node was ever asked to campaign in this term. The message may be late: there is no lease any more. */
  handedOver: boolean;
  /** Invariant: while set, no proposal is taken (thesis §3.10). */
  transfer: { readonly to: NodeId; readonly untilTick: number; asked: boolean } | undefined;
}

export type RoleState =
  | { readonly role: 'follower'; leader: NodeId | undefined }
  | { readonly role: 'pre-candidate'; readonly votes: Map<NodeId, boolean> }
  | { readonly role: 'candidate'; readonly votes: Map<NodeId, boolean> }
  | Leadership;

export type Role = RoleState['role'];

export interface RaftState {
  readonly options: RaftOptions;
  readonly id: NodeId;
  /** The latest one of the log, committed or not (§6). */
  configuration: Configuration;
  /** That one and those that it may have to give way to; as in `RaftSeed`. */
  readonly configurations: ConfigurationAt[];
  readonly log: RaftLog;

  /** Invariant: never goes back; at least the term of the last entry. */
  term: Term;
  /** Invariant: once set, fixed for the rest of the term (§5.2). */
  vote: NodeId | undefined;
  /**
   * The latest term that a refused pre-vote told of; the next campaign is in one above. It is entered by that, or by a message of
   * somebody who is in it, never by the refusal: pre-votes change nobody's term (thesis §9.6).
   */
  heardTerm: Term;
  /** What of term, vote and commit index the last append carried. */
  written: HardState;
  /** The same of the last append that is durable. */
  stored: HardState;
  current: RoleState;

  /** Ticks since the start. */
  now: number;
  /** The monotonic clock, as of the last input that told it. Only leases are counted by it. */
  clockMs: number;
  /** The tick at which to campaign, unless a leader is heard of before. */
  electionTick: number;
  heartbeatTick: number;
  /**
   * The last tick at which a leader was heard of, of whatever term: the loyalty that was promised to it outlasts news
   * of a later term, since a lease counts on it. Undefined: never, or it is over.
   */
  leaderTick: number | undefined;
  /**
   * Until this tick nobody gets a vote: before a restart this node may have promised a leader one more election
   * timeout of loyalty, which a lease counts on (thesis §6.4.1).
   */
  readonly graceTick: number;

  /**
   * This node's disk answers no more: it can neither vote nor lead, must not campaign, and its followers need not wait
   * for it.
   */
  stalled: boolean;
  /**
   * See `RaftSeed`. Until the leader has filled the log up to there again, this node neither campaigns nor votes for a candidate whose
   * log ends before it (DESIGN, "Storage").
   */
  lostEnd: Position | undefined;

  /** Entries up to here were handed to the disk. Invariant: durable <= handedOut <= lastIndex. */
  handedOut: Index;
  /** What the disk is writing now; it ends with `last`. */
  writing:
    | {
        readonly last: Position;
        readonly hardState: HardState | undefined;
        /** To be sent afterwards. */
        readonly messages: readonly Message[];
      }
    | undefined;
  /** What the state machine is applying now: its last index. */
  applying: Index | undefined;
  /** What the state machine is being restored from. Nothing is applied meanwhile; with `replacesLog`, nothing is appended either. */
  installing:
    | {
        readonly snapshot: Snapshot;
        readonly replacesLog: boolean;
        /** What it is the answer to. */
        readonly last: InstallSnapshot;
        handedOut: boolean;
      }
    | undefined;
  /** A snapshot has taken the log's place; the disk learns of it with the next append. */
  newBase: Snapshot | undefined;

  /** To be sent at once. */
  readonly outbox: Message[];
  /** To be sent once everything up to now is durable. */
  readonly afterAppend: Message[];
  /** Pieces of a snapshot for this node, and what others answered to those it sent. */
  readonly chunks: InstallSnapshot[];
  readonly chunkAnswers: InstallSnapshotResponse[];
  /** Reads that lost their leader. */
  readonly failedReads: number[];
  /** Messages that no correct peer sends, refused: for the log. */
  readonly refusals: string[];
}

export function newState(options: RaftOptions, seed: RaftSeed): RaftState {
  const [min, max] = options.electionTicks;
  invariant(options.heartbeatTicks < min && min <= max, 'heartbeats come more often than elections');
  const log = new RaftLog({ ...seed.log, commit: seed.hardState.commit }, options.entryCacheBytes);
  invariant(seed.hardState.term >= log.lastTerm, 'the term is at least that of the last entry');
  const { configuration } = latestOf(seed.configurations);
  const alone = electors(configuration).every((id) => id === options.id);
  const state: RaftState = {
    options,
    id: options.id,
    configuration,
    configurations: [...seed.configurations],
    log,
    term: seed.hardState.term,
    vote: seed.hardState.vote,
    heardTerm: seed.hardState.term,
    written: seed.hardState,
    stored: seed.hardState,
    current: { role: 'follower', leader: undefined },
    now: 0,
    clockMs: -Infinity,
    electionTick: 0,
    heartbeatTick: 0,
    leaderTick: undefined,
    graceTick: alone ? 0 : max,
    stalled: false,
    lostEnd: seed.lostEnd,
    handedOut: log.lastIndex,
    writing: undefined,
    applying: undefined,
    installing: undefined,
    newBase: undefined,
    outbox: [],
    afterAppend: [],
    chunks: [],
    chunkAnswers: [],
    failedReads: [],
    refusals: [],
  };
  resetElectionTimer(state);
  traceStep(state, 'InitState');
  return state;
}

/** A new random time-out from now on (§5.2). */
export function resetElectionTimer(state: RaftState): void {
  const [min, max] = state.options.electionTicks;
  state.electionTick = state.now + min + Math.floor(state.options.random() * (max - min + 1));
}

/** The only place where the term changes; a new term has no vote yet. */
function adoptTerm(state: RaftState, term: Term): void {
  invariant(term >= state.term, `the term goes back from ${state.term} to ${term}`);
  if (term === state.term) return;
  state.term = term;
  state.vote = undefined;
}

/** The term that a campaign would be in. */
export function termToAskFor(state: RaftState): Term {
  return Math.max(state.term, state.heardTerm) + 1;
}

/** The only place where a vote is given. It must be durable before it is told: the answer goes behind the append. */
export function giveVote(state: RaftState, candidate: NodeId): void {
  invariant(state.vote === undefined || state.vote === candidate, `a second vote in term ${state.term}`);
  state.vote = candidate;
}

/** The only place where the role changes. */
function changeRole(state: RaftState, next: RoleState): void {
  const { current } = state;
  if (current.role === 'leader') state.failedReads.push(...current.reads.drain());
  state.current = next;
  resetElectionTimer(state);
}

export function becomeFollower(state: RaftState, term: Term, leader: NodeId | undefined): void {
  const { role } = state.current;
  const isNews = term > state.term || role === 'candidate' || role === 'leader';
  adoptTerm(state, term);
  if (state.current.role === 'follower') state.current.leader = leader;
  else changeRole(state, { role: 'follower', leader });
  if (isNews) traceStep(state, 'BecomeFollower');
}

/** Thesis §9.6: asks whether an election could be won, without touching the term. */
export function becomePreCandidate(state: RaftState): void {
  const gaveUp = state.current.role === 'candidate';
  changeRole(state, { role: 'pre-candidate', votes: new Map() });
  state.leaderTick = undefined;
  if (gaveUp) traceStep(state, 'BecomeFollower');
}

/** §5.2: a new term, and its own vote. */
export function becomeCandidate(state: RaftState): void {
  const next = termToAskFor(state);
  traceSkipped(state, next);
  adoptTerm(state, next);
  changeRole(state, { role: 'candidate', votes: new Map() });
  giveVote(state, state.id);
  traceStep(state, 'BecomeCandidate');
}

/** §5.2; the no-op of §8 makes what earlier terms left commit. */
export function becomeLeader(state: RaftState): void {
  invariant(state.current.role === 'candidate', 'only a candidate becomes the leader');
  invariant(state.vote === state.id, 'a leader voted for itself');
  const { log } = state;
  const next = log.lastIndex + 1;
  const progress = new Map<NodeId, Progress>();
  for (const { id } of state.configuration.members) {
    if (id !== state.id) progress.set(id, new Progress(next, state.now, state.options.window));
  }
  changeRole(state, {
    role: 'leader',
    progress,
    firstIndex: next,
    reads: newReads(),
    announcedCommit: 0,
    handedOver: false,
    transfer: undefined,
  });
  state.heartbeatTick = state.now + state.options.heartbeatTicks;
  traceStep(state, 'BecomeLeader');
  traceStep(state, 'Replicate');
  appendToLog(state, [{ index: next, term: state.term, type: 'noop', data: new Uint8Array(0) }]);
}

function latestOf(configurations: readonly ConfigurationAt[]): ConfigurationAt {
  const latest = configurations.at(-1);
  invariant(latest !== undefined, 'the members are known');
  return latest;
}

/** The latest one that is committed. */
export function committedConfiguration({ configurations, configuration, log }: RaftState): Configuration {
  return configurations.findLast(({ index }) => index <= log.commit)?.configuration ?? configuration;
}

/** A new configuration counts from the moment it is in the log (§6). The only place where entries are appended. */
export function appendToLog(state: RaftState, entries: readonly Entry[]): void {
  state.log.append(entries);
  for (const { type, index, data } of entries) {
    if (type !== 'configuration') continue;
    state.configurations.push({ index, configuration: decodeConfiguration(data) });
    useLatestConfiguration(state);
  }
}

/**
 * The members are others from now on. A leader's lease was given by a majority of those before: it has to be earned anew, since from
 * now on another majority may elect.
 */
function useLatestConfiguration(state: RaftState): void {
  const { configuration } = latestOf(state.configurations);
  if (configuration === state.configuration) return;
  state.configuration = configuration;
  const { current, id, log, now, options } = state;
  if (current.role !== 'leader') return;
  for (const peer of current.progress.keys())
    if (memberOf(configuration, peer) === undefined) current.progress.delete(peer);
  for (const member of configuration.members) {
    if (member.id === id || current.progress.has(member.id)) continue;
    // With the entry that brings it in: where nothing else is written, nothing else would ask it where it stands.
    current.progress.set(member.id, new Progress(log.lastIndex, now, options.window));
  }
  current.reads.leaseUntilMs = -Infinity;
  current.reads.sent.length = 0;
}

/** Entries from `index` on are removed (§5.3), and with them the configurations that they brought. */
export function truncateLog(state: RaftState, index: Index): void {
  state.log.truncateFrom(index);
  state.handedOut = Math.min(state.handedOut, state.log.lastIndex);
  while (latestOf(state.configurations).index >= index) state.configurations.pop();
  useLatestConfiguration(state);
}

/** The position of the log at `index` as a snapshot has it; what is at or before it is committed. */
export function snapshotAt({ log, configurations }: RaftState, index: Index): Snapshot {
  const at = latestOf(configurations.filter((known) => known.index <= index));
  const term = log.termAt(index);
  invariant(term !== undefined, `the log does not hold entry ${index}`);
  return { index, term, configuration: at.configuration, configurationIndex: at.index };
}

/** The log begins behind `base` from now on, so earlier configurations will not be needed again. */
export function forgetConfigurations({ configurations }: RaftState, base: Index): void {
  while ((configurations[1]?.index ?? Infinity) <= base) configurations.shift();
}

/** The log begins with a snapshot, so who the members are is known from there. */
export function adoptConfiguration(state: RaftState, snapshot: Snapshot): void {
  const { configuration, configurationIndex: index } = snapshot;
  state.configurations.splice(0, Infinity, { index, configuration });
  useLatestConfiguration(state);
}

export function leaderOf(state: RaftState): NodeId | undefined {
  switch (state.current.role) {
    case 'leader':
      return state.id;
    case 'follower':
      return state.current.leader;
    case 'candidate':
    case 'pre-candidate':
      return undefined;
  }
}

/** Refuses a message that no correct peer sends: bad input changes nothing. */
export function refuse(state: RaftState, message: Message, why: string): void {
  const REFUSALS_MAX = 16;
  if (state.refusals.length < REFUSALS_MAX) {
    state.refusals.push(`${message.type} of ${message.from} in term ${message.term}: ${why}`);
  }
}
