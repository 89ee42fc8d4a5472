/** What may be asked of the cluster itself, when it has taken effect, and what it waits for until then. */

import type { Addresses } from '../../membership/change.js';
import { isJoint } from '../../membership/change.js';
import type { Configuration, Member, NodeId } from '../../membership/configuration.js';
import { memberOf } from '../../membership/configuration.js';

export type ClusterRequest =
  /** A node that listens already, and waits to be taken in; as a learner for good where it is not to be a `voter`. */
  | ({ readonly type: 'add'; readonly id: NodeId; readonly voter: boolean } & Addresses)
  | { readonly type: 'remove'; readonly id: NodeId }
  | { readonly type: 'promote'; readonly id: NodeId }
  /** Addresses that are left out stay. */
  | { readonly type: 'readdress'; readonly id: NodeId; readonly addresses: Partial<Addresses> }
  /** Without `to`: to the voter with most of the log. */
  | { readonly type: 'transfer'; readonly to?: NodeId };

export type MemberRequest = Exclude<ClusterRequest, { readonly type: 'transfer' }>;

/** What became of it. */
export type ClusterAnswer =
  | { readonly status: 'done' }
  /** It is under way, and goes on by itself. */
  | { readonly status: 'waiting'; readonly waitingFor: string };

/** What the leader says; beside an answer, why there is none. */
export type ClusterOutcome =
  | ClusterAnswer
  /** It contradicts what there is, or can't be done now; nothing of it happened. */
  | { readonly status: 'refused'; readonly why: string }
  /** Nothing of it happened: another node leads, or this one is not ready to. It may be asked again at once. */
  | { readonly status: 'elsewhere' }
  /** It was begun, and nobody knows whether it will be carried out. */
  | { readonly status: 'unresolved' };

/** Whether a committed configuration is as was asked for. */
export function isDone(configuration: Configuration, request: MemberRequest): boolean {
  const member = memberOf(configuration, request.id);
  switch (request.type) {
    case 'add':
      return member !== undefined && (!request.voter || isSettledVoter(configuration, member));
    case 'promote':
      return member !== undefined && isSettledVoter(configuration, member);
    case 'remove':
      return member === undefined;
    case 'readdress':
      return member !== undefined && isAt(member, request.addresses);
  }
}

function isSettledVoter(configuration: Configuration, member: Member): boolean {
  return member.voter && !isJoint(configuration);
}

/** Whether the member is found where `addresses` say. */
export function isAt(member: Addresses, addresses: Partial<Addresses>): boolean {
  const { raft = member.raft, rpc = member.rpc, http = member.http } = addresses;
  return member.raft === raft && member.rpc === rpc && member.http === http;
}
