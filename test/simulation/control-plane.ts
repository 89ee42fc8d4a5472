/** Calls between the control planes of simulated machines: the real methods at both ends, a connection that may break between them. */

import type { NodeId } from '../../membership/configuration.js';
import { isDeparted, memberOf } from '../../membership/configuration.js';
import type { Node } from '../../server/node.js';
import type { Clock } from '../../server/ports.js';
import type { ControlClient } from '../../server/rpc/control.js';
import type { Methods } from '../../server/rpc/dispatch.js';
import { ChannelError } from '../../server/rpc/errors.js';
import type { Identity, Roster } from '../../server/rpc/identity.js';
import { envelopeTo } from '../../server/rpc/identity.js';
import type { Network } from './network.js';

export const CLUSTER_NAME = 'simulated';
export const CLUSTER_ID = 'simulated';

/** Whom a call may reach. */
export interface Callee {
  readonly isUp: boolean;
  arrive(task: (running: { readonly methods: Methods }) => void): void;
}

export interface ControlPlaneParts {
  readonly id: NodeId;
  readonly network: Network;
  readonly roster: Roster;
  readonly clock: Pick<Clock, 'after'>;
  /** Runs a task on the caller's machine, as long as this incarnation of it lives. */
  readonly run: (task: () => void) => void;
  /** The same, later. */
  readonly after: (delayMs: number, task: () => void) => void;
  readonly hostOf: (id: NodeId) => Callee | undefined;
}

export type ControlPlane = Pick<ControlClient, 'call' | 'callAddress'>;

/** An address is the id of who listens there. */
export function controlPlane(parts: ControlPlaneParts): ControlPlane {
  const { id, network, roster, clock, run, after, hostOf } = parts;
  const callAddress: ControlPlane['callAddress'] = (to, method, params, timeoutMs) =>
    new Promise((resolve, reject) => {
      const cancel = clock.after(timeoutMs, () => reject(new ChannelError('timed-out', `${to}: no answer`)));
      const settle = (finish: () => void): void => {
        cancel();
        finish();
      };
      const lost = (): void => settle(() => reject(new ChannelError('lost', `${to}: the connection broke`)));
      const target = hostOf(to);
      if (target === undefined || !target.isUp || network.isCut(id, to)) {
        settle(() => reject(new ChannelError('never-sent', `${to} is not reached`)));
        return;
      }
      const answer = (finish: () => void): void => {
        const sent = network.sendOnce(to, id, () => run(() => settle(finish)));
        if (!sent) network.sendOnce(id, id, () => run(lost));
      };
      const sent = network.sendOnce(id, to, () =>
        target.arrive(({ methods }) => {
          const call = methods[method];
          Promise.resolve()
            .then(() => call?.(params, {}))
            .then(
              (result) => answer(() => resolve(result)),
              (error: unknown) =>
                answer(() => reject(error instanceof Error ? error : new Error(String(error)))),
            );
        }),
      );
      if (!sent) after(1, lost);
    });
  return {
    callAddress,
    call(to, method, params, timeoutMs) {
      const incarnation = roster.peerIncarnation(to);
      if (incarnation === undefined)
        return Promise.reject(new ChannelError('never-sent', `${to} is not known as a member`));
      return callAddress(
        to,
        method,
        { ...envelopeTo(roster, { id: to, incarnation }), ...params },
        timeoutMs,
      );
    },
  };
}

/** As `server/base.ts` has it. @param node undefined until it takes part */
export function rosterOf(self: Identity, node: () => Node | undefined): Roster {
  return {
    clusterName: CLUSTER_NAME,
    self: () => self,
    clusterId: () => CLUSTER_ID,
    peerIncarnation(peer) {
      const running = node();
      return running && memberOf(running.configuration, peer)?.incarnation;
    },
    firstVoters: () => undefined,
    isReplaced(id, incarnation) {
      const running = node();
      return running !== undefined && isDeparted(running.standing.configuration, id, incarnation);
    },
    introduction: () => ({ addresses: addressesOf(self.id), version: '0' }),
    met: () => undefined,
  };
}

/** Where a machine is found: it never moves, whatever the configuration says. */
export function addressesOf(id: NodeId): {
  readonly raft: string;
  readonly rpc: string;
  readonly http: string;
} {
  return { raft: id, rpc: id, http: id };
}
