/** What answers requests, on top of a node that takes part. */

import { statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Base } from './base.js';
import { systemClock } from './clock.js';
import { askNewcomer } from './find-peers.js';
import { Leadership } from './leadership.js';
import type { LogSizes } from './log-sizes.js';
import { Members } from './members/members.js';
import type { Node } from './node.js';
import { TICK_MS } from './raft-settings.js';
import { ReadIndexes } from './read-indexes.js';
import { Reader } from './reader.js';
import { createLeaderLink } from './rpc/forwarding.js';
import { SpaceGuard } from './space-guard.js';
import { addressesOf } from './starting.js';
import { StatusReport } from './status.js';
import { StoreService } from './store-service.js';

/** A request waits for an election for so many of the longest election timeouts before it is told `no-leader`. */
const LEADER_WAIT_TIMEOUTS = 4;

/** A node that catches up for longer asks anew how far it has to come. */
const CATCH_UP_MS = 10_000;
const CATCH_UP_RETRY_MS = 100;

/** What answers requests on top of a node. */
export function serviceOf(
  { options, storage, control, roster, space, acquaintances, members }: Base,
  node: Node,
  sizes: Pick<LogSizes, 'between'>,
): { service: StoreService; readIndexes: ReadIndexes; report: StatusReport } {
  const { config, version } = options;
  const { requestTimeoutMs } = config.http;
  const clock = systemClock;
  const maxElectionMs = config.raft.electionTimeoutMs[1];
  const leadership = new Leadership(node, {
    leaderWaitMs: Math.min(LEADER_WAIT_TIMEOUTS * maxElectionMs, requestTimeoutMs),
    retryMs: config.raft.heartbeatIntervalMs,
  });
  const link = createLeaderLink(control, clock);
  const indexes = (lease: boolean): ReadIndexes =>
    new ReadIndexes(node, clock, leadership, link, { lease, timeoutMs: requestTimeoutMs });
  const readIndexes = indexes(false);
  const changes = new Members({
    node,
    tickMs: TICK_MS,
    greet: (id, raft) => askNewcomer({ config, roster, control }, id, raft),
  });
  members.current = changes;
  const report = new StatusReport(node, clock, {
    addresses: addressesOf(config),
    cluster: config.cluster.name,
    version,
    tickMs: TICK_MS,
    unreachableAfterMs: maxElectionMs,
    versionOf: (id) => acquaintances.versionOf(id),
    bytesBetween: (from, to) => sizes.between(from, to),
    underWay: () => changes.underWay(),
  });
  const service = new StoreService({
    node,
    clock,
    leadership,
    link,
    ...(space.current !== undefined && { space: space.current }),
    logStore: storage.log.store,
    readIndexes,
    leaseIndexes: indexes(true),
    reader: new Reader(storage.state, clock, node),
    report,
    members: changes,
    requestTimeoutMs,
    sessions: config.sessions,
  });
  return { service, readIndexes, report };
}

/** Refuses what there is no room for. */
export function spaceGuard({ options, storage }: Base, node: Node): SpaceGuard {
  const { config, logger } = options;
  return new SpaceGuard({
    node,
    store: storage.state,
    clock: systemClock,
    limits: config.limits,
    async diskFreeBytes() {
      const { bavail, bsize } = await statfs(config.raft.dataDir);
      return bavail * bsize;
    },
    unknown: (error) =>
      logger.warn({ err: error }, 'the free space of the disk is not known; limits.freeBytes has no effect'),
  });
}

/** Ready once everything is applied that was committed before this moment. */
export async function catchUp(
  node: Node,
  readIndexes: ReadIndexes,
  report: StatusReport,
  logger: Logger,
): Promise<void> {
  while (!node.isStopped) {
    try {
      const index = await readIndexes.get();
      if (!(await node.whenApplied(index, CATCH_UP_MS))) continue;
      report.caughtUp();
      logger.info({ index, keys: node.keyCount }, 'ready');
      return;
    } catch (error) {
      logger.debug({ err: error }, 'not caught up yet');
      // A refusal (`overloaded`) may come at once; asking again in the same turn would leave no turn to anybody else.
      await delay(CATCH_UP_RETRY_MS);
    }
  }
}
