/** From the file's keys to the node's configuration: defaults filled in, what can be derived derived. */

import { createHash } from 'node:crypto';
import { reachableAddress } from './address.js';
import type { Config } from './config.js';
import { DEFAULTS } from './defaults.js';
import type { FileConfig } from './schema.js';

function raftSection(
  raft: FileConfig['raft'],
  addresses: { bindAddr: string; advertisedAddr: string },
): Config['raft'] {
  const defaults = DEFAULTS.raft;
  const nodeID = raft.nodeID ?? '';
  return {
    nodeID,
    ...addresses,
    dataDir: raft.dataDir ?? `${defaults.dataRoot}/${nodeID}`,
    logLevel: raft.logLevel ?? defaults.logLevel,
    snapshotIntervalSeconds:
      raft.snapshotInterval === undefined ? defaults.snapshotIntervalSeconds : raft.snapshotInterval / 1000,
    snapshotThresholdBytes: raft.snapshotThreshold ?? defaults.snapshotThresholdBytes,
    maxSnapshots: raft.maxSnapshots ?? defaults.maxSnapshots,
    trailingLogBytes: raft.trailingLog ?? defaults.trailingLogBytes,
    electionTimeoutMs: raft.electionTimeout ?? defaults.electionTimeoutMs,
    heartbeatIntervalMs: raft.heartbeatInterval ?? defaults.heartbeatIntervalMs,
    diskStallTimeoutMs: raft.diskStallTimeout ?? defaults.diskStallTimeoutMs,
    loopStallTimeoutMs: raft.loopStallTimeout ?? defaults.loopStallTimeoutMs,
    entryCacheBytes: raft.entryCacheBytes ?? defaults.entryCacheBytes,
    appendBytesMax: raft.appendBytesMax ?? defaults.appendBytesMax,
    inflightAppendsMax: raft.inflightAppendsMax ?? defaults.inflightAppendsMax,
    inflightBytesMax: raft.inflightBytesMax ?? defaults.inflightBytesMax,
    uncommittedBytesMax: raft.uncommittedBytesMax ?? defaults.uncommittedBytesMax,
    traceFile: raft.traceFile ?? defaults.traceFile,
  };
}

function httpSection(http: FileConfig['http']): Config['http'] {
  const defaults = DEFAULTS.http;
  return {
    requestTimeoutMs: http.requestTimeout ?? defaults.requestTimeoutMs,
    onFollower: http.onFollower ?? defaults.onFollower,
    cors: http.cors ?? defaults.cors,
    connectionsMax: http.connectionsMax ?? defaults.connectionsMax,
    headersTimeoutMs: http.headersTimeout ?? defaults.headersTimeoutMs,
    keepAliveTimeoutMs: http.keepAliveTimeout ?? defaults.keepAliveTimeoutMs,
  };
}

function authSection({ clients, peerSecret }: FileConfig['auth']): Config['auth'] {
  return {
    clients:
      clients?.map(({ name, token = '', sha256 = sha256Of(token), rights }) => ({ name, sha256, rights })) ??
      DEFAULTS.auth.clients,
    peerSecret: peerSecret ?? DEFAULTS.auth.peerSecret,
  };
}

function sha256Of(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/**
 * The whole configuration. Whoever is among the peers listens and is advertised, unless told otherwise, where the peers look for it.
 *
 * @param source - where the settings come from, for messages
 */
export function resolve(file: FileConfig, peerUrls: readonly string[], source: string): Config {
  const peers = file.cluster.peers ?? DEFAULTS.cluster.peers;
  const own = peers.find(({ id }) => id === file.raft.nodeID);
  const rpcAddr = file.rpcAddr ?? own?.rpc ?? DEFAULTS.rpcAddr;
  const httpAddr = file.httpAddr ?? own?.http ?? DEFAULTS.httpAddr;
  const bindAddr = file.raft.bindAddr ?? own?.raft ?? DEFAULTS.raft.bindAddr;
  const advertisedAddr = own?.raft ?? file.raft.advertisedAddr ?? reachableAddress(bindAddr);
  return {
    source,
    rpcAddr,
    httpAddr,
    advertisedRpcAddr: own?.rpc ?? file.advertisedRpcAddr ?? reachableAddress(rpcAddr),
    advertisedHttpAddr: own?.http ?? file.advertisedHttpAddr ?? reachableAddress(httpAddr),
    raft: raftSection(file.raft, { bindAddr, advertisedAddr }),
    cluster: {
      name: file.cluster.name ?? DEFAULTS.cluster.name,
      peers,
      join: file.cluster.join ?? DEFAULTS.cluster.join,
      discovery: { dns: file.cluster.discovery.dns ?? DEFAULTS.cluster.discovery.dns },
      peerUrls,
    },
    http: httpSection(file.http),
    limits: {
      valueBytes: file.limits.valueBytes ?? DEFAULTS.limits.valueBytes,
      pendingRequests: file.limits.pendingRequests ?? DEFAULTS.limits.pendingRequests,
      dataBytes: file.limits.dataBytes ?? DEFAULTS.limits.dataBytes,
      freeBytes: file.limits.freeBytes ?? DEFAULTS.limits.freeBytes,
      cacheBytes: file.limits.cacheBytes ?? DEFAULTS.limits.cacheBytes,
      requestsPerSecond: file.limits.requestsPerSecond ?? DEFAULTS.limits.requestsPerSecond,
    },
    auth: authSection(file.auth),
    tls: {
      certFile: file.tls.certFile ?? DEFAULTS.tls.certFile,
      keyFile: file.tls.keyFile ?? DEFAULTS.tls.keyFile,
      caFile: file.tls.caFile ?? DEFAULTS.tls.caFile,
    },
    sessions: {
      ttlMs: file.sessions.ttl ?? DEFAULTS.sessions.ttlMs,
      max: file.sessions.max ?? DEFAULTS.sessions.max,
    },
    snapshots: {
      bytesPerSecond: file.snapshots.bytesPerSecond ?? DEFAULTS.snapshots.bytesPerSecond,
      chunkBytes: file.snapshots.chunkBytes ?? DEFAULTS.snapshots.chunkBytes,
    },
    watch: { historyBytes: file.watch.historyBytes ?? DEFAULTS.watch.historyBytes },
    storage: { engine: file.storage.engine ?? DEFAULTS.storage.engine },
  };
}
