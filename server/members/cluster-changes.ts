/** Has requests about the cluster itself carried out: by this node where it leads, else by the leader, and in time. */

import type { Clock } from '../ports.js';
import { deadlineAfter } from '../deadline.js';
import type { LeaderLink } from '../leader-link.js';
import type { Leadership } from '../leadership.js';
import { noLeader, shuttingDown } from '../leadership.js';
import type { Node } from '../node.js';
import { ServiceError } from '../service.js';
import type { Members } from './members.js';
import type { ClusterAnswer, ClusterOutcome, ClusterRequest } from './request.js';

export interface ClusterChangesParts {
  readonly node: Node;
  readonly clock: Clock;
  readonly leadership: Leadership;
  readonly link: Pick<LeaderLink, 'change'>;
  readonly members: Members;
  readonly requestTimeoutMs: number;
}

/** Of the time for a request, so much is left for its answer. */
const ANSWER_SHARE = 0.1;

/**
 * Asks again after an uncertain attempt: whatever is asked for is asked for by its effect, so that the second time changes nothing.
 * Rejects with a `ServiceError`.
 */
export async function changeCluster(
  parts: ClusterChangesParts,
  request: ClusterRequest,
): Promise<ClusterAnswer> {
  const { node, clock, leadership, link, members, requestTimeoutMs } = parts;
  const deadline = deadlineAfter(clock, requestTimeoutMs * (1 - ANSWER_SHARE));
  let isUncertain = false;
  try {
    for (;;) {
      const leader = await leadership.leader(deadline);
      const outcome: ClusterOutcome =
        leader === node.state.id
          ? await members.carryOut(request, deadline)
          : await link.change(leader, request, deadline.remainingMs());
      if (outcome.status === 'done' || outcome.status === 'waiting') return outcome;
      if (outcome.status === 'refused') throw new ServiceError('membership-conflict', outcome.why);
      if (outcome.status === 'unresolved') isUncertain = true;
      if (node.isStopped) throw shuttingDown();
      await leadership.settle(deadline);
      if (deadline.remainingMs() === 0) throw noLeader('no leader took the change in time');
    }
  } catch (error) {
    if (!isUncertain || !(error instanceof ServiceError)) throw error;
    throw new ServiceError(
      'leadership-lost',
      `${error.message}; an earlier attempt may still take effect: look at the members`,
      { cause: error },
    );
  }
}
