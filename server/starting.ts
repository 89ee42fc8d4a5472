/** What a node answers while it starts: it lives, it says what it waits for, and it serves nothing yet. */

import type { ClusterStatusResponse, StatusResponse } from '../api/types.js';
import type { Config } from '../configs/config.js';
import { noLeader } from './leadership.js';
import type { Service } from './service.js';

export interface Starting {
  readonly service: Service;
  /** In one line, for `/readyz`. */
  waitFor(what: string): void;
  /** From now on this service answers. */
  handOver(service: Service): void;
}

export function startingService(config: Config, version: string, uptimeMs: () => number): Starting {
  let reason = 'the node is starting';
  let current: Service | undefined;

  const status = (): StatusResponse => ({
    id: config.raft.nodeID,
    state: 'FOLLOWER',
    role: 'follower',
    term: 0,
    currentTerm: 0,
    leader: null,
    leaderId: null,
    isLeader: false,
    commitIndex: 0,
    lastApplied: 0,
    lastLogIndex: 0,
    firstLogIndex: 1,
    addresses: addressesOf(config),
    cluster: config.cluster.name,
    clusterId: null,
    version,
    uptimeMs: Math.round(uptimeMs()),
    snapshot: null,
    snapshots: [],
  });
  const clusterStatus = (): ClusterStatusResponse => ({ ...status(), members: [], waitingFor: null });
  const refuse = (): Promise<never> => Promise.reject(noLeader(reason));

  return {
    waitFor(what) {
      reason = what;
    },
    handOver(service) {
      current = service;
    },
    service: {
      write: (write) => current?.write(write) ?? refuse(),
      transact: (txn) => current?.transact(txn) ?? refuse(),
      deletePrefix: (command) => current?.deletePrefix(command) ?? refuse(),
      pipeline: (ops, consistency) => current?.pipeline(ops, consistency) ?? refuse(),
      watch: (query, from) => current?.watch(query, from) ?? refuse(),
      log: (limit) => current?.log(limit) ?? refuse(),
      changeCluster: (request) => current?.changeCluster(request) ?? refuse(),
      openSession: () => current?.openSession() ?? refuse(),
      read: (keys, consistency) => current?.read(keys, consistency) ?? refuse(),
      list: (query, consistency) => current?.list(query, consistency) ?? refuse(),
      takeSnapshot: () => current?.takeSnapshot() ?? refuse(),
      backup: () => current?.backup() ?? refuse(),
      status: () => current?.status() ?? status(),
      clusterStatus: () => current?.clusterStatus() ?? clusterStatus(),
      leaderMembers: () => current?.leaderMembers() ?? Promise.resolve(undefined),
      health: () =>
        current?.health() ?? { status: 'unhealthy', keys: 0, role: 'follower', leader: null, reason },
      notReady: () => (current === undefined ? reason : current.notReady()),
      leader: () => current?.leader(),
      membersIndex: () => current?.membersIndex(),
      isLeader: () => current?.isLeader() ?? false,
      revision: () => current?.revision() ?? 0,
    },
  };
}

/** Where others reach this node. */
export function addressesOf(config: Config): {
  readonly raft: string;
  readonly rpc: string;
  readonly http: string;
} {
  return { raft: config.raft.advertisedAddr, rpc: config.advertisedRpcAddr, http: config.advertisedHttpAddr };
}
