/** The serving side of what other nodes, members or not yet, ask about the cluster's members. */

import { deadlineAfter } from '../deadline.js';
import { takeIn } from '../members/joining.js';
import type { Members } from '../members/members.js';
import type { ClusterOutcome } from '../members/request.js';
import type { Node } from '../node.js';
import type { Clock } from '../ports.js';
import { ServiceError } from '../service.js';
import type { Methods } from './dispatch.js';
import { firstFault, invalidParams } from './errors.js';
import { checkSender, identifiedMethod } from './identity.js';
import type { Roster } from './identity.js';
import { CLUSTER_METHODS, changeShape, joinSchema, wireJoinAnswer } from './membership-wire.js';

export interface MembershipMethodsOptions {
  readonly roster: Roster;
  readonly clock: Clock;
  /** Undefined until this node takes part. */
  readonly node: () => Node | undefined;
  readonly members: () => Members | undefined;
  /** A caller may ask for less, not for more. */
  readonly requestTimeoutMs: number;
}

/** Of a call's time, so much is left for the way back. */
const ANSWER_SHARE = 0.1;

export function membershipMethods(options: MembershipMethodsOptions): Methods {
  const { roster, clock, requestTimeoutMs } = options;
  return {
    [CLUSTER_METHODS.change]: identifiedMethod(
      roster,
      changeShape,
      async ({ request, timeoutMs }): Promise<ClusterOutcome> => {
        const patienceMs = Math.min(timeoutMs, requestTimeoutMs) * (1 - ANSWER_SHARE);
        return (
          (await options.members()?.carryOut(request, deadlineAfter(clock, patienceMs))) ?? {
            status: 'elsewhere',
          }
        );
      },
    ),
    [CLUSTER_METHODS.join]: (params) => {
      const parsed = joinSchema.safeParse(params);
      if (!parsed.success) {
        const { field, message } = firstFault(parsed.error);
        throw invalidParams(field, message);
      }
      const { from, returning, probe, raft, rpc, http } = parsed.data;
      const node = options.node();
      if (node === undefined) throw new ServiceError('no-leader', 'the node is still starting');
      checkSender(parsed.data, roster);
      return wireJoinAnswer(takeIn(node, { ...from, returning, probe, raft, rpc, http }));
    },
  };
}
