/** Puts a node together from its configuration, and takes it apart again. With `main.ts`, the only place that wires. */

import { endRejoin } from '../persistence/set-aside.js';
import { recordClusterId } from '../persistence/identity.js';
import type { Storage } from '../persistence/storage.js';
import type { SnapshotStore } from '../snapshot/store.js';
import type { Base, StartOptions } from './base.js';
import { assemble } from './base.js';
import type { BeginOptions } from './begin.js';
import { begin, resumeJoining } from './begin.js';
import { readCredentials } from './credentials.js';
import { systemClock } from './clock.js';
import { greetMember } from './find-peers.js';
import type { Listeners } from './listeners.js';
import { listen } from './listeners.js';
import { sayFarewell } from './members/farewell.js';
import { countLog } from './members/lag.js';
import { keepPlace } from './members/place.js';
import { promoteLearners } from './members/promoter.js';
import { Node } from './node.js';
import { nodeEvents } from './node-events.js';
import { SNAPSHOT_CODEC, openSnapshots, restoreEvents, snapshotsOf } from './open-snapshots.js';
import { TICK_MS, raftOptions } from './raft-settings.js';
import type { Recovered } from './recovery.js';
import { isNew, recoverSeed } from './recovery.js';
import { openTrusted } from './reclaim.js';
import { restoreNewest } from './restore.js';
import { controlMethods } from './rpc/control-methods.js';
import { membershipMethods } from './rpc/membership-methods.js';
import { serviceOf, spaceGuard, verificationOf } from './serving.js';
import { catchUp } from './catch-up.js';
import { RESTORE_FILE, openBackup, removeBackup } from './restore-backup.js';
import { removeSetAside } from '../persistence/sound-state.js';
import { isFirstStart } from './first-start.js';
import { addressesOf, startingService } from './starting.js';
import { stopServer } from './stop.js';
import type { StoreService } from './store-service.js';
import { endSuspicion, settleSuspicion, suspectState } from './suspicion.js';
import { sweep } from './sweeper.js';
import { fileTrace } from './trace.js';

export interface RunningServer {
  /** Hands leadership over, finishes what is in flight, closes. */
  stop(): Promise<void>;
}

/**
 * Resolves when the node listens and takes part; `readyz` tells when it has caught up.
 *
 * @throws EngineUnavailableError; StorageError when the data directory can't be used; ListenError when an address can't be; ConfigError when the trace can't be
 *   written, or the files of `tls` are not what they should be
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const { config, logger, version, fatal } = options;
  const { dataDir, nodeID, entryCacheBytes } = config.raft;
  const credentials = readCredentials(config);
  const startMs = performance.now();
  const starting = startingService(config, version, () => performance.now() - startMs);
  const { storage, rejoin } = await openTrusted(options, {
    dataDir,
    engine: config.storage.engine,
    nodeId: nodeID,
    clusterName: config.cluster.name,
    tailBytesMax: entryCacheBytes,
    cacheBytes: config.limits.cacheBytes,
    fatal,
  });
  options.opened(storage.properties);
  const { identity } = storage;
  const base = assemble(options, starting, storage, await snapshotsIn(dataDir, storage), credentials);
  const listeners = await listen({
    config,
    service: starting.service,
    credentials,
    metrics: base.metrics,
    raftMethods: base.transport.methods,
    controlMethods: {
      ...controlMethods({
        roster: base.roster,
        clock: systemClock,
        node: () => base.node.current,
        space: () => base.space.current,
        status: () => starting.service.clusterStatus(),
        valueBytesMax: config.limits.valueBytes,
        requestTimeoutMs: config.http.requestTimeoutMs,
      }),
      ...membershipMethods({
        roster: base.roster,
        clock: systemClock,
        node: () => base.node.current,
        members: () => base.members.current,
        requestTimeoutMs: config.http.requestTimeoutMs,
      }),
    },
    logger,
  });
  try {
    const recovered = await recover(base, rejoin);
    const { configuration } = recovered.seed.configurations.at(-1) ?? {};
    base.membership.current = configuration;
    // A log that came from before a forced start of its cluster names another id until it is read to its end.
    const clusterId = identity.clusterId ?? configuration?.clusterId;
    if (clusterId !== undefined) await recordClusterId(dataDir, identity, clusterId);
    base.clusterId.current = clusterId;
    if (rejoin !== undefined) await endRejoin(dataDir);
    await settleSuspicion({ dataDir, configuration, self: nodeID, control: base.control });
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

/** What the core starts from: what the disk holds, or, where it holds nothing, what a cluster makes of this node. */
async function recover(base: Base, rejoin: readonly string[] | undefined): Promise<Recovered> {
  const { options, storage, roster, control, starting } = base;
  const { log, state } = storage;
  const { config, logger, signal } = options;
  if (storage.stateRemoved !== undefined)
    logger.error({ why: storage.stateRemoved }, 'the state was damaged and is set aside; it is made anew');
  const { dataDir } = config.raft;
  const backup = await openBackup(dataDir, SNAPSHOT_CODEC);
  const beginning: BeginOptions = {
    config,
    roster,
    control,
    credentials: base.credentials,
    logger,
    signal,
    log,
    state,
    backup,
    self: roster.self(),
    firstVoters: base.firstVoters,
    rejoin,
    waitFor: (what: string) => starting.waitFor(what),
  };
  try {
    return await recoverFrom(base, beginning);
  } finally {
    await backup?.close();
  }
}

async function recoverFrom(base: Base, beginning: BeginOptions): Promise<Recovered> {
  const { options, storage, snapshots } = base;
  const { log, state, identity, assessment } = storage;
  const { config, logger } = options;
  const { dataDir } = config.raft;
  const { hardState } = log.recovered;
  if (isFirstStart(storage, identity, beginning.backup)) {
    const recovered = await begin(beginning);
    const { configuration } = recovered.seed.configurations.at(-1) ?? {};
    if (beginning.backup !== undefined && configuration !== undefined) {
      await recordClusterId(dataDir, identity, configuration.clusterId);
      await removeBackup(dataDir);
    }
    return recovered;
  }
  if (beginning.backup !== undefined)
    logger.warn({ file: RESTORE_FILE }, 'the backup is not restored: this node has data already');
  if (hardState !== undefined && isNew(log.recovered, state.recovered, assessment))
    return resumeJoining(beginning, hardState);
  if (assessment.kind === 'damaged')
    logger.error({ why: assessment.what }, 'the log has lost its end; it is filled up by the others');
  const restoring = {
    stateStore: state,
    store: snapshots,
    codec: SNAPSHOT_CODEC,
    events: restoreEvents(logger),
  };
  return recoverSeed({
    dataDir,
    logStore: log.store,
    log: log.recovered,
    stateStore: state,
    applied: state.recovered,
    assessment,
    restoreNewest: (atLeast) => restoreNewest(restoring, atLeast),
  });
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
  const counted = countLog(recovered.log);
  const node = new Node(
    {
      clock: systemClock,
      transport,
      logStore: metrics.stores.log(log.store),
      stateStore: state,
      snapshots: (hand) => counted.count((base.taking.current = snapshotsOf(snapshotting, hand))),
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
      unappliable: (index, error) => suspectState(config.raft.dataDir, index, error),
      stages: metrics.stages,
    },
  );
  const maxElectionMs = config.raft.electionTimeoutMs[1];
  base.space.current = spaceGuard(base, node);
  const { service, readIndexes, report } = serviceOf(base, node, counted.sizes);
  base.verification.current = verificationOf(base, node, service);
  await new Promise<void>((resolve) => node.start(resolve));
  base.node.current = node;
  base.inbox.current = node;
  base.space.current.start();
  sweep(node, state, systemClock, { historyBytes: config.watch.historyBytes });
  base.verification.current.start();
  promoteLearners(node, systemClock, config.raft.heartbeatIntervalMs);
  lookAfterPlace(base, node, service);
  starting.handOver(service);
  void catchUp(node, readIndexes, report, logger)
    .then(() => Promise.all([removeSetAside(config.raft.dataDir), endSuspicion(config.raft.dataDir)]))
    .catch((error: unknown) =>
      logger.warn({ err: error }, 'what was kept of a damaged state could not be removed'),
    );
  const stores = [log.store, state, base.snapshots];
  return {
    stop: () => stopServer({ node, service, listeners, transport, control, stores, maxElectionMs, logger }),
  };
}

function lookAfterPlace(base: Base, node: Node, service: StoreService): void {
  const { config, logger, departed } = base.options;
  keepPlace({
    node,
    clock: systemClock,
    incarnation: base.storage.identity.incarnation,
    addresses: addressesOf(config),
    change: (request) => service.changeCluster(request),
    greet: (member) => greetMember(base, member),
    departed: () => {
      const others = node.configuration.members.filter(({ id }) => id !== config.raft.nodeID);
      void sayFarewell({
        others,
        credentials: base.credentials,
        refuse: (leader) => service.sendAway(leader),
      }).then(departed);
    },
    failed: (error) => logger.debug({ err: error }, 'this node could not announce where it is found'),
  });
}
