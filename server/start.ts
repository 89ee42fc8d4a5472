/** Puts a node together from its configuration, and takes it apart again. With `main.ts`, the only place that wires. */

import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../configs/config.js';
import type { Configuration } from '../membership/configuration.js';
import { memberOf } from '../membership/configuration.js';
import type { Fatal } from '../persistence/errors.js';
import type { Identity } from '../persistence/identity.js';
import { openIdentity, recordClusterId } from '../persistence/identity.js';
import type { LogStore, RecoveredLog } from '../persistence/log-store.js';
import { openRocksLogStore } from '../persistence/rocksdb/log-store.js';
import { openRocksStateStore } from '../persistence/rocksdb/state-store.js';
import type { StateStore } from '../persistence/state-store.js';
import type { RaftSeed } from '../raft/state.js';
import { firstBatch, firstConfiguration, firstVotersDigest } from './bootstrap.js';
import { systemClock } from './clock.js';
import { Leadership } from './leadership.js';
import type { Listeners } from './listeners.js';
import { listen } from './listeners.js';
import type { Standing } from './node.js';
import { Node } from './node.js';
import type { Inbox } from './ports.js';
import { TICK_MS, raftOptions } from './raft-settings.js';
import { ReadIndexes } from './read-indexes.js';
import { Reader } from './reader.js';
import { checkForgetful, isFresh, recoverSeed } from './recovery.js';
import { findPeers, greetPeer } from './find-peers.js';
import type { ControlClient } from './rpc/control.js';
import { createControlClient } from './rpc/control.js';
import { controlMethods } from './rpc/control-methods.js';
import { createLeaderLink } from './rpc/forwarding.js';
import type { Roster } from './rpc/identity.js';
import type { PeerTransport } from './rpc/peers.js';
import { createPeerTransport } from './rpc/peers.js';
import type { Starting } from './starting.js';
import { addressesOf, startingService } from './starting.js';
import { SpaceGuard } from './space-guard.js';
import { sweep } from './sweeper.js';
import { StatusReport } from './status.js';
import { stopServer } from './stop.js';
import { StoreService } from './store-service.js';
import { fileTrace } from './trace.js';

/** A request waits for an election for so many of the longest election timeouts before it is told `no-leader`. */
const LEADER_WAIT_TIMEOUTS = 4;

/** A node that catches up for longer asks anew how far it has to come. */
const CATCH_UP_MS = 10_000;
const CATCH_UP_RETRY_MS = 100;

export interface StartOptions {
  readonly config: Config;
  readonly version: string;
  readonly logger: Logger;
  /** The disk failed, or gave back what was not written: the process must end. */
  readonly fatal: Fatal;
  /** An invariant is broken: likewise. */
  readonly broken: (error: unknown) => void;
  /** Ends the waiting for peers at a first start. */
  readonly signal: AbortSignal;
}

export interface RunningServer {
  /** Hands leadership over, finishes what is in flight, closes. */
  stop(): Promise<void>;
}

/** What a node is made of before it takes part. */
interface Base {
  readonly options: StartOptions;
  readonly starting: Starting;
  readonly log: { readonly store: LogStore; readonly recovered: RecoveredLog };
  readonly state: StateStore;
  readonly roster: Roster;
  readonly membership: { current: Configuration | undefined };
  /** See `Roster.firstVoters`. */
  readonly firstVoters: { current: string | undefined };
  readonly inbox: { current: Inbox | undefined };
  readonly node: { current: Node | undefined };
  readonly space: { current: SpaceGuard | undefined };
  readonly transport: PeerTransport;
  readonly control: ControlClient;
}

/**
 * Resolves when the node listens and takes part; `readyz` tells when it has caught up.
 *
 * @throws StorageError when the data directory can't be used; ListenError when an address can't be; ConfigError when the trace can't be
 *   written
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const { config, logger, version, fatal } = options;
  const { dataDir, nodeID, entryCacheBytes } = config.raft;
  const startMs = performance.now();
  const starting = startingService(config, version, () => performance.now() - startMs);
  const identity = await openIdentity(dataDir, { nodeId: nodeID, clusterName: config.cluster.name });
  const log = await openRocksLogStore({
    directory: path.join(dataDir, 'log'),
    tailBytesMax: entryCacheBytes,
    fatal,
  });
  const state = await openRocksStateStore({ directory: path.join(dataDir, 'state'), fatal });
  const base = assemble(options, starting, identity, log, state);
  const listeners = await listen({
    config,
    service: starting.service,
    raftMethods: base.transport.methods,
    controlMethods: controlMethods({
      roster: base.roster,
      clock: systemClock,
      node: () => base.node.current,
      space: () => base.space.current,
      status: () => starting.service.clusterStatus(),
      valueBytesMax: config.limits.valueBytes,
      requestTimeoutMs: config.http.requestTimeoutMs,
    }),
    logger,
  });
  try {
    const seed = await seedOf(base, identity);
    base.membership.current = seed.configuration;
    await recordClusterId(dataDir, identity, seed.configuration.clusterId);
    return await run(base, seed, listeners);
  } catch (error) {
    base.transport.close();
    base.control.close();
    await listeners.close();
    await Promise.all([log.store.close(), state.close()]);
    throw error;
  }
}

function assemble(
  options: StartOptions,
  starting: Starting,
  identity: Identity,
  log: Base['log'],
  state: StateStore,
): Base {
  const { config, logger } = options;
  const membership: Base['membership'] = { current: undefined };
  const inbox: Base['inbox'] = { current: undefined };
  const firstVoters: Base['firstVoters'] = { current: undefined };
  const member = (id: string): ReturnType<typeof memberOf> =>
    membership.current === undefined ? undefined : memberOf(membership.current, id);
  const roster: Roster = {
    clusterName: config.cluster.name,
    self: () => ({ id: identity.nodeId, incarnation: identity.incarnation }),
    clusterId: () => membership.current?.clusterId ?? identity.clusterId ?? undefined,
    firstVoters: () => (membership.current === undefined ? firstVoters.current : undefined),
    peerIncarnation: (id) => member(id)?.incarnation,
    // Another incarnation under a member's id is a disk that was wiped or replaced: it has forgotten its promises.
    isReplaced: (id, incarnation) => (member(id)?.incarnation ?? incarnation) !== incarnation,
  };
  const transport = createPeerTransport({
    roster,
    inbox: {
      receive: (message) => inbox.current?.receive(message),
      unreachable: (peer) => inbox.current?.unreachable(peer),
    },
    resolve: (id) => {
      const found = member(id);
      return found === undefined ? undefined : { address: found.raft, incarnation: found.incarnation };
    },
    electionTimeoutMs: config.raft.electionTimeoutMs,
    logger,
  });
  const control = createControlClient({ roster, resolve: (id) => member(id)?.rpc, logger });
  return {
    options,
    starting,
    log,
    state,
    roster,
    membership,
    firstVoters,
    inbox,
    node: { current: undefined },
    space: { current: undefined },
    transport,
    control,
  };
}

/** What the core starts from: what the disk holds, or, on a first start, what the peers agree on. */
async function seedOf(base: Base, identity: Identity): Promise<RaftSeed> {
  const { options, log, state, roster, control, starting } = base;
  const { config, logger, signal } = options;
  if (!isFresh(log.recovered, state.recovered)) {
    return recoverSeed(config.raft.dataDir, log.store, log.recovered, state.recovered);
  }
  checkForgetful(config.raft.dataDir, identity);
  const finding = {
    config,
    roster,
    control,
    logger,
    signal,
    waitFor: (what: string) => starting.waitFor(what),
  };
  const peers = await findPeers(finding);
  base.firstVoters.current = firstVotersDigest(peers);
  const first = await firstConfiguration({
    self: { id: identity.nodeId, incarnation: identity.incarnation },
    peers,
    greet: (peer) => greetPeer(finding, peer, peers),
  });
  const batch = firstBatch(first);
  await new Promise<void>((resolve) => log.store.append(batch, resolve));
  logger.info(
    { clusterId: first.clusterId, members: first.members.map(({ id }) => id) },
    'a new cluster begins',
  );
  return {
    hardState: { term: 1, vote: undefined, commit: 1 },
    log: {
      base: log.recovered.base,
      termRuns: [{ index: 1, term: 1 }],
      lastIndex: 1,
      tail: batch.entries,
      applied: 0,
    },
    configuration: first,
  };
}

async function run(base: Base, seed: RaftSeed, listeners: Listeners): Promise<RunningServer> {
  const { options, starting, log, state, transport, control } = base;
  const { config, logger } = options;
  const trace = fileTrace(
    config,
    seed.configuration.members.map(({ id }) => id),
  );
  const node = new Node(
    { clock: systemClock, transport, logStore: log.store, stateStore: state },
    {
      raft: { ...raftOptions(config), ...(trace === undefined ? {} : { trace }) },
      tickMs: TICK_MS,
      pendingMax: config.limits.pendingRequests,
      watchdog: config.raft,
    },
    seed,
    {
      changed: (now, before) => logger.info({ ...now, before: before.role }, standingText(now)),
      refused: (what) => logger.error({ what }, 'a message that no correct node sends was refused'),
      unfit: (why) =>
        why === undefined
          ? logger.info('the disk answers again')
          : logger.warn({ why }, 'this node is unfit to lead'),
      broken: options.broken,
    },
  );
  const maxElectionMs = config.raft.electionTimeoutMs[1];
  base.space.current = spaceGuard(base, node);
  const { service, readIndexes, report } = serviceOf(base, node, maxElectionMs);
  await new Promise<void>((resolve) => node.start(resolve));
  base.node.current = node;
  base.inbox.current = node;
  base.space.current.start();
  sweep(node, state, systemClock, { historyBytes: config.watch.historyBytes });
  starting.handOver(service);
  void catchUp(node, readIndexes, report, logger);
  const stores = [log.store, state];
  return {
    stop: () => stopServer({ node, service, listeners, transport, control, stores, maxElectionMs, logger }),
  };
}

/** What answers requests on top of a node. */
function serviceOf(
  { options, log, state, control, space }: Base,
  node: Node,
  maxElectionMs: number,
): { service: StoreService; readIndexes: ReadIndexes; report: StatusReport } {
  const { config, version } = options;
  const { requestTimeoutMs } = config.http;
  const clock = systemClock;
  const leadership = new Leadership(node, {
    leaderWaitMs: Math.min(LEADER_WAIT_TIMEOUTS * maxElectionMs, requestTimeoutMs),
    retryMs: config.raft.heartbeatIntervalMs,
  });
  const link = createLeaderLink(control, clock);
  const indexes = (lease: boolean): ReadIndexes =>
    new ReadIndexes(node, clock, leadership, link, { lease, timeoutMs: requestTimeoutMs });
  const readIndexes = indexes(false);
  const report = new StatusReport(node, clock, {
    addresses: addressesOf(config),
    cluster: config.cluster.name,
    version,
    tickMs: TICK_MS,
    unreachableAfterMs: maxElectionMs,
  });
  const service = new StoreService({
    node,
    clock,
    leadership,
    link,
    ...(space.current !== undefined && { space: space.current }),
    logStore: log.store,
    readIndexes,
    leaseIndexes: indexes(true),
    reader: new Reader(state, clock, node),
    report,
    requestTimeoutMs,
    sessions: config.sessions,
  });
  return { service, readIndexes, report };
}

function spaceGuard({ options, state }: Base, node: Node): SpaceGuard {
  const { config, logger } = options;
  return new SpaceGuard({
    node,
    store: state,
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

function standingText({ role, leader, term }: Standing): string {
  if (role === 'leader') return `leads term ${term}`;
  return leader === undefined ? `knows no leader in term ${term}` : `follows ${leader} in term ${term}`;
}

/** Ready once everything is applied that was committed before this moment. */
async function catchUp(
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
