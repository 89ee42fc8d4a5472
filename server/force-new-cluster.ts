/**
 * The last resort: most voters are lost for good, and one survivor becomes the whole cluster. Whatever it had not received is lost, acknowledged
 * or not. Nothing of this is decided by consensus: the operator vouches that the others will not come back as they were.
 */

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from '../configs/config.js';
import type { Configuration } from '../membership/configuration.js';
import { DEPARTED_MAX, configuration, encodeConfiguration } from '../membership/configuration.js';
import { leaveMark } from '../persistence/birthmark.js';
import { StorageError } from '../persistence/errors.js';
import { replaceClusterId } from '../persistence/identity.js';
import type { Storage } from '../persistence/storage.js';
import { openStorage } from '../persistence/storage.js';
import type { Entry } from '../raft/entry.js';
import { addressesOf } from './starting.js';

/**
 * Revisions are indexes of the log, and the lost nodes may have handed out some that the survivor has not seen. So many are passed over, more than a
 * survivor could reasonably be behind.
 */
export const SKIPPED_REVISIONS = 100_000;
const BATCH = 10_000;

/**
 * Ends with the log on disk as that of a new cluster of one. Repeating it after it was cut off goes on; repeating it afterwards changes nothing.
 *
 * @throws StorageError when there is no sound data to go on with
 */
export async function forceNewCluster(config: Config, logger: Logger): Promise<Configuration> {
  const { dataDir, nodeID, entryCacheBytes } = config.raft;
  const failed: { error?: Error } = {};
  const storage = await openStorage({
    dataDir,
    engine: config.storage.engine,
    nodeId: nodeID,
    clusterName: config.cluster.name,
    tailBytesMax: entryCacheBytes,
    // Nobody reads from it.
    cacheBytes: 0,
    fatal: (error) => (failed.error ??= error),
  });
  try {
    const forced = forcedFrom(config, storage);
    // First, so that whoever is cut off from here on is a stranger to the old cluster.
    await replaceClusterId(dataDir, storage.identity, forced.clusterId);
    await append(storage, forced, () => {
      if (failed.error !== undefined) throw failed.error;
    });
    await leaveMark(dataDir);
    const { clusterId } = forced;
    logger.warn({ clusterId }, `${nodeID} is the whole cluster now; start it without --force-new-cluster`);
    return forced;
  } finally {
    await storage.log.store.close();
    await storage.state.close();
  }
}

/** The configuration of one; that which there is where the node is the whole cluster already. */
function forcedFrom(config: Config, { log, identity, assessment }: Storage): Configuration {
  const { hardState, configurations } = log.recovered;
  const latest = configurations.at(-1)?.configuration;
  if (hardState === undefined || latest === undefined || assessment.kind !== 'whole') {
    throw new StorageError(
      'unusable',
      `${config.raft.dataDir} holds no sound log to make a cluster of; choose another survivor`,
    );
  }
  const { nodeId: id, incarnation } = identity;
  const others = latest.members.filter((member) => member.id !== id);
  if (others.length === 0 && latest.members.length === 1) return latest;
  // Their disks are given up, not their ids: they come back with `--rejoin`.
  const gone = others.map((other) => ({
    id: other.id,
    incarnation: other.incarnation,
    replaced: true as const,
  }));
  return {
    ...configuration(randomUUID().replaceAll('-', ''), [
      { id, incarnation, ...addressesOf(config), voter: true },
    ]),
    departed: [...(latest.departed ?? []), ...gone].slice(-DEPARTED_MAX),
  };
}

async function append({ log }: Storage, forced: Configuration, check: () => void): Promise<void> {
  const { hardState, configurations, lastIndex } = log.recovered;
  if (configurations.at(-1)?.configuration === forced) return;
  const term = (hardState?.term ?? 0) + 1;
  const last = lastIndex + SKIPPED_REVISIONS;
  for (let from = lastIndex + 1; from <= last; from += BATCH) {
    const through = Math.min(last, from + BATCH - 1);
    const entries = Array.from({ length: through - from + 1 }, (_, at): Entry => {
      const index = from + at;
      return index === last
        ? { index, term, type: 'configuration', data: encodeConfiguration(forced) }
        : { index, term, type: 'noop', data: new Uint8Array(0) };
    });
    const batch = { entries, hardState: { term, vote: undefined, commit: through } };
    await new Promise<void>((resolve) => log.store.append(batch, resolve));
    check();
  }
}
