/** A member looks after its own place in the cluster: it announces where it is found, and finds out when it was removed. */

import type { Addresses } from '../../membership/change.js';
import type { Member } from '../../membership/configuration.js';
import { isDeparted, memberOf } from '../../membership/configuration.js';
import type { Node } from '../node.js';
import type { Clock } from '../ports.js';
import { isDepartedRefusal } from '../rpc/errors.js';
import type { ClusterAnswer, ClusterRequest } from './request.js';
import { isAt } from './request.js';

export interface PlaceParts {
  readonly node: Node;
  readonly clock: Pick<Clock, 'every'>;
  readonly incarnation: string;
  /** Where others reach this node. */
  readonly addresses: Addresses;
  /** Has the leader carry it out. */
  readonly change: (request: ClusterRequest) => Promise<ClusterAnswer>;
  /** Says hello to another member; rejects with its refusal. */
  readonly greet: (member: Member) => Promise<unknown>;
  /** Once: this node belongs to the cluster no more. */
  readonly departed: () => void;
  readonly failed: (error: unknown) => void;
}

const EVERY_MS = 250;
/** No word of a leader for so many of the longest election timeouts: the others are asked whether this node is a member still. */
const SILENCE_TIMEOUTS = 2;

/** Ends with the node, or when it has departed. */
export function keepPlace(parts: PlaceParts): void {
  const { node, clock } = parts;
  let isBusy = false;
  const stop = clock.every(EVERY_MS, () => {
    if (node.isStopped) {
      stop();
      return;
    }
    if (hasDeparted(parts)) {
      stop();
      parts.departed();
      return;
    }
    if (isBusy) return;
    isBusy = true;
    const work = isAlone(node) ? askAround(parts) : announce(parts);
    work
      .then((departed) => {
        if (!departed || node.isStopped) return;
        stop();
        parts.departed();
      }, parts.failed)
      .finally(() => (isBusy = false));
  });
}

function hasDeparted({ node, incarnation }: PlaceParts): boolean {
  return isDeparted(node.standing.configuration, node.state.id, incarnation);
}

function isAlone({ state }: Node): boolean {
  if (state.current.role === 'leader') return false;
  const patience = SILENCE_TIMEOUTS * state.options.electionTicks[1];
  return state.leaderTick === undefined || state.now - state.leaderTick > patience;
}

/** A removed node gets no word of it: its log ends before the change. Whoever knows refuses it. */
async function askAround({ node, greet }: PlaceParts): Promise<boolean> {
  const others = node.configuration.members.filter(({ id }) => id !== node.state.id);
  const refusals = await Promise.all(
    others.map((member) => greet(member).then(() => false, isDepartedRefusal)),
  );
  return refusals.includes(true);
}

async function announce({ node, incarnation, addresses, change }: PlaceParts): Promise<boolean> {
  const { leader, configuration } = node.standing;
  const own = memberOf(configuration, node.state.id);
  if (leader === undefined || own?.incarnation !== incarnation || isAt(own, addresses)) return false;
  await change({ type: 'readdress', id: own.id, addresses });
  return false;
}
