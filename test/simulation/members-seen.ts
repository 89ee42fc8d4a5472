/** What a simulated machine makes of who the members are. */

import type { Configuration, NodeId } from '../../membership/configuration.js';
import type { Identity, Roster } from '../../server/rpc/identity.js';
import { checkSender } from '../../server/rpc/identity.js';
import { CLUSTER_ID, CLUSTER_NAME } from './control-plane.js';

/** A request counts unless its sender is known to have left; an answer, only if it comes from the disk that was asked. */
export function isHeard(from: Identity, isAnswer: boolean, roster: Roster): boolean {
  if (isAnswer) return roster.peerIncarnation(from.id) === from.incarnation;
  try {
    checkSender({ cluster: CLUSTER_NAME, clusterId: CLUSTER_ID, from }, roster);
    return true;
  } catch {
    return false;
  }
}

export function describeMembers({ members, outgoing }: Configuration): string {
  const names = members.map(
    ({ id, voter, leaving }) => `${id}${voter ? '' : ' (learner)'}${leaving === true ? ' (leaving)' : ''}`,
  );
  return `${names.join(', ')}${outgoing === undefined ? '' : `, and of before ${outgoing.join(', ')}`}`;
}

/** Of the first disk of a machine. */
export function incarnationOf(id: NodeId): string {
  return `disk-of-${id}`;
}
