/** What a node is made of before it takes part: its disk, its place among the others, and the ways to them. */

import type { Logger } from 'pino';
import type { Config } from '../configs/config.js';
import type { Configuration } from '../membership/configuration.js';
import { isDeparted, memberOf } from '../membership/configuration.js';
import type { Fatal } from '../persistence/errors.js';
import type { Storage } from '../persistence/storage.js';
import type { SnapshotStore } from '../snapshot/store.js';
import type { Credentials } from './credentials.js';
import type { Acquaintances } from './members/acquaintances.js';
import { acquaintances } from './members/acquaintances.js';
import type { Members } from './members/members.js';
import type { Metrics } from './metrics/metrics.js';
import { createMetrics } from './metrics/metrics.js';
import type { Node } from './node.js';
import type { Inbox } from './ports.js';
import { TICK_MS } from './raft-settings.js';
import type { ControlClient } from './rpc/control.js';
import { createControlClient } from './rpc/control.js';
import type { Roster } from './rpc/identity.js';
import type { PeerTransport } from './rpc/peers.js';
import { createPeerTransport } from './rpc/peers.js';
import type { Snapshots } from './snapshots.js';
import type { SpaceGuard } from './space-guard.js';
import type { Verification } from './verification.js';
import type { Starting } from './starting.js';
import { addressesOf } from './starting.js';

export interface StartOptions {
  readonly config: Config;
  readonly version: string;
  readonly logger: Logger;
  /** The disk failed, or gave back what was not written: the process must end. */
  readonly fatal: Fatal;
  /** An invariant is broken: likewise. */
  readonly broken: (error: unknown) => void;
  /** What the data directory holds is not to be trusted: it is set aside, and the node rejoins. */
  readonly rejoin: boolean;
  /** Told what the engine says of its databases from now on. */
  readonly opened: (properties: Storage['properties']) => void;
  /** The cluster has removed this node: the process is to end. */
  readonly departed: () => void;
  /** Ends the waiting for peers at a first start. */
  readonly signal: AbortSignal;
}

/** What a node is made of before it takes part. */
export interface Base {
  readonly options: StartOptions;
  readonly starting: Starting;
  readonly storage: Storage;
  readonly snapshots: SnapshotStore;
  readonly metrics: Metrics;
  readonly roster: Roster;
  readonly acquaintances: Acquaintances;
  readonly members: { current: Members | undefined };
  /** Of the cluster that this disk belongs to, once it does. */
  readonly clusterId: { current: string | undefined };
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
  readonly credentials: Credentials;
}

/** Puts the parts together that are there before the node is. */
export function assemble(
  options: StartOptions,
  starting: Starting,
  storage: Storage,
  snapshots: SnapshotStore,
  credentials: Credentials,
): Base {
  const { config, logger, version } = options;
  const { identity } = storage;
  const node: Base['node'] = { current: undefined };
  const clusterId: Base['clusterId'] = { current: identity.clusterId ?? undefined };
  const membership: Base['membership'] = { current: undefined };
  const inbox: Base['inbox'] = { current: undefined };
  const firstVoters: Base['firstVoters'] = { current: undefined };
  const known = (): Configuration | undefined => node.current?.configuration ?? membership.current;
  const member = (id: string): ReturnType<typeof memberOf> => memberIn(known(), id);
  const friends = acquaintances(known, config.cluster.peers);
  const roster: Roster = {
    clusterName: config.cluster.name,
    self: () => ({ id: identity.nodeId, incarnation: identity.incarnation }),
    clusterId: () => clusterId.current,
    firstVoters: () => (clusterId.current === undefined ? firstVoters.current : undefined),
    peerIncarnation: (id) => member(id)?.incarnation,
    // Only what is committed: an older configuration than the sender's may not know it yet.
    isReplaced: (id, incarnation) =>
      node.current !== undefined && isDeparted(node.current.standing.configuration, id, incarnation),
    introduction: () => ({ addresses: addressesOf(config), version }),
    met: (who, introduction) => friends.met(who, introduction),
  };
  const transport = createPeerTransport({
    roster,
    inbox: {
      receive: (message) => inbox.current?.receive(message),
      unreachable: (peer) => inbox.current?.unreachable(peer),
    },
    resolve: (id) => {
      const found = member(id);
      if (found === undefined) return undefined;
      const elsewhere = friends.placesOf(id).map(({ raft }) => raft);
      return { address: found.raft, elsewhere: elsewhere.slice(1), incarnation: found.incarnation };
    },
    electionTimeoutMs: config.raft.electionTimeoutMs,
    logger,
    credentials,
  });
  const resolve = (id: string): string | undefined => member(id)?.rpc;
  const elsewhere = (id: string): string[] => friends.placesOf(id).map(({ rpc }) => rpc);
  const control = createControlClient({ roster, resolve, elsewhere, logger, credentials });
  const metrics = metricsOf(node, storage, snapshots);
  return {
    options,
    starting,
    storage,
    snapshots,
    metrics,
    roster,
    acquaintances: friends,
    members: { current: undefined },
    clusterId,
    membership,
    firstVoters,
    inbox,
    node,
    space: { current: undefined },
    taking: { current: undefined },
    verification: { current: undefined },
    transport,
    control,
    credentials,
  };
}

function memberIn(configuration: Configuration | undefined, id: string): ReturnType<typeof memberOf> {
  return configuration && memberOf(configuration, id);
}

function metricsOf(node: Base['node'], storage: Storage, snapshots: SnapshotStore): Metrics {
  return createMetrics({
    node: () => node.current,
    snapshots: () => snapshots.list(),
    engine: () => storage.properties(),
    tickMs: TICK_MS,
  });
}
