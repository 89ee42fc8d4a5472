/**
 * Opens a node's data, and decides whether what it promised can be trusted. The promises of a copy can't be: the original may have promised more
 * since. They are set aside, once a cluster is found that can take the node in again.
 */

import { randomUUID } from 'node:crypto';
import { ConfigError } from '../configs/problem.js';
import { isCopy, leaveMark } from '../persistence/birthmark.js';
import { StorageError } from '../persistence/errors.js';
import { pendingRejoin, setAside } from '../persistence/set-aside.js';
import type { Storage, StorageOptions } from '../persistence/storage.js';
import { openStorage } from '../persistence/storage.js';
import type { StartOptions } from './base.js';
import { untilLed } from './members/find-cluster.js';
import { createControlClient } from './rpc/control.js';
import type { Roster } from './rpc/identity.js';
import { addressesOf } from './starting.js';

export interface Reclaimed {
  readonly storage: Storage;
  /** RPC addresses of members to rejoin by; undefined where the node need not. */
  readonly rejoin: readonly string[] | undefined;
}

/** @throws as `openStorage`; ConfigError when nothing tells where to rejoin */
export async function openTrusted(options: StartOptions, storing: StorageOptions): Promise<Reclaimed> {
  const { dataDir } = storing;
  const { logger, config } = options;
  const pending = await pendingRejoin(dataDir);
  if (pending !== undefined) return { storage: await openStorage(storing), rejoin: pending };
  const opened = await openStorage(storing).catch((error: unknown) => {
    // What is damaged can be given up, what is in use or of somebody else can't.
    if (options.rejoin && error instanceof StorageError && error.fault === 'damaged') return undefined;
    throw error;
  });
  const copied = opened !== undefined && (await isCopy(dataDir));
  if (opened !== undefined && !copied && !options.rejoin) return { storage: opened, rejoin: undefined };
  const places = placesOf(options, opened);
  if (opened !== undefined && places.length === 0 && !options.rejoin) {
    // Nobody else holds it to a promise.
    logger.warn(
      { dataDir },
      'the data directory is a copy; as the only node of its cluster, this one goes on with it',
    );
    await leaveMark(dataDir);
    return { storage: opened, rejoin: undefined };
  }
  await opened?.log.store.close();
  await opened?.state.close();
  if (places.length === 0) {
    throw new ConfigError([
      `command line --rejoin: nothing tells which cluster ${config.raft.nodeID} was in; name members in cluster.join or cluster.peers of ${config.source}`,
    ]);
  }
  logger.warn(
    { dataDir },
    options.rejoin
      ? 'the data is given up, as --rejoin says; looking for the cluster to rejoin'
      : 'the data directory is a copy, and may have promised less than its original: looking for the cluster to rejoin',
  );
  await aLeader(options, places);
  const folder = await setAside(dataDir, places);
  logger.warn(
    { folder },
    'what was in the data directory is set aside; delete it once the node has rejoined',
  );
  return { storage: await openStorage(storing), rejoin: places };
}

function placesOf({ config }: StartOptions, opened: Storage | undefined): readonly string[] {
  const { nodeID } = config.raft;
  const known = opened?.log.recovered.configurations.at(-1)?.configuration.members ?? [];
  const others = [...known, ...config.cluster.peers].filter(({ id }) => id !== nodeID);
  return [...new Set([...config.cluster.join, ...others.map(({ rpc }) => rpc)])];
}

/** Waits for a cluster with a leader: without one, the data may be needed still. */
async function aLeader(
  { config, logger, signal, version }: StartOptions,
  places: readonly string[],
): Promise<void> {
  const stranger = { id: config.raft.nodeID, incarnation: randomUUID() };
  const roster: Roster = {
    clusterName: config.cluster.name,
    self: () => stranger,
    clusterId: () => undefined,
    firstVoters: () => undefined,
    peerIncarnation: () => undefined,
    isReplaced: () => false,
    introduction: () => ({ addresses: addressesOf(config), version }),
    met: () => undefined,
  };
  const control = createControlClient({ roster, resolve: () => undefined, logger });
  try {
    await untilLed({
      config,
      roster,
      control,
      logger,
      signal,
      waitFor: () => undefined,
      places: () => Promise.resolve(places),
      returning: true,
    });
  } finally {
    control.close();
  }
}
