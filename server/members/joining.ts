/** What the leader does with a node that asks to be taken in: one step at each asking, since each change takes its time. */

import type { Addresses } from '../../membership/change.js';
import type { Configuration, NodeId } from '../../membership/configuration.js';
import { isDeparted, memberOf } from '../../membership/configuration.js';
import type { Node } from '../node.js';
import type { ChangeOutcome } from '../node-parts.js';

export interface JoinRequest extends Addresses {
  readonly id: NodeId;
  readonly incarnation: string;
  /** Only under an id of a member, or of one whose disk is being replaced: its file names it among the first voters, so it should have been there from the start. */
  readonly returning: boolean;
  /** Only whether there is a leader is asked; nothing is changed. */
  readonly probe: boolean;
}

export type JoinAnswer =
  /** It is a member; the configuration is committed. */
  | { readonly status: 'member'; readonly configuration: Configuration }
  /** It is being taken in; to be asked again. */
  | { readonly status: 'waiting'; readonly why: string }
  | { readonly status: 'refused'; readonly why: string }
  /** Removed for good, with this disk. */
  | { readonly status: 'departed' }
  /** Another node leads: where it is called, when that is known. */
  | { readonly status: 'elsewhere'; readonly rpc: string | undefined };

export function takeIn(node: Node, newcomer: JoinRequest): JoinAnswer {
  const { state, standing, configuration } = node;
  const { current } = state;
  if (node.isStopped || current.role !== 'leader') {
    const leader = standing.leader === undefined ? undefined : memberOf(configuration, standing.leader);
    return { status: 'elsewhere', rpc: leader?.id === newcomer.id ? undefined : leader?.rpc };
  }
  const { id, incarnation, returning, probe, raft, rpc, http } = newcomer;
  if (probe) return { status: 'waiting', why: 'there is a leader' };
  if (isDeparted(standing.configuration, id, incarnation)) return { status: 'departed' };
  const member = memberOf(configuration, id);
  if (member === undefined) {
    const last = configuration.departed?.findLast((gone) => gone.id === id);
    if (returning && last?.replaced !== true) {
      const what =
        last === undefined ? `the cluster has no member ${id}` : `${id} was removed from the cluster`;
      return {
        status: 'refused',
        why: `${what}; to take it in, name the rpc addresses of members in cluster.join instead of cluster.peers`,
      };
    }
    // Its promotion is a change of its own, once it has caught up.
    return told(node.change({ type: 'add', member: { id, incarnation, raft, rpc, http, promote: true } }));
  }
  if (member.incarnation === incarnation) {
    const isCommitted = memberOf(standing.configuration, id)?.incarnation === incarnation;
    return isCommitted
      ? { status: 'member', configuration: standing.configuration }
      : { status: 'waiting', why: 'the cluster has to commit its membership' };
  }
  // Its disk was wiped or replaced. The old one may have promised its vote, and counts until its removal is committed.
  const progress = current.progress.get(id);
  const isHeard =
    progress !== undefined && state.now - progress.contactTick <= state.options.electionTicks[1];
  if (id === state.id || (isHeard && progress.match > 0)) {
    return {
      status: 'waiting',
      why: `${id} runs already, with another data directory; give this node an id of its own, or stop the other one`,
    };
  }
  return told(node.change({ type: 'remove', id, replaced: true }));
}

function told(outcome: ChangeOutcome): JoinAnswer {
  if (outcome.status === 'appended')
    return { status: 'waiting', why: 'the cluster has to commit its membership' };
  switch (outcome.why) {
    case 'no-quorum':
      return {
        status: 'waiting',
        why: `the members can't be changed without ${outcome.missing.join(', ')}, which the leader does not hear of`,
      };
    case 'last-voter':
      return { status: 'refused', why: 'it was the last voter: there is nobody to decide its replacement' };
    case 'under-way':
      return { status: 'waiting', why: 'another change of the members is under way' };
    default:
      return { status: 'waiting', why: 'the leader is not ready to change the members yet' };
  }
}
