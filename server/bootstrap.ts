/**
 * The first start of a cluster. It begins once every peer has answered, so that all of them derive the same first
 * configuration: ids and addresses from the file, incarnations from the peers themselves. The cluster's id is a digest of
 * all of it, so it is agreed without a vote, never the same for disks that were wiped in between, and never the same for
 * two first entries that differ.
 */

import { createHash } from 'node:crypto';
import type { Peer } from '../configs/config.js';
import type { Configuration, Member, NodeId } from '../membership/configuration.js';
import { configuration, encodeConfiguration } from '../membership/configuration.js';
import { StorageError } from '../persistence/errors.js';
import type { LogBatch } from '../persistence/log-store.js';

/** What a peer says of itself before there is a cluster. */
export interface Greeting {
  readonly incarnation: string;
  /** Null: it has not begun either. */
  readonly clusterId: string | null;
  /** Its `firstVotersDigest`, as long as it has not begun; null before it knows them. */
  readonly firstVoters: string | null;
}

export interface FirstStart {
  readonly self: { readonly id: NodeId; readonly incarnation: string };
  /** This node among them. */
  readonly peers: readonly Peer[];
  /** Asks a peer until it answers; rejects when it refuses this node. */
  readonly greet: (peer: Peer) => Promise<Pick<Greeting, 'incarnation' | 'clusterId'>>;
  /** The digest of the backup that the cluster begins with; absent: it begins empty. */
  readonly backup?: string;
}

/** @throws StorageError `unusable` when a peer belongs to a cluster that knows this node with another disk. */
export async function firstConfiguration({ self, peers, greet, backup }: FirstStart): Promise<Configuration> {
  const greetings = await Promise.all(
    peers.map(async (peer) => {
      const own = { incarnation: self.incarnation, clusterId: null };
      return [peer, peer.id === self.id ? own : await greet(peer)] as const;
    }),
  );
  const members = greetings.map(([{ id, raft, rpc, http }, { incarnation }]): Member => ({
    id,
    incarnation,
    raft,
    rpc,
    http,
    voter: true,
  }));
  const first = configuration(clusterIdOf(members, backup), members);
  for (const [peer, { clusterId }] of greetings) {
    if (clusterId !== null && clusterId !== first.clusterId) {
      throw new StorageError(
        'unusable',
        `${peer.id} already belongs to a cluster that began without this data directory: restore the directory that ${self.id} had, or check cluster.peers, which must be the same on every node, addresses included`,
      );
    }
  }
  return first;
}

function clusterIdOf(members: readonly Member[], backup: string | undefined): string {
  const rows = members.map(({ id, incarnation, raft, rpc, http }) => [id, incarnation, raft, rpc, http]);
  return digestOf([...rows, ...backupRow(backup)]);
}

/**
 * What must be the same everywhere: who the first voters are, and where, and which backup they begin with. Nodes compare it before any of them writes:
 * with lists that differ, those that begin at the same time would be clusters of their own, each on a disk that is no
 * longer empty.
 */
export function firstVotersDigest(peers: readonly Peer[], backup?: string): string {
  return digestOf([...peers.map(({ id, raft, rpc, http }) => [id, raft, rpc, http]), ...backupRow(backup)]);
}

function backupRow(backup: string | undefined): string[][] {
  return backup === undefined ? [] : [[backup]];
}

function digestOf(rows: ReadonlyArray<readonly string[]>): string {
  const lines = rows.map((row) => JSON.stringify(row)).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 32);
}

/** What the first start writes: the configuration as a committed entry, the same one on every node. */
export function firstBatch(first: Configuration): LogBatch {
  const entry = { index: 1, term: 1, type: 'configuration', data: encodeConfiguration(first) } as const;
  return { entries: [entry], hardState: { term: 1, vote: undefined, commit: 1 } };
}
