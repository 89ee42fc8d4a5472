/** Puts a node together from its configuration, and takes it apart again. With `main.ts`, the only place that wires. */

import { statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../configs/config.js';
import type { Configuration } from '../membership/configuration.js';
import { memberOf } from '../membership/configuration.js';
import type { Fatal } from '../persistence/errors.js';
import { recordClusterId } from '../persistence/identity.js';
import type { Storage } from '../persistence/storage.js';
import { openStorage } from '../persistence/storage.js';
import { NOTHING_APPLIED } from '../persistence/state-store.js';
import type { SnapshotStore } from '../snapshot/store.js';
import { firstBatch, firstConfiguration, firstVotersDigest } from './bootstrap.js';
import { systemClock } from './clock.js';
import { Leadership } from './leadership.js';
import type { Listeners } from './listeners.js';
import { listen } from './listeners.js';
import type { Metrics } from './metrics/metrics.js';
import { createMetrics } from './metrics/metrics.js';
import { Node } from './node.js';
import { nodeEvents } from './node-events.js';
import type { Inbox } from './ports.js';
import { TICK_MS, raftOptions } from './raft-settings.js';
import { ReadIndexes } from './read-indexes.js';
import { Reader } from './reader.js';
import { SNAPSHOT_CODEC, openSnapshots, restoreEvents, snapshotsOf } from './open-snapshots.js';
import type { Recovered } from './recovery.js';
import { checkForgetful, isFresh, recoverSeed } from './recovery.js';
import { restoreNewest } from './restore.js';
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
  readonly storage: Storage;
  readonly snapshots: SnapshotStore;
  readonly metrics: Metrics;
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
 * @throws EngineUnavailableError; StorageError when the data directory can't be used; ListenError when an address can't be; ConfigError when the trace can't be
 *   written
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const { config, logger, version, fatal } = options;
  const { dataDir, nodeID, entryCacheBytes } = config.raft;
  const startMs = performance.now();
  const starting = startingService(config, version, () => performance.now() - startMs);
  const storage = await openStorage({
    dataDir,
    engine: config.storage.engine,
    nodeId: nodeID,
    clusterName: config.cluster.name,
    tailBytesMax: entryCacheBytes,
    fatal,
  });
  const { identity } = storage;
  const base = assemble(options, starting, storage, await snapshotsIn(dataDir, storage));
  const listeners = await listen({
    config,
    service: starting.service,
    metrics: base.metrics,
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
    const recovered = await recover(base);
    const { configuration } = recovered.seed.configurations.at(-1) ?? {};
    base.membership.current = configuration;
    if (configuration !== undefined) await recordClusterId(dataDir, identity, configuration.clusterId);
    return await run(base, recovered, listeners);
  } catch (error) {
    base.transport.close();
    base.control.close();
    await listeners.close();
    await closeAll(base);
    throw error;
  }
}

function closeAll({ storage, snapshots }: Pick<Base, 'storage' | 'snapshots'>): Promise<unknown> {
  return Promise.all([storage.log.store.close(), storage.state.close(), snapshots.close()]);
}

async function snapshotsIn(dataDir: string, { log, state }: Storage): Promise<SnapshotStore> {
  try {
    return await openSnapshots(dataDir);
  } catch (error) {
    await Promise.all([log.store.close(), state.close()]);
    throw error;
  }
}

function assemble(
  options: StartOptions,
  starting: Starting,
  storage: Storage,
  snapshots: SnapshotStore,
): Base {
  const { config, logger } = options;
  const { identity } = storage;
  const node: Base['node'] = { current: undefined };
  const membership: Base['membership'] = { current: undefined };
  const inbox: Base['inbox'] = { current: undefined };
  const firstVoters: Base['firstVoters'] = { current: undefined };
  const known = (): Configuration | undefined => node.current?.configuration ?? membership.current;
  const member = (id: string): ReturnType<typeof memberOf> => {
    const configuration = known();
    return configuration && memberOf(configuration, id);
  };
  const roster: Roster = {
    clusterName: config.cluster.name,
    self: () => ({ id: identity.nodeId, incarnation: identity.incarnation }),
    clusterId: () => known()?.clusterId ?? identity.clusterId ?? undefined,
    firstVoters: () => (known() === undefined ? firstVoters.current : undefined),
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
  const metrics = createMetrics({
    node: () => node.current,
    snapshots: () => snapshots.list(),
    engine: () => storage.properties(),
    tickMs: TICK_MS,
  });
  const control = createControlClient({ roster, resolve: (id) => member(id)?.rpc, logger });
  return {
    options,
    starting,
    storage,
    snapshots,
    metrics,
    roster,
    membership,
    firstVoters,
    inbox,
    node,
    space: { current: undefined },
    transport,
    control,
  };
}

/** What the core starts from: what the disk holds, or, on a first start, what the peers agree on. */
async function recover(base: Base): Promise<Recovered> {
  const { options, storage, snapshots, roster, control, starting } = base;
  const { log, state, identity, assessment } = storage;
  const { config, logger, signal } = options;
  if (!isFresh(log.recovered, state.recovered)) {
    const restoring = {
      stateStore: state,
      store: snapshots,
      codec: SNAPSHOT_CODEC,
      events: restoreEvents(logger),
    };
    return recoverSeed({
      dataDir: config.raft.dataDir,
      logStore: log.store,
      log: log.recovered,
      stateStore: state,
      applied: state.recovered,
      assessment,
      restoreNewest: (atLeast) => restoreNewest(restoring, atLeast),
    });
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
  const { base: start } = log.recovered;
  return {
    seed: {
      hardState: { term: 1, vote: undefined, commit: 1 },
      log: {
        base: start,
        termRuns: [{ index: 1, term: 1 }],
        lastIndex: 1,
        tail: batch.entries,
        applied: 0,
      },
      configurations: [{ index: 1, configuration: first }],
    },
    applied: NOTHING_APPLIED,
    log: { base: start.index, last: 1, bytes: 0 },
  };
}

async function run(base: Base, recovered: Recovered, listeners: Listeners): Promise<RunningServer> {
  const { options, starting, storage, metrics, transport, control } = base;
  const { config, logger } = options;
  const { log } = storage;
  const state = metrics.stores.state(storage.state);
  const [first] = recovered.seed.configurations;
  const trace = fileTrace(config, first?.configuration.members.map(({ id }) => id) ?? []);
  const made = metrics.snapshotMade;
  const snapshotting = { config, logger, stateStore: state, store: base.snapshots, log: recovered.log, made };
  const node = new Node(
    {
      clock: systemClock,
      transport,
      logStore: metrics.stores.log(log.store),
      stateStore: state,
      snapshots: (hand) => snapshotsOf(snapshotting, hand),
    },
    {
      raft: { ...raftOptions(config), ...(trace === undefined ? {} : { trace }) },
      tickMs: TICK_MS,
      pendingMax: config.limits.pendingRequests,
      watchdog: config.raft,
    },
    recovered,
    nodeEvents(logger, metrics.standing, options.broken),
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
  const stores = [log.store, state, base.snapshots];
  return {
    stop: () => stopServer({ node, service, listeners, transport, control, stores, maxElectionMs, logger }),
  };
}

/** What answers requests on top of a node. */
function serviceOf(
  { options, storage, control, space }: Base,
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
    logStore: storage.log.store,
    readIndexes,
    leaseIndexes: indexes(true),
    reader: new Reader(storage.state, clock, node),
    report,
    requestTimeoutMs,
    sessions: config.sessions,
  });
  return { service, readIndexes, report };
}

function spaceGuard({ options, storage }: Base, node: Node): SpaceGuard {
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
