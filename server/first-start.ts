/** What a node starts from that has nothing yet: what its peers agree on, and the backup that they begin with, if there is one. */

import type { Logger } from 'pino';
import type { Identity } from '../persistence/identity.js';
import type { Storage } from '../persistence/storage.js';
import { NOTHING_APPLIED } from '../persistence/state-store.js';
import type { Configuration } from '../membership/configuration.js';
import { firstBatch, firstConfiguration, firstVotersDigest } from './bootstrap.js';
import type { FindPeersOptions } from './find-peers.js';
import { findPeers, greetPeer } from './find-peers.js';
import type { Recovered } from './recovery.js';
import { checkForgetful, isFresh } from './recovery.js';
import type { Backup } from './restore-backup.js';

export interface FirstStartOptions {
  readonly dataDir: string;
  readonly identity: Identity;
  readonly storage: Pick<Storage, 'log' | 'state'>;
  readonly finding: Omit<FindPeersOptions, 'backup'>;
  readonly backup: Backup | undefined;
  /** Told what peers compare before any of them begins. */
  readonly firstVoters: { current: string | undefined };
  readonly logger: Logger;
}

/** A restore that a crash has interrupted counts as nothing: the log, which is written last, is still empty. */
export function isFirstStart(
  { log, state }: Pick<Storage, 'log' | 'state'>,
  identity: Identity,
  backup: Backup | undefined,
): boolean {
  const { recovered } = log;
  if (isFresh(recovered, state.recovered)) return true;
  return backup !== undefined && identity.clusterId === null && isFresh(recovered, NOTHING_APPLIED);
}

export async function firstStart(options: FirstStartOptions): Promise<Recovered> {
  const { dataDir, identity, storage, backup, logger } = options;
  checkForgetful(dataDir, identity);
  const finding = { ...options.finding, ...(backup !== undefined && { backup: backup.digest }) };
  const peers = await findPeers(finding);
  options.firstVoters.current = firstVotersDigest(peers, backup?.digest);
  const first = await firstConfiguration({
    self: { id: identity.nodeId, incarnation: identity.incarnation },
    peers,
    greet: (peer) => greetPeer(finding, peer, peers),
    ...(backup !== undefined && { backup: backup.digest }),
  });
  const began = { clusterId: first.clusterId, members: first.members.map(({ id }) => id) };
  if (backup === undefined) {
    const recovered = await begin(first, storage);
    logger.info(began, 'a new cluster begins');
    return recovered;
  }
  const recovered = await backup.restore(first, storage.state, storage.log.store);
  const { index } = recovered.applied;
  logger.info({ ...began, index, backup: backup.digest }, 'a new cluster begins with what was backed up');
  return recovered;
}

async function begin(first: Configuration, { log }: Pick<Storage, 'log'>): Promise<Recovered> {
  const batch = firstBatch(first);
  await new Promise<void>((resolve) => log.store.append(batch, resolve));
  const { base } = log.recovered;
  const seed = { base, termRuns: [{ index: 1, term: 1 }], lastIndex: 1, tail: batch.entries, applied: 0 };
  return {
    seed: {
      hardState: { term: 1, vote: undefined, commit: 1 },
      log: seed,
      configurations: [{ index: 1, configuration: first }],
    },
    applied: NOTHING_APPLIED,
    log: { base: base.index, last: 1, bytes: 0 },
  };
}
