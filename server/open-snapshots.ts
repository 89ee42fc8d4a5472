/** Opens the snapshots of a node's data directory, and says in its log what becomes of them. */

import path from 'node:path';
import type { Logger } from 'pino';
import type { Config } from '../configs/config.js';
import { StorageError } from '../persistence/errors.js';
import type { StateStore } from '../persistence/state-store.js';
import { openSnapshotDirectory } from '../snapshot/files/directory.js';
import { ZLIB_CODEC } from '../snapshot/files/zlib-codec.js';
import type { Outcome } from '../snapshot/outcome.js';
import type { SnapshotStore } from '../snapshot/store.js';
import { openSnapshotStore } from '../snapshot/store.js';
import { tokenBucket } from '../snapshot/throttle.js';
import type { RestoreParts } from './restore.js';
import type { LogExtent } from './snapshot-making.js';
import type { SnapshotHand } from './snapshotting.js';
import type { Snapshots } from './snapshots.js';
import { createSnapshots } from './snapshots.js';

export const SNAPSHOT_CODEC = ZLIB_CODEC;

/** Chunks on their way to one follower. */
const WINDOW_CHUNKS = 4;
const RESEND_MS = 1000;
const GIVE_UP_MS = 30_000;

/** @throws StorageError `unusable` when the directory can't be read or made */
export async function openSnapshots(dataDir: string): Promise<SnapshotStore> {
  const directory = path.join(dataDir, 'snapshots');
  try {
    const files = await openSnapshotDirectory(directory);
    const opened = await new Promise<Outcome<SnapshotStore>>((resolve) => openSnapshotStore(files, resolve));
    if (!opened.ok) throw opened.error;
    return opened.value;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StorageError('unusable', `${directory} can't be used for snapshots: ${why}`, error);
  }
}

/** What a start says in the log of the snapshots that it restores from. */
export function restoreEvents(logger: Logger): RestoreParts['events'] {
  return {
    restored: ({ id }) => logger.info({ id }, 'restored the state from a snapshot'),
    damaged: ({ id }, error) => logger.error({ id, err: error }, 'a damaged snapshot was removed'),
  };
}

/** Binds them to the loop of a node. */
export function snapshotsOf(
  {
    config,
    logger,
    stateStore,
    store,
    log,
    made,
  }: {
    readonly config: Pick<Config, 'raft' | 'snapshots'>;
    readonly logger: Logger;
    readonly stateStore: StateStore;
    readonly store: SnapshotStore;
    readonly log: LogExtent;
    /** A snapshot was made, in so much time by the wall clock. */
    readonly made: (durationMs: number, bytes: number) => void;
  },
  hand: SnapshotHand,
): Snapshots {
  const { raft, snapshots } = config;
  const { bytesPerSecond, chunkBytes } = snapshots;
  return createSnapshots(
    {
      stateStore,
      store,
      codec: SNAPSHOT_CODEC,
      throttle: tokenBucket(bytesPerSecond, Math.max(chunkBytes, bytesPerSecond / 10), performance.now()),
      making: {
        intervalMs: raft.snapshotIntervalSeconds * 1000,
        thresholdBytes: raft.snapshotThresholdBytes,
        filesMax: raft.maxSnapshots,
        trailingLogBytes: raft.trailingLogBytes,
      },
      sending: { chunkBytes, windowChunks: WINDOW_CHUNKS, resendMs: RESEND_MS, giveUpMs: GIVE_UP_MS },
      wallMs: () => Date.now(),
      log,
      events: {
        made({ id, position, bytes }, durationMs) {
          made(durationMs, bytes);
          logger.info({ id, ...position, bytes, durationMs }, 'made a snapshot');
        },
        sending: (to, { id, bytes }) => logger.info({ to, id, bytes }, 'sends a snapshot'),
        sent: (to, result) =>
          result.type === 'received'
            ? logger.info({ to }, 'a snapshot has arrived')
            : logger.warn({ to, result }, 'a snapshot could not be sent'),
        received: ({ id, bytes }) => logger.info({ id, bytes }, 'received a snapshot'),
        restored: ({ index, term }) => logger.info({ index, term }, 'restored the state from a snapshot'),
        failed: (what, error) => logger.error({ err: error }, what),
      },
    },
    hand,
  );
}
