/** The effective configuration as a file: `kv-server --check` prints it, and {@link ./load.js#loadConfig} reads it back. */

import { stringify } from 'yaml';
import type { Config } from './config.js';
import { withoutReferences } from './interpolate.js';
import { isTree } from './tree.js';
import { formatDurationMs, formatSizeBytes } from './units.js';

/** A setting whose name ends with one of these words that has a value is shown as set, and no more: `authToken`, `password`, `tls.key`. */
const SECRET_WORDS: ReadonlySet<string> = new Set(['token', 'password', 'secret', 'key']);
const MASK = '********';

function isSecret(name: string): boolean {
  const word = name.split(/(?=[A-Z])|[-_.]/).at(-1) ?? '';
  return SECRET_WORDS.has(word.toLowerCase()) || SECRET_WORDS.has(word.toLowerCase().replace(/s$/, ''));
}

/** A copy of a tree of settings in which nothing secret can be read. */
export function maskSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(maskSecrets);
  if (!isTree(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      isSecret(name) && inner !== '' ? MASK : maskSecrets(inner),
    ]),
  );
}

function withPlainText(value: unknown): unknown {
  if (typeof value === 'string') return withoutReferences(value);
  if (Array.isArray(value)) return value.map(withPlainText);
  if (!isTree(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withPlainText(inner)]));
}

function raftKeys(raft: Config['raft']): object {
  return {
    nodeID: raft.nodeID,
    bindAddr: raft.bindAddr,
    advertisedAddr: raft.advertisedAddr,
    dataDir: raft.dataDir,
    logLevel: raft.logLevel,
    snapshotInterval: formatDurationMs(Math.round(raft.snapshotIntervalSeconds * 1000)),
    snapshotThreshold: formatSizeBytes(raft.snapshotThresholdBytes),
    maxSnapshots: raft.maxSnapshots,
    trailingLog: formatSizeBytes(raft.trailingLogBytes),
    electionTimeout: raft.electionTimeoutMs.map(formatDurationMs),
    heartbeatInterval: formatDurationMs(raft.heartbeatIntervalMs),
    diskStallTimeout: formatDurationMs(raft.diskStallTimeoutMs),
    loopStallTimeout: formatDurationMs(raft.loopStallTimeoutMs),
    entryCacheBytes: formatSizeBytes(raft.entryCacheBytes),
    appendBytesMax: formatSizeBytes(raft.appendBytesMax),
    inflightAppendsMax: raft.inflightAppendsMax,
    inflightBytesMax: formatSizeBytes(raft.inflightBytesMax),
    uncommittedBytesMax: formatSizeBytes(raft.uncommittedBytesMax),
    traceFile: raft.traceFile,
  };
}

function fileKeys({
  cluster,
  http,
  limits,
  auth,
  tls,
  sessions,
  snapshots,
  watch,
  storage,
  raft,
  ...top
}: Config): object {
  return {
    rpcAddr: top.rpcAddr,
    httpAddr: top.httpAddr,
    advertisedRpcAddr: top.advertisedRpcAddr,
    advertisedHttpAddr: top.advertisedHttpAddr,
    raft: raftKeys(raft),
    cluster: { name: cluster.name, peers: cluster.peers, join: cluster.join, discovery: cluster.discovery },
    http: {
      requestTimeout: formatDurationMs(http.requestTimeoutMs),
      onFollower: http.onFollower,
      cors: http.cors,
      connectionsMax: http.connectionsMax,
      headersTimeout: formatDurationMs(http.headersTimeoutMs),
      keepAliveTimeout: formatDurationMs(http.keepAliveTimeoutMs),
    },
    limits: {
      valueBytes: formatSizeBytes(limits.valueBytes),
      pendingRequests: limits.pendingRequests,
      dataBytes: formatSizeBytes(limits.dataBytes),
      freeBytes: formatSizeBytes(limits.freeBytes),
      cacheBytes: formatSizeBytes(limits.cacheBytes),
      requestsPerSecond: limits.requestsPerSecond,
    },
    auth: { clients: auth.clients, peerSecret: auth.peerSecret },
    tls: { certFile: tls.certFile, keyFile: tls.keyFile, caFile: tls.caFile },
    sessions: { ttl: formatDurationMs(sessions.ttlMs), max: sessions.max },
    snapshots: {
      bytesPerSecond: formatSizeBytes(snapshots.bytesPerSecond),
      chunkBytes: formatSizeBytes(snapshots.chunkBytes),
    },
    watch: { historyBytes: formatSizeBytes(watch.historyBytes) },
    storage: { engine: storage.engine },
  };
}

/**
 * YAML in the file's own key names, every setting written out, secrets masked. Peers that are known by their HTTP addresses alone
 * have no key in a file; a comment names them.
 */
export function describeConfig(config: Config): string {
  const { peerUrls } = config.cluster;
  const comment = peerUrls.length === 0 ? '' : `# PEER_URLS: ${peerUrls.join(', ')}\n`;
  return comment + stringify(withPlainText(maskSecrets(fileKeys(config))), { lineWidth: 0 });
}
