/** What answers requests, on top of a node that takes part. */

import { statfs } from 'node:fs/promises';
import { markState } from '../persistence/state-mark.js';
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
import { Verification, unusableState } from './verification.js';

/** A request waits for an election for so many of the longest election timeouts before it is told `no-leader`. */
const LEADER_WAIT_TIMEOUTS = 4;

/** What answers requests on top of a node. */
export function serviceOf(
  { options, storage, snapshots, control, roster, space, taking, acquaintances, members }: Base,
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
    silentOf: (ids) => acquaintances.silentOf(ids),
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
    ...(taking.current !== undefined && { snapshots: taking.current }),
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
    ...(taking.current !== undefined && { snapshots: { taking: taking.current, store: snapshots } }),
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

/** Compares the states of the nodes from time to time. */
export function verificationOf({ options, storage }: Base, node: Node, service: StoreService): Verification {
  const { config, logger, fatal } = options;
  return new Verification({
    node,
    clock: systemClock,
    store: storage.state,
    attest: (command) => service.attest(command),
    events: {
      differ: (nodes, index) => logger.error({ nodes, index }, 'the states of these nodes are wrong'),
      unusable: (mark) => {
        markState(config.raft.dataDir, mark);
        fatal(unusableState(mark));
      },
    },
  });
}
