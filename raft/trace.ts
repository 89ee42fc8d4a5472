/**
 * What the core does, as seen from outside, event by event, in the format of etcd-io/raft's `state_trace.go`: a run can
 * be held against a TLA+ specification of Raft that was written elsewhere. Pre-votes, reads and time-out-now are below
 * what that specification looks at.
 */

import type { Configuration, Electorate, NodeId } from '../membership/configuration.js';
import { electorate, memberOf } from '../membership/configuration.js';
import type { HardState, Index, Term } from './entry.js';
import type {
  AppendEntriesResponse,
  Heartbeat,
  InstallSnapshot,
  Message,
  RequestVoteResponse,
} from './messages.js';
import { NO_ROUND, isResponse } from './messages.js';
import type { RaftState, Role } from './state.js';

type Step =
  | 'ChangeConf'
  | 'ApplyConfChange'
  | 'InitState'
  | 'BecomeFollower'
  | 'BecomeCandidate'
  | 'BecomeLeader'
  | 'Replicate'
  | 'Commit'
  | 'Ready';

type Direction = 'Send' | 'Receive';

export interface TraceEvent {
  readonly name: Step | Direction;
  readonly node: NodeId;
  readonly state: HardState;
  readonly role: Role;
  readonly lastIndex: Index;
  /** Who votes; in a joint configuration, and who did before. */
  readonly electorate: Electorate;
  /** Of a change: the members before and after. */
  readonly change?: { readonly from: Configuration; readonly to: Configuration };
  /** What is sent or received. */
  readonly message?: Message;
}

/** Takes each event before anything of it can be seen by another node. */
export type Trace = (event: TraceEvent) => void;

// ---- for the core: each of these costs nothing while there is no trace

/** The state is that after the step, but for `InitState` and `Ready`. */
export function traceStep(state: RaftState, name: Step): void {
  state.options.trace?.(eventOf(state, name));
}

/**
 * A campaign goes to term `next`, beyond the one that follows: the specification takes every step in between, as a candidate
 * whose requests are lost.
 */
export function traceSkipped(state: RaftState, next: Term): void {
  if (state.options.trace === undefined) return;
  for (let term = state.term + 1; term < next; term += 1) {
    const skipped = { term, vote: state.id, commit: state.log.commit };
    state.options.trace({ ...eventOf(state, 'BecomeCandidate'), role: 'candidate', state: skipped });
  }
}

/** So many entries are about to be appended to the leader's log. */
export function traceReplicate(state: RaftState, count: number): void {
  if (state.options.trace === undefined) return;
  for (let entry = 0; entry < count; entry += 1) traceStep(state, 'Replicate');
}

/** A change of the members is proposed, in place of `Replicate`, or is applied. */
export function traceConfiguration(
  state: RaftState,
  name: 'ChangeConf' | 'ApplyConfChange',
  to: Configuration,
): void {
  if (state.options.trace === undefined) return;
  state.options.trace({ ...eventOf(state, name), change: { from: state.configuration, to } });
}

/**
 * Something became durable, or leaves that needs nothing to be: the state is what a crash would leave behind by now,
 * and of the commit index what the own disk holds of it.
 */
export function traceReady(state: RaftState): void {
  const { log, stored } = state;
  state.options.trace?.({
    ...eventOf(state, 'Ready'),
    state: { term: stored.term, vote: stored.vote, commit: log.applicable },
    lastIndex: log.durable,
  });
}

/** Requests are traced when they are made, since their sender may be something else when they leave. */
export function traceSent(state: RaftState, message: Message): void {
  if (state.options.trace !== undefined && kindOf(message) !== undefined)
    state.options.trace({ ...eventOf(state, 'Send'), message });
}

/** Answers are traced when they leave: by then what they promise is durable, and a `Ready` has said so. */
export function traceAnswers(state: RaftState, messages: readonly Message[]): void {
  if (state.options.trace === undefined) return;
  for (const message of messages) if (isResponse(message)) traceSent(state, message);
}

/**
 * A receipt, before it is handled. A refused vote of no later term is left out, like a message that was lost: voters
 * refuse for reasons that the specification does not know, such as loyalty to a leader (thesis §4.2.3).
 */
export function traceReceived(state: RaftState, message: Message): void {
  if (state.options.trace === undefined || kindOf(message) === undefined) return;
  if (message.type === 'installSnapshot') {
    // See `traceChunkSent`: what a piece does at once is what a heartbeat does.
    if (message.term > state.term || state.current.role === 'candidate')
      state.options.trace({ ...eventOf(state, 'Receive'), message: announcing(message) });
    return;
  }
  if (message.type === 'requestVoteResponse' && !message.granted && message.term <= state.term) return;
  state.options.trace({ ...eventOf(state, 'Receive'), message });
}

/**
 * In the specification a snapshot is one message, which is received when all of it is there (see `traceSnapshotReceived`). Until
 * then a piece can tell of a leader and its term: that is a heartbeat, of use to somebody who has acknowledged nothing yet.
 */
export function traceChunkSent(state: RaftState, chunk: InstallSnapshot, match: Index): void {
  if (match === 0) traceSent(state, announcing(chunk));
  traceSent(state, chunk);
}

function announcing({ from, to, term }: InstallSnapshot): Heartbeat {
  return { type: 'heartbeat', from, to, term, commit: 0, round: NO_ROUND };
}

/** The chunk that decides about the snapshot stands for all. */
export function traceSnapshotReceived(state: RaftState, message: InstallSnapshot): void {
  state.options.trace?.({ ...eventOf(state, 'Receive'), message });
}

/** In the specification, a candidate's vote for itself is a message like any other. */
export function ownVote({ id, term }: RaftState): RequestVoteResponse {
  return { type: 'requestVoteResponse', from: id, to: id, term, granted: true };
}

/** So is what a leader's own disk holds of its log. */
export function ownAnswer({ id, term }: RaftState, index: Index): AppendEntriesResponse {
  const answer = { from: id, to: id, term, success: true, index, hintIndex: 0, hintTerm: 0 };
  return { type: 'appendEntriesResponse', ...answer };
}

export function isTraced(message: Message): boolean {
  return kindOf(message) !== undefined;
}

function eventOf(state: RaftState, name: TraceEvent['name']): TraceEvent {
  const { id, term, vote, log, current, configuration } = state;
  return {
    name,
    node: id,
    state: { term, vote, commit: log.commit },
    role: current.role,
    lastIndex: log.lastIndex,
    electorate: electorate(configuration),
  };
}

function kindOf(message: Message): string | undefined {
  switch (message.type) {
    case 'requestVote':
      return 'RequestVoteRequest';
    case 'requestVoteResponse':
      return 'RequestVoteResponse';
    case 'appendEntries':
    case 'heartbeat':
    case 'installSnapshot':
      return 'AppendEntriesRequest';
    case 'appendEntriesResponse':
    case 'heartbeatResponse':
      return 'AppendEntriesResponse';
    case 'installSnapshotResponse':
      return message.index > 0 || message.stale ? 'AppendEntriesResponse' : undefined;
    case 'preVote':
    case 'preVoteResponse':
    case 'timeoutNow':
      return undefined;
  }
}

// ---- for whoever writes it down

/**
 * The event as a line of JSON, without its end.
 *
 * @param places - the nodes in the order of the first configuration: the first one is called "1"; those that come later are added
 */
export function traceLine(event: TraceEvent, places: NodeId[]): string {
  const nameOf = (id: NodeId | undefined): string => {
    if (id === undefined) return '0';
    if (!places.includes(id)) places.push(id);
    return String(places.indexOf(id) + 1);
  };
  const { name, node, state, role, lastIndex, message } = event;
  const kind = message === undefined ? '' : (kindOf(message) ?? '');
  return JSON.stringify({
    tag: 'trace',
    event: {
      name: `${name}${kind}`,
      nid: nameOf(node),
      state: { term: state.term, vote: nameOf(state.vote), commit: state.commit },
      role: ROLES[role],
      log: lastIndex,
      conf: confOf(event.electorate, nameOf),
      ...(event.change === undefined ? {} : { prop: { cc: changeOf(name, event.change, nameOf) } }),
      ...(message === undefined ? {} : { msg: messageOf(message, nameOf) }),
    },
  });
}

function confOf(groups: Electorate, nameOf: (id: NodeId) => string): readonly (readonly string[])[] {
  const [incoming = [], outgoing = []] = groups;
  return [incoming.map(nameOf), outgoing.map(nameOf)];
}

function changeOf(
  name: TraceEvent['name'],
  { from, to }: NonNullable<TraceEvent['change']>,
  nameOf: (id: NodeId) => string,
): object {
  if (name === 'ApplyConfChange') return { newconf: confOf(electorate(to), nameOf) };
  const votes = (config: Configuration, id: NodeId): boolean | undefined => memberOf(config, id)?.voter;
  const ids = [...new Set([...from.members, ...to.members].map(({ id }) => id))];
  const changes = ids
    .filter((id) => votes(from, id) !== votes(to, id))
    .map((id) => ({
      nid: nameOf(id),
      action:
        votes(to, id) === true ? 'AddNewServer' : votes(from, id) === true ? 'RemoveServer' : 'AddLearner',
    }));
  return { changes };
}

/** A pre-candidate is in no new term yet. */
const ROLES: Readonly<Record<Role, string>> = {
  follower: 'StateFollower',
  'pre-candidate': 'StateFollower',
  candidate: 'StateCandidate',
  leader: 'StateLeader',
};

function messageOf(message: Message, nameOf: (id: NodeId) => string): object {
  const { from, to, term } = message;
  const { type, ...rest } = fieldsOf(message);
  return {
    type,
    term,
    from: nameOf(from),
    to: nameOf(to),
    ...{ entries: 0, logTerm: 0, index: 0, commit: 0, vote: '0', reject: false, rejectHint: 0 },
    ...rest,
  };
}

function fieldsOf(message: Message): { readonly type: string } {
  switch (message.type) {
    case 'requestVote':
      return { type: 'MsgVote', ...{ index: message.lastIndex, logTerm: message.lastTerm } };
    case 'requestVoteResponse':
      return { type: 'MsgVoteResp', ...{ reject: !message.granted } };
    case 'appendEntries': {
      const { entries, prevIndex: index, prevTerm: logTerm, commit } = message;
      return { type: 'MsgApp', ...{ entries: entries.length, index, logTerm, commit } };
    }
    case 'heartbeat':
      return { type: 'MsgHeartbeat', ...{ commit: message.commit } };
    case 'appendEntriesResponse': {
      const { success, index, hintIndex: rejectHint, hintTerm: logTerm } = message;
      return { type: 'MsgAppResp', ...(success ? { index } : { index, reject: true, rejectHint, logTerm }) };
    }
    case 'heartbeatResponse':
      // A heartbeat of an earlier term is refused, and there a heartbeat is an append like any other.
      return message.round === NO_ROUND
        ? { type: 'MsgAppResp', ...{ reject: true } }
        : { type: 'MsgHeartbeatResp' };
    case 'installSnapshot':
      return { type: 'MsgSnap', ...{ entries: message.snapshot.index } };
    case 'installSnapshotResponse':
      return { type: 'MsgAppResp', ...{ index: message.index, reject: message.stale ?? false } };
    case 'preVote':
    case 'preVoteResponse':
    case 'timeoutNow':
      return { type: message.type };
  }
}
