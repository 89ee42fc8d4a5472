/** Elections: pre-votes (thesis §9.6), votes (§5.2, §5.4.1), and who is left in peace (thesis §4.2.3). */

import type { NodeId } from '../membership/configuration.js';
import { electorate, electors, isElector } from '../membership/configuration.js';
import { voteResultOfAll } from '../membership/quorum.js';
import type { HardState } from './entry.js';
import type { PreVote, PreVoteResponse, RequestVote, RequestVoteResponse, TimeoutNow } from './messages.js';
import type { RaftState } from './state.js';
import {
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  becomePreCandidate,
  committedConfiguration,
  giveVote,
  leaderOf,
  resetElectionTimer,
  termToAskFor,
} from './state.js';
import { ownVote, traceReceived, traceSent } from './trace.js';

/** The time is over without word of a leader. */
export function electionTimeout(state: RaftState): void {
  resetElectionTimer(state);
  if (!mayCampaign(state)) return;
  becomePreCandidate(state);
  askForVotes(state, false);
}

function mayCampaign(state: RaftState): boolean {
  // Neither a state that is lost, nor a log whose end is, nor one that is about to be replaced can lead.
  if (state.log.lacksState || state.lostEnd !== undefined || state.installing !== undefined) return false;
  if (state.stalled) return false;
  // Who is left out by a configuration that is not committed yet may have the only log that can commit it (thesis §4.2.2).
  return isElector(state.configuration, state.id) || isElector(committedConfiguration(state), state.id);
}

function campaign(state: RaftState, transfer: boolean): void {
  becomeCandidate(state);
  askForVotes(state, transfer);
}

/** Sends the requests of the current (pre-)candidacy, and counts the own vote. */
function askForVotes(state: RaftState, transfer: boolean): void {
  const { log } = state;
  const last = { lastIndex: log.lastIndex, lastTerm: log.lastTerm };
  const preVote = state.current.role === 'pre-candidate';
  for (const to of electors(state.configuration)) {
    if (to === state.id) continue;
    if (preVote)
      state.outbox.push({ type: 'preVote', from: state.id, to, term: termToAskFor(state), ...last });
    // The candidate's own vote and term are durable before anybody can count on them.
    else {
      const { id: from, term } = state;
      const request = { type: 'requestVote', from, to, term, ...last, transfer } as const;
      state.afterAppend.push(request);
      traceSent(state, request);
    }
  }
  if (preVote) countVote(state, state.id, true);
  else traceSent(state, ownVote(state));
}

/** The vote for itself counts, like any other, once it is durable. */
export function ownVoteDurable(state: RaftState, hardState: HardState): void {
  if (state.current.role !== 'candidate') return;
  if (hardState.term !== state.term || hardState.vote !== state.id) return;
  traceReceived(state, ownVote(state));
  countVote(state, state.id, true);
}

function countVote(state: RaftState, from: NodeId, granted: boolean): void {
  const { current } = state;
  if (current.role !== 'candidate' && current.role !== 'pre-candidate') return;
  if (!isElector(state.configuration, from)) return;
  // The first answer of each voter counts; a repeated message changes nothing.
  if (!current.votes.has(from)) current.votes.set(from, granted);
  const result = voteResultOfAll(electorate(state.configuration), (id) => current.votes.get(id));
  if (result === 'pending') return;
  if (result === 'lost') becomeFollower(state, state.term, undefined);
  else if (current.role === 'pre-candidate') campaign(state, false);
  else becomeLeader(state);
}

/**
 * True while this node owes a leader loyalty: it heard of it within the shortest election timeout, or is the leader
 * itself. Then elections are ignored, so that a node which was away disturbs nobody (thesis §4.2.3).
 */
export function isLoyal(state: RaftState): boolean {
  if (state.now < state.graceTick) return true;
  if (state.current.role === 'leader') return true;
  const [min] = state.options.electionTicks;
  return state.leaderTick !== undefined && state.now - state.leaderTick < min;
}

/** §5.4.1, with what this node's log held before its disk lost the end of it. */
function isUpToDate({ log, lostEnd }: RaftState, { lastIndex, lastTerm }: PreVote | RequestVote): boolean {
  const reaches =
    lostEnd === undefined ||
    lastTerm > lostEnd.term ||
    (lastTerm === lostEnd.term && lastIndex >= lostEnd.index);
  return reaches && log.isUpToDate(lastIndex, lastTerm);
}

/** Any term; changes nothing. */
export function onPreVote(state: RaftState, message: PreVote): void {
  const granted = message.term > state.term && !isLoyal(state) && isUpToDate(state, message);
  state.outbox.push({
    type: 'preVoteResponse',
    from: state.id,
    to: message.from,
    term: granted ? message.term : state.term,
    granted,
    ...echo(message),
  });
}

export function onPreVoteResponse(state: RaftState, message: PreVoteResponse): void {
  if (state.current.role !== 'pre-candidate') return;
  const asked = termToAskFor(state);
  // A grant names the term that was asked for; one for another attempt counts for nothing.
  if (message.granted ? message.term !== asked : message.term < state.term) return;
  if (message.term >= asked && !message.granted) {
    // The next attempt will be above it.
    state.heardTerm = message.term;
    becomeFollower(state, state.term, undefined);
    return;
  }
  countVote(state, message.from, message.granted);
}

/** Whether the request is refused without a look at it, its term included. */
export function putsOff(state: RaftState, message: RequestVote): boolean {
  if (state.now < state.graceTick || (isLoyal(state) && !message.transfer)) return true;
  // Whoever knows the leader of a term has no vote to give in it, unless it is asked for the same one again.
  return message.term === state.term && state.vote !== message.from && leaderOf(state) !== undefined;
}

/** The message's term is the current one by now (see `Raft.step`). */
export function onRequestVote(state: RaftState, message: RequestVote): void {
  const granted = (state.vote === undefined || state.vote === message.from) && isUpToDate(state, message);
  if (granted) {
    giveVote(state, message.from);
    resetElectionTimer(state);
  }
  answerVote(state, message, granted);
}

/** Goes behind the append: a vote must be durable before it is told. */
export function answerVote(state: RaftState, message: RequestVote, granted: boolean): void {
  state.afterAppend.push({
    type: 'requestVoteResponse',
    from: state.id,
    to: message.from,
    term: state.term,
    granted,
    ...echo(message),
  });
}

export function onRequestVoteResponse(state: RaftState, message: RequestVoteResponse): void {
  if (state.current.role === 'candidate') countVote(state, message.from, message.granted);
}

/** The leader asks this node to take over, without delay and without a pre-vote (thesis §3.10). */
export function onTimeoutNow(state: RaftState, message: TimeoutNow): void {
  if (state.current.role !== 'follower' || state.current.leader !== message.from) return;
  if (!mayCampaign(state)) return;
  campaign(state, true);
}

/** The call a response belongs to. */
export function echo(request: { readonly call?: number }): { readonly call?: number } {
  return request.call === undefined ? {} : { call: request.call };
}
