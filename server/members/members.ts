/** Changes of the members, carried out where this node leads: what is asked for is judged, begun, and waited for. */

import type { Change } from '../../membership/change.js';
import { isJoint } from '../../membership/change.js';
import type { Configuration, NodeId } from '../../membership/configuration.js';
import { electors, isDeparted, memberOf } from '../../membership/configuration.js';
import type { Deadline } from '../deadline.js';
import type { Node } from '../node.js';
import type { ChangeOutcome } from '../node-parts.js';
import { mostAdvanced } from '../watchdog.js';
import type { ClusterOutcome, ClusterRequest, MemberRequest } from './request.js';
import { isAt, isDone } from './request.js';

/** The disk that listens at the addresses of a newcomer. */
export interface Newcomer {
  readonly incarnation: string;
  /** Null: it belongs to no cluster yet. */
  readonly clusterId: string | null;
}

export interface MembersParts {
  readonly node: Node;
  /** Asks who listens at `raft`, where `id` should be. Rejects when it does not say, or refuses. */
  readonly greet: (id: NodeId, raft: string) => Promise<Newcomer>;
  readonly tickMs: number;
  /** Those of these members that this node can't reach, as far as it found out while it had no leader; absent: nobody knows. */
  readonly silentOf?: (ids: readonly NodeId[]) => readonly NodeId[];
}

/** Another change that is under way is waited for so long. */
const UNDER_WAY_MS = 1000;

export class Members {
  readonly #parts: MembersParts;

  constructor(parts: MembersParts) {
    this.#parts = parts;
  }

  /** Never waits for longer than the deadline. */
  async carryOut(request: ClusterRequest, deadline: Deadline): Promise<ClusterOutcome> {
    const { node } = this.#parts;
    if (node.isStopped || node.state.current.role !== 'leader') return { status: 'elsewhere' };
    if (request.type === 'transfer') return this.#transfer(request.to, deadline);
    const prepared = await this.#prepare(request);
    if ('status' in prepared) return prepared;
    let outcome = node.change(prepared);
    if (outcome.status === 'refused' && outcome.why === 'under-way') {
      // Most changes are over within a round trip; a promotion, say, that nobody asked for just now.
      const patienceMs = Math.min(UNDER_WAY_MS, deadline.remainingMs());
      const isOver = (): boolean => node.standing.configuration === node.configuration;
      await node.whenStanding(() => isOver() && !isJoint(node.configuration), patienceMs);
      outcome = node.change(prepared);
    }
    if (outcome.status === 'refused' && outcome.why !== 'nothing') return this.#refused(request, outcome);
    return this.#effect(request, deadline);
  }

  /** The change to propose; an outcome where there is nothing to propose. */
  async #prepare(request: MemberRequest): Promise<Change | ClusterOutcome> {
    const { configuration } = this.#parts.node;
    const member = memberOf(configuration, request.id);
    if (request.type === 'add') {
      if (member === undefined) return this.#newcomer(request);
      if (!isAt(member, request)) {
        return refused(
          `${member.id} is a member already, at ${member.raft}; give it new addresses with PATCH, or remove it first`,
        );
      }
      if (member.voter && !request.voter) return refused(`${member.id} is a voter already`);
      // It becomes a voter by itself.
      if (member.voter || member.promote === true || !request.voter) return { type: 'add', member };
      return { type: 'promote', id: member.id };
    }
    if (member === undefined) {
      const hasLeft = configuration.departed?.some(({ id }) => id === request.id) === true;
      if (request.type === 'remove' && hasLeft) return { status: 'done' };
      const ids = configuration.members.map(({ id }) => id).join(', ');
      return refused(`there is no member ${request.id}; the members are ${ids}`);
    }
    if (request.type !== 'readdress') return request;
    const { raft, rpc, http } = { ...member, ...request.addresses };
    return { ...request, addresses: { raft, rpc, http } };
  }

  async #newcomer(request: ClusterRequest & { type: 'add' }): Promise<Change | ClusterOutcome> {
    const { node, greet } = this.#parts;
    const { id, raft, rpc, http, voter } = request;
    let newcomer: Newcomer;
    try {
      newcomer = await greet(id, raft);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return refused(
        `${id} does not answer at ${raft} as a node that waits to be taken in (${why}); start it first, with cluster.join in its file`,
      );
    }
    const { incarnation, clusterId } = newcomer;
    if (clusterId !== null && clusterId !== node.configuration.clusterId) {
      return refused(`${id} belongs to another cluster (${clusterId}); give it an empty raft.dataDir`);
    }
    if (isDeparted(node.configuration, id, incarnation)) {
      return refused(`${id} was removed with the disk that it has; give it an empty raft.dataDir`);
    }
    return { type: 'add', member: { id, incarnation, raft, rpc, http, ...(voter && { promote: true }) } };
  }

  #refused(request: MemberRequest, outcome: ChangeOutcome & { status: 'refused' }): ClusterOutcome {
    const { configuration } = this.#parts.node;
    switch (outcome.why) {
      case 'not-leader':
      case 'transferring':
      case 'stopping':
      case 'unsettled':
        return { status: 'elsewhere' };
      case 'under-way':
        return refused(`another change is under way: ${this.underWay() ?? 'it waits to be committed'}`);
      case 'no-quorum':
        return refused(
          `no majority of the voters ${isJoint(configuration) ? '' : 'before and after the change '}answers: ${outcome.missing.join(', ')} missing; bring them back first`,
        );
      case 'behind':
        return refused(`${this.#lagOf(outcome.id)}; it can vote once it has caught up`);
      case 'last-voter':
        return refused(`${request.id} is the last voter; nobody would be left to decide anything`);
      case 'exists':
        return refused(`${request.id} is a member already, with another disk; remove it first`);
      case 'departed':
        return refused(`${request.id} was removed with the disk that it has; give it an empty raft.dataDir`);
      case 'unknown':
        return refused(`there is no member ${request.id}`);
      case 'nothing':
        return { status: 'done' };
    }
  }

  async #effect(request: MemberRequest, deadline: Deadline): Promise<ClusterOutcome> {
    const { node } = this.#parts;
    const done = await node.whenStanding(
      ({ configuration }) => isDone(configuration, request),
      deadline.remainingMs(),
    );
    if (done) return { status: 'done' };
    if (node.isStopped || node.state.current.role !== 'leader') return { status: 'unresolved' };
    return { status: 'waiting', waitingFor: this.#waitingFor(request) };
  }

  #waitingFor(request: MemberRequest): string {
    const { configuration } = this.#parts.node;
    const member = memberOf(configuration, request.id);
    if (request.type === 'add' && member?.voter === false) return this.#lagOf(request.id);
    return this.underWay() ?? 'a majority of the voters to commit the change';
  }

  /**
   * What the configuration that was appended waits for; undefined when none is under way. The leader knows that; but where a joint one has lost a
   * majority, there is no leader to ask.
   */
  underWay(): string | undefined {
    const { node, silentOf } = this.#parts;
    const { state, configuration } = node;
    if (state.current.role !== 'leader') {
      const isStuck = node.standing.leader === undefined && isJoint(configuration);
      return isStuck ? waiting(configuration, silentOf?.(electors(configuration)) ?? []) : undefined;
    }
    const isCommitted = node.standing.configuration === configuration;
    if (isCommitted && !isJoint(configuration)) return undefined;
    return waiting(configuration, silentVoters(node));
  }

  #lagOf(id: NodeId): string {
    const { state } = this.#parts.node;
    const progress = state.current.role === 'leader' ? state.current.progress.get(id) : undefined;
    if (progress === undefined) return `${id} to catch up`;
    if (progress.mode === 'snapshot') return `${id} to take the snapshot that is sent to it`;
    return `${id} to catch up: it lacks ${state.log.lastIndex - progress.match} entries`;
  }

  async #transfer(asked: NodeId | undefined, deadline: Deadline): Promise<ClusterOutcome> {
    const { node } = this.#parts;
    const { configuration, state } = node;
    if (asked === state.id) return { status: 'done' };
    const to = asked ?? mostAdvanced(state);
    if (to === undefined) return refused('there is no other voter to hand leadership to');
    const taken = node.transfer(to);
    if (taken === 'not-leader') return { status: 'elsewhere' };
    if (taken !== 'taken') {
      return refused(
        memberOf(configuration, to) === undefined
          ? `there is no member ${to}`
          : `${to} is a learner; promote it before it leads`,
      );
    }
    const { electionTicks } = state.options;
    const patienceMs = 2 * electionTicks[1] * this.#parts.tickMs;
    const reached = await node.whenStanding(
      ({ leader }) => leader !== undefined && leader !== state.id,
      Math.min(patienceMs, deadline.remainingMs()),
    );
    if (reached) {
      const { leader } = node.standing;
      if (asked === undefined || leader === asked) return { status: 'done' };
      return refused(`${leader ?? 'another node'} was elected instead of ${to}`);
    }
    return refused(`${to} did not take over in time; it may be down, or too far behind`);
  }
}

function waiting(configuration: Configuration, missing: readonly NodeId[]): string {
  const what = isJoint(configuration)
    ? 'majorities of the voters before and after the change'
    : 'a majority of the voters';
  return missing.length === 0 ? what : `${what}; ${missing.join(', ')} missing`;
}

function refused(why: string): ClusterOutcome {
  return { status: 'refused', why };
}

/** Electors that the leader has not heard of for a maximum election timeout. */
function silentVoters({ state, configuration }: Node): readonly NodeId[] {
  const { current } = state;
  if (current.role !== 'leader') return [];
  return electors(configuration).filter((id) => {
    const progress = current.progress.get(id);
    return progress !== undefined && state.now - progress.contactTick > state.options.electionTicks[1];
  });
}
