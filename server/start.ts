/** Puts a node together from its configuration, and takes it apart again. With `main.ts`, the only place that wires. */

import { statfs } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Config } from '../configs/config.js';
import type { Configuration } from '../membership/configuration.js';
import { memberOf } from '../membership/configuration.js';
import type { Fatal } from '../persistence/errors.js';
import { recordClusterId } from '../persistence/identity.js';
import { removeSetAside } from '../persistence/sound-state.js';
import type { Storage } from '../persistence/storage.js';
import { openStorage } from '../persistence/storage.js';
import { markState } from '../persistence/state-mark.js';
import type { SnapshotStore } from '../snapshot/store.js';
import { catchUp } from './catch-up.js';
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
import { recoverSeed } from './recovery.js';
import { RESTORE_FILE, openBackup, removeBackup } from './restore-backup.js';
import { restoreNewest } from './restore.js';
import { firstStart, isFirstStart } from './first-start.js';
import type { ControlClient } from './rpc/control.js';
import { createControlClient } from './rpc/control.js';
import { controlMethods } from './rpc/control-methods.js';
import { createLeaderLink } from './rpc/forwarding.js';
import type { Roster } from './rpc/identity.js';
import type { PeerTransport } from './rpc/peers.js';
import { createPeerTransport } from './rpc/peers.js';
import type { Starting } from './starting.js';
import { addressesOf, startingService } from './starting.js';
import type { Snapshots } from './snapshots.js';
import { SpaceGuard } from './space-guard.js';
import { sweep } from './sweeper.js';
import { StatusReport } from './status.js';
import { stopServer } from './stop.js';
import { StoreService } from './store-service.js';
import { fileTrace } from './trace.js';
import { Verification, unusableState } from './verification.js';

/** A request waits for an election for so many of the longest election timeouts before it is told `no-leader`. */
const LEADER_WAIT_TIMEOUTS = 4;

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
  readonly taking: { current: Snapshots | undefined };
  readonly verification: { current: Verification | undefined };
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
    taking: { current: undefined },
    verification: { current: undefined },
    transport,
    control,
  };
}

/** What the core starts from: what the disk holds, or, on a first start, what the peers agree on. */
async function recover(base: Base): Promise<Recovered> {
  const { options, storage, snapshots, roster, control, starting } = base;
  const { log, state, identity, assessment } = storage;
  const { config, logger, signal } = options;
  if (storage.stateRemoved !== undefined)
    logger.error({ why: storage.stateRemoved }, 'the state was damaged and is set aside; it is made anew');
  const { dataDir } = config.raft;
  const backup = await openBackup(dataDir, SNAPSHOT_CODEC);
  try {
    if (!isFirstStart(storage, identity, backup)) {
      if (backup !== undefined)
        logger.warn({ file: RESTORE_FILE }, 'the backup is not restored: this node has data already');
      const restoring = {
        stateStore: state,
        store: snapshots,
        codec: SNAPSHOT_CODEC,
        events: restoreEvents(logger),
      };
      return await recoverSeed({
        dataDir,
        logStore: log.store,
        log: log.recovered,
        stateStore: state,
        applied: state.recovered,
        assessment,
        restoreNewest: (atLeast) => restoreNewest(restoring, atLeast),
      });
    }
    const waitFor = (what: string): void => starting.waitFor(what);
    const finding = { config, roster, control, logger, signal, waitFor };
    const { firstVoters } = base;
    const first = { dataDir, identity, storage, finding, backup, firstVoters, logger };
    const recovered = await firstStart(first);
    const { configuration } = recovered.applied;
    if (configuration !== undefined) {
      await recordClusterId(dataDir, identity, configuration.clusterId);
      await removeBackup(dataDir);
    }
    return recovered;
  } finally {
    await backup?.close();
  }
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
      snapshots: (hand) => (base.taking.current = snapshotsOf(snapshotting, hand)),
    },
    {
      raft: { ...raftOptions(config), ...(trace === undefined ? {} : { trace }) },
      tickMs: TICK_MS,
      pendingMax: config.limits.pendingRequests,
      watchdog: config.raft,
    },
    recovered,
    {
      ...nodeEvents(logger, metrics.standing, options.broken),
      applied: (applied) => base.verification.current?.applied(applied),
    },
  );
  const maxElectionMs = config.raft.electionTimeoutMs[1];
  base.space.current = spaceGuard(base, node);
  const { service, readIndexes, report } = serviceOf(base, node, maxElectionMs);
  base.verification.current = verificationOf(base, node, service);
  await new Promise<void>((resolve) => node.start(resolve));
  base.node.current = node;
  base.inbox.current = node;
  base.space.current.start();
  sweep(node, state, systemClock, { historyBytes: config.watch.historyBytes });
  base.verification.current.start();
  starting.handOver(service);
  void catchUp(node, readIndexes, report, logger).then(() => removeSetAside(config.raft.dataDir));
  const stores = [log.store, state, base.snapshots];
  return {
    stop: () => stopServer({ node, service, listeners, transport, control, stores, maxElectionMs, logger }),
  };
}

/** What answers requests on top of a node. */
function serviceOf(
  { options, storage, snapshots, control, space, taking }: Base,
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
    ...(taking.current !== undefined && { snapshots: { taking: taking.current, store: snapshots } }),
    requestTimeoutMs,
    sessions: config.sessions,
  });
  return { service, readIndexes, report };
}

function verificationOf({ options, storage }: Base, node: Node, service: StoreService): Verification {
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
