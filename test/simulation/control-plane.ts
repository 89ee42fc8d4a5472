/** Calls between the control planes of simulated machines: the real methods at both ends, a connection that may break between them. */

import type { Configuration, NodeId } from '../../membership/configuration.js';
import { memberOf } from '../../membership/configuration.js';
import type { Clock } from '../../server/ports.js';
import type { ControlClient } from '../../server/rpc/control.js';
import type { Methods } from '../../server/rpc/dispatch.js';
import { ChannelError } from '../../server/rpc/errors.js';
import type { Roster } from '../../server/rpc/identity.js';
import { envelopeTo } from '../../server/rpc/identity.js';
import type { Network } from './network.js';

/** Whom a call may reach. */
export interface Callee {
  readonly isUp: boolean;
  arrive(task: (running: { readonly methods: Methods }) => void): void;
}

export interface ControlPlaneParts {
  readonly id: NodeId;
  readonly network: Network;
  readonly roster: Roster;
  readonly clock: Clock;
  /** Runs a task on the caller's machine, as long as this incarnation of it lives. */
  readonly run: (task: () => void) => void;
  /** The same, later. */
  readonly after: (delayMs: number, task: () => void) => void;
  readonly hostOf: (id: NodeId) => Callee | undefined;
}

export function controlPlane(parts: ControlPlaneParts): Pick<ControlClient, 'call'> {
  const { id, network, roster, clock, run, after, hostOf } = parts;
  return {
    call: (to, method, params, timeoutMs) =>
      new Promise((resolve, reject) => {
        const cancel = clock.after(timeoutMs, () =>
          reject(new ChannelError('timed-out', `${to}: no answer`)),
        );
        const settle = (finish: () => void): void => {
          cancel();
          finish();
        };
        const lost = (): void =>
          settle(() => reject(new ChannelError('lost', `${to}: the connection broke`)));
        const target = hostOf(to);
        if (target === undefined || !target.isUp || network.isCut(id, to)) {
          settle(() => reject(new ChannelError('never-sent', `${to} is not reached`)));
          return;
        }
        const full = { ...envelopeTo(roster, { id: to, incarnation: incarnationOf(to) }), ...params };
        const answer = (finish: () => void): void => {
          const sent = network.sendOnce(to, id, () => run(() => settle(finish)));
          if (!sent) network.sendOnce(id, id, () => run(lost));
        };
        const sent = network.sendOnce(id, to, () =>
          target.arrive(({ methods }) => {
            const call = methods[method];
            Promise.resolve()
              .then(() => call?.(full, {}))
              .then(
                (result) => answer(() => resolve(result)),
                (error: unknown) =>
                  answer(() => reject(error instanceof Error ? error : new Error(String(error)))),
              );
          }),
        );
        if (!sent) after(1, lost);
      }),
  };
}

export function incarnationOf(id: NodeId): string {
  return `disk-of-${id}`;
}

export function rosterOf(id: NodeId, configuration: Configuration): Roster {
  return {
    clusterName: 'simulated',
    self: () => ({ id, incarnation: incarnationOf(id) }),
    clusterId: () => configuration.clusterId,
    peerIncarnation: (peer) => memberOf(configuration, peer)?.incarnation,
    firstVoters: () => undefined,
    isReplaced: () => false,
    introduction: () => ({ addresses: { raft: id, rpc: id, http: id }, version: '0' }),
    met: () => undefined,
  };
}
