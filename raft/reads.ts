/**
 * Linearizable reads without a log entry (§8, thesis §6.4): the leader notes its commit index, lets one round of
 * heartbeats confirm that it still leads, and answers every read that arrived before the round was sent.
 */

import { agreedByAll, majority } from '../membership/quorum.js';
import type { NodeId } from '../membership/configuration.js';
import { electorate } from '../membership/configuration.js';
import type { Index } from './entry.js';
import type { HeartbeatResponse } from './messages.js';
import type { Leadership, RaftState } from './state.js';

/** A read that may be answered once the state machine has applied `index`. */
export interface ConfirmedRead {
  readonly id: number;
  readonly index: Index;
}

interface Round {
  readonly round: number;
  /** The commit index when the round was sent. */
  readonly index: Index;
  readonly ids: readonly number[];
}

export interface LeaderReads {
  /** Reads that no round covers yet. */
  waiting: number[];
  /** Rounds that reads wait for, oldest first. */
  readonly rounds: Round[];
  /** The newest round that each member answered. */
  readonly answered: Map<NodeId, number>;
  /** Invariant: grows with every attempt, so that a late answer to an earlier one proves nothing about a later one. */
  lastRound: number;
  /** Not handed out yet. */
  readonly confirmed: ConfirmedRead[];
  /** When each round was sent that no majority has answered yet, oldest first. */
  readonly sent: { readonly round: number; readonly sentMs: number }[];
  /**
   * Until this moment no other node can have become the leader: a majority answered a heartbeat and owes this one its
   * loyalty for the shortest election timeout from then on (thesis §6.4.1).
   */
  leaseUntilMs: number;
  /** Takes everything that waits, because it can't be answered here any more. */
  drain(): number[];
}

export function newReads(): LeaderReads {
  return {
    waiting: [],
    rounds: [],
    answered: new Map(),
    lastRound: 0,
    confirmed: [],
    sent: [],
    leaseUntilMs: -Infinity,
    drain() {
      const confirmed = this.confirmed.splice(0).map((read) => read.id);
      const ids = [...confirmed, ...this.rounds.flatMap((round) => round.ids), ...this.waiting];
      this.rounds.length = 0;
      this.waiting = [];
      return ids;
    },
  };
}

export function pendingReads(reads: LeaderReads): number {
  return reads.rounds.reduce((sum, round) => sum + round.ids.length, reads.waiting.length);
}

/**
 * Starts a round for the waiting reads, when there are any and no round is out; `again` starts one in any case,
 * because an answer of the last one may be lost. Reads wait for a commit in this term, since only then the commit
 * index is known to hold everything that was acknowledged before (§8).
 */
export function startRound(state: RaftState, lead: Leadership, again: boolean): number | undefined {
  const { reads } = lead;
  const servable = state.log.commit >= lead.firstIndex;
  const due = servable && reads.waiting.length > 0;
  if (!again && (!due || reads.rounds.length > 0)) return undefined;
  reads.lastRound += 1;
  reads.sent.push({ round: reads.lastRound, sentMs: state.clockMs });
  if (due) {
    reads.rounds.push({ round: reads.lastRound, index: state.log.commit, ids: reads.waiting });
    reads.waiting = [];
  }
  confirmRounds(state, lead);
  return reads.lastRound;
}

export function heartbeatAnswered(state: RaftState, lead: Leadership, message: HeartbeatResponse): void {
  const { reads } = lead;
  if (message.round > (reads.answered.get(message.from) ?? 0))
    reads.answered.set(message.from, message.round);
  confirmRounds(state, lead);
}

/** An answer to a later round confirms the earlier ones too: leadership then held at an even later time. */
function confirmRounds(state: RaftState, lead: Leadership): void {
  const { reads } = lead;
  const confirmed = agreedByAll(electorate(state.configuration), (id) =>
    id === state.id ? reads.lastRound : (reads.answered.get(id) ?? 0),
  );
  while (reads.sent.length > 0 && (reads.sent[0]?.round ?? Infinity) <= confirmed) {
    // From when the heartbeat was sent, not from when its answer came: the loyalty began in between.
    const sentMs = reads.sent.shift()?.sentMs ?? -Infinity;
    reads.leaseUntilMs = Math.max(reads.leaseUntilMs, sentMs + state.options.leaseMs);
  }
  while (reads.rounds.length > 0 && (reads.rounds[0]?.round ?? Infinity) <= confirmed) {
    const round = reads.rounds.shift();
    for (const id of round?.ids ?? []) reads.confirmed.push({ id, index: round?.index ?? 0 });
  }
}

/**
 * Whether a read may be answered at the commit index without a round. Never once this leader has asked another node to campaign: that
 * one's election waits for nobody's loyalty (thesis §4.2.3).
 */
export function holdsLease(state: RaftState, lead: Leadership): boolean {
  if (lead.handedOver || state.log.commit < lead.firstIndex) return false;
  return state.clockMs < lead.reads.leaseUntilMs;
}

/**
 * Check-quorum (thesis §6.2): false when a majority of the voters, this one included, was not heard of for one
 * maximum election timeout. Such a leader can commit nothing and should not keep clients waiting.
 */
export function hearsQuorum(state: RaftState, lead: Leadership): boolean {
  const [, maxTicks] = state.options.electionTicks;
  return electorate(state.configuration).every(
    (ids) => ids.filter((id) => !isSilent(state, lead, id, maxTicks)).length >= majority(ids.length),
  );
}

/** Whether it was not heard of within so many ticks. */
export function isSilent(state: RaftState, lead: Leadership, id: NodeId, ticks: number): boolean {
  const contact = id === state.id ? state.now : lead.progress.get(id)?.contactTick;
  return contact === undefined || state.now - contact > ticks;
}
