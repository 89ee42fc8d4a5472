/** Calls between the control planes of a cluster in one process. */

import type { NodeId } from '../../membership/configuration.js';
import { ChannelError } from '../../server/rpc/errors.js';
import type { VirtualClock } from './virtual-clock.js';

/** How long a message takes, one way. */
const LATENCY_MS = 1;

export interface Wires {
  readonly clock: VirtualClock;
  readonly network: { connects(from: NodeId, to: NodeId, consensus: boolean): boolean };
  readonly cluster: { readonly cutIs: string };
  readonly from: NodeId;
}

/** A call as the control plane carries it: lost without a word, or refused, where the link is cut. */
export function callOver(
  { clock, network, cluster, from }: Wires,
  timeoutMs: number,
  to: NodeId,
  carryOut: () => Promise<unknown>,
): Promise<unknown> {
  const there = (): boolean => network.connects(from, to, false);
  return new Promise((resolve, reject) => {
    if (!there() && cluster.cutIs === 'refused') {
      reject(new ChannelError('never-sent', `${to} is not reached`));
      return;
    }
    clock.after(timeoutMs, () => reject(new ChannelError('timed-out', `no answer of ${to}`)));
    const answer = (settle: () => void): void =>
      void clock.after(LATENCY_MS, () => {
        if (there()) settle();
        else if (cluster.cutIs === 'refused') reject(new ChannelError('lost', `${to} went`));
      });
    clock.after(LATENCY_MS, () => {
      if (!there()) return;
      carryOut().then(
        (result) => answer(() => resolve(result)),
        (error: unknown) => answer(() => reject(error instanceof Error ? error : new Error(String(error)))),
      );
    });
  });
}
