/**
 * Opens a node's data, and decides whether what it promised can be trusted. The promises of a copy can't be: the original may have promised more
 * since. Those of a damaged log are lost. Either is set aside, once a cluster is found that can take the node in again, as with a wiped disk.
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
import { forgottenPromise } from './recovery.js';
import { createControlClient } from './rpc/control.js';
import type { Roster } from './rpc/identity.js';
import { addressesOf } from './starting.js';

export interface Reclaimed {
  readonly storage: Storage;
  /** RPC addresses of members to rejoin by; undefined where the node need not. */
  readonly rejoin: readonly string[] | undefined;
}

/** Why what the data directory holds is given up, for the node's log. */
const REASONS = Object.freeze({
  asked: 'the data is given up, as --rejoin says; looking for the cluster to rejoin',
  copied:
    'the data directory is a copy, and may have promised less than its original: looking for the cluster to rejoin',
  damaged: 'what this node has promised is lost with what is damaged: looking for the cluster to rejoin',
});

/**
 * @throws as `openStorage`; StorageError for damage that no other node is known to repair; ConfigError when nothing tells where to rejoin
 */
export async function openTrusted(options: StartOptions, storing: StorageOptions): Promise<Reclaimed> {
  const { dataDir } = storing;
  const { logger, config } = options;
  const pending = await pendingRejoin(dataDir);
  const { storage, fault } = await openOrFault(storing, options.rejoin);
  if (storage !== undefined && fault === undefined && pending !== undefined)
    return { storage, rejoin: pending };
  const reason = await reasonOf(options, dataDir, fault);
  if (storage !== undefined && reason === undefined) return { storage, rejoin: undefined };
  const places = pending ?? placesOf(options, storage);
  if (storage !== undefined && places.length === 0 && reason === 'copied') {
    // Nobody else holds it to a promise.
    logger.warn(
      { dataDir },
      'the data directory is a copy; as the only node of its cluster, this one goes on with it',
    );
    await leaveMark(dataDir);
    return { storage, rejoin: undefined };
  }
  await storage?.log.store.close();
  await storage?.state.close();
  if (places.length === 0) {
    if (fault !== undefined && reason === 'damaged') throw fault;
    throw new ConfigError([
      `command line --rejoin: nothing tells which cluster ${config.raft.nodeID} was in; name members in cluster.join or cluster.peers of ${config.source}`,
    ]);
  }
  logger.warn({ dataDir, ...(fault && { why: fault.message }) }, REASONS[reason ?? 'damaged']);
  await aLeader(options, places);
  const folder = await setAside(dataDir, places);
  logger.warn(
    { folder },
    'what was in the data directory is set aside; delete it once the node has rejoined',
  );
  return { storage: await openStorage(storing), rejoin: places };
}

async function reasonOf(
  { rejoin }: StartOptions,
  dataDir: string,
  fault: StorageError | undefined,
): Promise<keyof typeof REASONS | undefined> {
  if (rejoin) return 'asked';
  if (fault !== undefined) return 'damaged';
  return (await isCopy(dataDir)) ? 'copied' : undefined;
}

interface Opened {
  readonly storage: Storage | undefined;
  /** Why the promises are lost; not undefined where `storage` is. */
  readonly fault: StorageError | undefined;
}

/**
 * Log and watermark hold nothing that the others don't, but for the promises of this node, and a new incarnation makes none of them. What is in use or
 * of somebody else is not given up; neither, but on the operator's word, is a directory whose owner can't be read, or a state that nobody agrees with.
 */
async function openOrFault(storing: StorageOptions, asked: boolean): Promise<Opened> {
  try {
    const storage = await openStorage(storing);
    return { storage, fault: forgottenPromise(storing.dataDir, storage) };
  } catch (error) {
    const isDamaged = error instanceof StorageError && error.fault === 'damaged';
    if (!isDamaged || !(asked || error.part === 'log' || error.part === 'watermark')) throw error;
    return { storage: undefined, fault: error };
  }
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
