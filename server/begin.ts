/** How a node with an empty disk comes to belong to a cluster: it begins one together with its peers, or joins a running one. */

import type { Logger } from 'pino';
import type { Config } from '../configs/config.js';
import type { Configuration } from '../membership/configuration.js';
import type { LogBatch, LogStore, RecoveredLog } from '../persistence/log-store.js';
import type { StateStore } from '../persistence/state-store.js';
import { NOTHING_APPLIED } from '../persistence/state-store.js';
import type { HardState } from '../raft/entry.js';
import { firstBatch, firstConfiguration, firstVotersDigest } from './bootstrap.js';
import { findPeers, greetPeer } from './find-peers.js';
import { discover } from './members/discovery.js';
import { findCluster } from './members/find-cluster.js';
import type { Recovered } from './recovery.js';
import { newcomerSeed } from './recovery.js';
import type { Backup } from './restore-backup.js';
import type { Credentials } from './credentials.js';
import type { ControlClient } from './rpc/control.js';
import type { Identity, Roster } from './rpc/identity.js';

export interface BeginOptions {
  readonly config: Config;
  readonly roster: Roster;
  readonly control: Pick<ControlClient, 'callAddress'>;
  readonly credentials: Credentials;
  readonly logger: Logger;
  /** Told what is waited for, in one line. */
  readonly waitFor: (what: string) => void;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  readonly self: Identity;
  /** See `Roster.firstVoters`. */
  readonly firstVoters: { current: string | undefined };
  /** RPC addresses of members, where this node has to rejoin its cluster: it never begins one. */
  readonly rejoin: readonly string[] | undefined;
  readonly log: { readonly store: Pick<LogStore, 'append' | 'reset'>; readonly recovered: RecoveredLog };
  readonly state: StateStore;
  /** What the cluster begins with; undefined: with nothing. */
  readonly backup: Backup | undefined;
}

/**
 * What the core of a node starts from that holds nothing yet.
 *
 * @throws DepartedError, StorageError: see `findCluster`
 */
export async function begin(options: BeginOptions): Promise<Recovered> {
  const { config, logger } = options;
  const { join, discovery } = config.cluster;
  const isToJoin = join.length > 0 || discovery.dns !== '';
  if (options.rejoin !== undefined) return joined(options, await joinBy(options, !isToJoin));
  if (isToJoin) return joined(options, await joinBy(options, false));
  const first = await firstOrRunning(options);
  if (first.running) return joined(options, first.configuration);
  const { configuration } = first;
  if (options.backup !== undefined) return restored(options, options.backup, configuration);
  const batch = firstBatch(configuration);
  await append(options, batch);
  logger.info(
    { clusterId: configuration.clusterId, members: configuration.members.map(({ id }) => id) },
    'a new cluster begins',
  );
  const { base } = options.log.recovered;
  return {
    seed: {
      hardState: { term: 1, vote: undefined, commit: 1 },
      log: { base, termRuns: [{ index: 1, term: 1 }], lastIndex: 1, tail: batch.entries, applied: 0 },
      configurations: [{ index: 1, configuration }],
    },
    applied: NOTHING_APPLIED,
    log: { base: base.index, last: 1, bytes: 0 },
  };
}

async function restored(
  { state, log, logger }: BeginOptions,
  backup: Backup,
  first: Configuration,
): Promise<Recovered> {
  const recovered = await backup.restore(first, state, log.store);
  const { index } = recovered.applied;
  const began = { clusterId: first.clusterId, members: first.members.map(({ id }) => id), index };
  logger.info({ ...began, backup: backup.digest }, 'a new cluster begins with what was backed up');
  return recovered;
}

/** Goes on with joining where a node that was taken in ended before it had received anything. */
export async function resumeJoining(options: BeginOptions, hardState: HardState): Promise<Recovered> {
  const { join, discovery } = options.config.cluster;
  const returning = join.length === 0 && discovery.dns === '';
  return seedOf(options, await joinBy(options, returning), hardState);
}

interface Beginning {
  /** The cluster runs already. */
  readonly running: boolean;
  readonly configuration: Configuration;
}

/**
 * A first start takes all of the peers. A peer that has begun already may have done so together with this disk; if not, this disk was wiped, or
 * came later, and whoever leads the cluster knows what to do.
 */
async function firstOrRunning(options: BeginOptions): Promise<Beginning> {
  const { self, firstVoters } = options;
  const digest = options.backup?.digest;
  const finding = { ...options, ...(digest !== undefined && { backupDigest: digest }) };
  const peers = await findPeers(finding);
  firstVoters.current = firstVotersDigest(peers, digest);
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  const within = { ...finding, signal };
  let hasBegun: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => (hasBegun = resolve));

  const first = firstConfiguration({
    self,
    peers,
    ...(digest !== undefined && { backup: digest }),
    greet: async (peer) => {
      const greeting = await greetPeer(within, peer, peers);
      if (greeting.clusterId !== null) hasBegun();
      return greeting;
    },
  });
  const places = peers.filter(({ id }) => id !== self.id).map(({ rpc }) => rpc);
  const running = begun.then(() =>
    findCluster({ ...within, places: () => Promise.resolve(places), returning: true }),
  );
  try {
    return await Promise.race([
      first.then(async (configuration): Promise<Beginning> =>
        configuration === undefined
          ? { running: true, configuration: await running }
          : { running: false, configuration },
      ),
      running.then((configuration): Beginning => ({ running: true, configuration })),
    ]);
  } finally {
    over.abort();
    // Whichever came too late has nobody to tell.
    void Promise.allSettled([first, running]);
  }
}

function joinBy(options: BeginOptions, returning: boolean): Promise<Configuration> {
  const { join, peers, discovery } = options.config.cluster;
  const own = options.self.id;
  const hints = peers.filter(({ id }) => id !== own).map(({ rpc }) => rpc);
  return findCluster({
    ...options,
    returning,
    places: async () => [
      ...join,
      ...hints,
      ...(options.rejoin ?? []),
      ...(discovery.dns === '' ? [] : await discover(discovery.dns)),
    ],
  });
}

/** From now on the disk belongs to the cluster: it holds a term, if nothing else yet. */
async function joined(options: BeginOptions, configuration: Configuration): Promise<Recovered> {
  const hardState = { term: 0, vote: undefined, commit: 0 };
  await append(options, { entries: [], hardState });
  return seedOf(options, configuration, hardState);
}

function seedOf(
  { log, logger }: BeginOptions,
  configuration: Configuration,
  hardState: HardState,
): Recovered {
  const { base } = log.recovered;
  logger.info(
    { clusterId: configuration.clusterId, members: configuration.members.map(({ id }) => id) },
    'joined the cluster',
  );
  return newcomerSeed(base, configuration, hardState);
}

function append({ log }: BeginOptions, batch: LogBatch): Promise<void> {
  return new Promise((resolve) => log.store.append(batch, resolve));
}
