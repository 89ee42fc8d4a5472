/** The file's own keys, and what each takes. Values come out in the units of `config.ts`; absent keys stay absent. */

import { z } from 'zod';
import {
  advertisedAddress,
  count,
  directory,
  durationMs,
  listenAddress,
  oneOf,
  origin,
  filePath,
  nothingOrAddress,
  nothingOrSecret,
  peerAddress,
  plainName,
  secret,
  sha256Digest,
  sizeBytes,
} from './fields.js';
import { show } from './reading.js';

const MIB = 1024 * 1024;

/** Room for two heartbeats of a millisecond. */
const electionTimeout = () => durationMs('ms', 2);

const raftShape = {
  nodeID: plainName().optional(),
  bindAddr: listenAddress().optional(),
  advertisedAddr: advertisedAddress().optional(),
  dataDir: directory().optional(),
  logLevel: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'silent']).optional(),
  snapshotInterval: durationMs('s').optional(),
  snapshotThreshold: sizeBytes().optional(),
  maxSnapshots: count(1, 1000).optional(),
  trailingLog: sizeBytes(0).optional(),
  electionTimeout: z
    .tuple([electionTimeout(), electionTimeout()], {
      error: 'takes two durations, the shortest and the longest; write ["150ms", "300ms"]',
    })
    .optional(),
  heartbeatInterval: durationMs().optional(),
  diskStallTimeout: durationMs('ms', 10).optional(),
  loopStallTimeout: durationMs('ms', 10).optional(),
  entryCacheBytes: sizeBytes().optional(),
  appendBytesMax: sizeBytes().optional(),
  inflightAppendsMax: count(1, 10_000).optional(),
  inflightBytesMax: sizeBytes().optional(),
  uncommittedBytesMax: sizeBytes().optional(),
  traceFile: filePath().optional(),
};

const peerShape = {
  id: plainName(),
  raft: peerAddress(),
  rpc: peerAddress(),
  http: peerAddress(),
};

const discoveryShape = {
  dns: nothingOrAddress().optional(),
};

const clusterShape = {
  name: plainName().optional(),
  peers: z
    .array(strict(peerShape), { error: 'takes a list; write one { id, raft, rpc, http } for each node' })
    .optional(),
  join: z.array(peerAddress(), { error: 'takes a list of rpc addresses; write ["host:port"]' }).optional(),
  discovery: section(discoveryShape),
};

const httpShape = {
  requestTimeout: durationMs().optional(),
  onFollower: oneOf(['forward', 'redirect']).optional(),
  cors: z.array(origin(), { error: 'takes a list of origins; write ["https://app.example.com"]' }).optional(),
  connectionsMax: count(1, 1_000_000).optional(),
  headersTimeout: durationMs().optional(),
  keepAliveTimeout: durationMs().optional(),
};

const limitsShape = {
  valueBytes: sizeBytes(1, 64 * MIB).optional(),
  pendingRequests: count(1, 1_000_000).optional(),
  dataBytes: sizeBytes(0).optional(),
  freeBytes: sizeBytes(0).optional(),
  cacheBytes: sizeBytes(0).optional(),
  requestsPerSecond: count(0, 10_000_000).optional(),
};

const clientShape = {
  name: plainName(),
  token: secret().optional(),
  sha256: sha256Digest().optional(),
  rights: oneOf(['read', 'write', 'admin']),
};

const authShape = {
  clients: z
    .array(strict(clientShape), {
      error: 'takes a list; write one { name, sha256, rights } for each client',
    })
    .optional(),
  peerSecret: nothingOrSecret().optional(),
};

const tlsShape = {
  certFile: filePath().optional(),
  keyFile: filePath().optional(),
  caFile: filePath().optional(),
};

const sessionsShape = {
  ttl: durationMs('ms', 1000).optional(),
  max: count(1, 1_000_000).optional(),
};

const snapshotsShape = {
  bytesPerSecond: sizeBytes(1024).optional(),
  chunkBytes: sizeBytes(1024, 8 * MIB).optional(),
};

const watchShape = {
  historyBytes: sizeBytes().optional(),
};

const storageShape = {
  engine: oneOf(['rocksdb', 'classic-level']).optional(),
};

const fileShape = {
  rpcAddr: listenAddress().optional(),
  httpAddr: listenAddress().optional(),
  advertisedRpcAddr: advertisedAddress().optional(),
  advertisedHttpAddr: advertisedAddress().optional(),
  raft: section(raftShape),
  cluster: section(clusterShape),
  http: section(httpShape),
  limits: section(limitsShape),
  auth: section(authShape),
  tls: section(tlsShape),
  sessions: section(sessionsShape),
  snapshots: section(snapshotsShape),
  watch: section(watchShape),
  storage: section(storageShape),
};

function strict<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'invalid_type'
        ? `${show(issue.input)} is not a mapping; write its keys, indented, one to a line`
        : undefined,
  });
}

/** A section may be absent, or empty because every key of it is commented out. */
function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess((value) => value ?? {}, strict(shape));
}

/** A whole file: strict, so that a misspelt key is an error and not a default. */
export const FILE_SCHEMA = strict(fileShape);

/** A validated file: what it says itself, before defaults; durations in milliseconds, sizes in bytes. */
export type FileConfig = z.infer<typeof FILE_SCHEMA>;

/** Every key a file may hold, by the section it stands in; `''` is the top. */
export const KNOWN_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['', Object.keys(fileShape)],
  ['raft', Object.keys(raftShape)],
  ['cluster', Object.keys(clusterShape)],
  ['cluster.peers[]', Object.keys(peerShape)],
  ['cluster.discovery', Object.keys(discoveryShape)],
  ['http', Object.keys(httpShape)],
  ['limits', Object.keys(limitsShape)],
  ['auth', Object.keys(authShape)],
  ['auth.clients[]', Object.keys(clientShape)],
  ['tls', Object.keys(tlsShape)],
  ['sessions', Object.keys(sessionsShape)],
  ['snapshots', Object.keys(snapshotsShape)],
  ['watch', Object.keys(watchShape)],
  ['storage', Object.keys(storageShape)],
]);
