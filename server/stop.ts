/** The way out: hand leadership over, answer what is in flight, then close, from the outside in. */

import type { Logger } from 'pino';
import type { Listeners } from './listeners.js';
import type { Node } from './node.js';
import type { ControlClient } from './rpc/control.js';
import type { PeerTransport } from './rpc/peers.js';
import type { StoreService } from './store-service.js';
import { mostAdvanced } from './watchdog.js';

/** The whole stop takes less than 5 s: one hand-over, one draining, and the closing of the stores. */
const HAND_OVER_MS_MAX = 1500;
const DRAIN_MS = 2500;

export interface StopParts {
  readonly node: Node;
  readonly service: StoreService;
  readonly listeners: Listeners;
  readonly transport: Pick<PeerTransport, 'close'>;
  readonly control: Pick<ControlClient, 'close'>;
  readonly stores: readonly { close(): Promise<void> }[];
  readonly maxElectionMs: number;
  readonly logger: Logger;
}

export async function stopServer(parts: StopParts): Promise<void> {
  const { node, service, listeners, transport, control, stores, logger } = parts;
  service.leave();
  await handOver(parts);
  service.stop();
  // The servers that requests are forwarded to stay until those are decided.
  await Promise.all([listeners.drain(DRAIN_MS), node.whenDecided(DRAIN_MS)]);
  node.stop();
  control.close();
  // Whoever waited still has an answer by now; it leaves before the connections are closed.
  await new Promise((resolve) => setImmediate(resolve));
  transport.close();
  await listeners.close();
  await Promise.all(stores.map((store) => store.close()));
  logger.info('stopped');
}

/** Requests that come meanwhile wait for the new leader and are forwarded to it. */
export async function handOver({
  node,
  maxElectionMs,
  logger,
}: Pick<StopParts, 'node' | 'maxElectionMs'> & {
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}): Promise<void> {
  const target = mostAdvanced(node.state);
  if (target === undefined || node.transfer(target) !== 'taken') return;
  const settled = await node.whenStanding(
    (standing) => standing.role !== 'leader' && standing.leader !== undefined,
    Math.min(2 * maxElectionMs, HAND_OVER_MS_MAX),
  );
  if (settled) logger.info({ leader: node.standing.leader }, 'handed leadership over');
  else logger.warn({ to: target }, 'leadership could not be handed over in time; the others will elect');
}
