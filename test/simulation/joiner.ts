/** How a machine with an empty disk comes into the cluster: as `server/members/find-cluster.ts` does it, it asks one node after the other. */

import type { Configuration, NodeId } from '../../membership/configuration.js';
import { isDepartedRefusal } from '../../server/rpc/errors.js';
import type { Identity } from '../../server/rpc/identity.js';
import { CLUSTER_METHODS, readJoinAnswer } from '../../server/rpc/membership-wire.js';
import type { ControlPlane } from './control-plane.js';
import { CLUSTER_NAME, addressesOf } from './control-plane.js';

export interface JoinerParts {
  readonly self: Identity;
  /** The cluster knows its id: its disk was replaced. */
  readonly returning: boolean;
  readonly control: Pick<ControlPlane, 'callAddress'>;
  readonly places: readonly NodeId[];
  /** Resolves after a pause, as long as the process lives. */
  readonly pause: () => Promise<void>;
}

const ATTEMPT_TIMEOUT_MS = 1000;

/** Asks until it is a member; undefined: the cluster will not have this node. */
export async function join(parts: JoinerParts): Promise<Configuration | undefined> {
  const { self, returning, control, places, pause } = parts;
  const params = {
    cluster: CLUSTER_NAME,
    clusterId: null,
    from: self,
    returning,
    probe: false,
    ...addressesOf(self.id),
  };
  for (;;) {
    for (const place of places) {
      try {
        const answer = readJoinAnswer(
          await control.callAddress(place, CLUSTER_METHODS.join, params, ATTEMPT_TIMEOUT_MS),
        );
        if (answer.status === 'member') return answer.configuration;
        if (answer.status === 'departed' || answer.status === 'refused') return undefined;
        if (answer.status === 'waiting') break;
      } catch (error) {
        if (isDepartedRefusal(error)) return undefined;
      }
    }
    await pause();
  }
}
