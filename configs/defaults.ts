import type { Config, LogLevel } from './config.js';
import { deepFreeze } from './freeze.js';

const MIB = 1024 * 1024;

type Settings<Section extends object, Derived extends keyof Section> = Omit<Section, Derived>;

/** Settings that have a default of their own; the others are derived (`resolve.ts`) or, like `raft.nodeID`, have none. */
interface Defaults {
  readonly rpcAddr: string;
  readonly httpAddr: string;
  readonly raft: Settings<Config['raft'], 'nodeID' | 'advertisedAddr' | 'dataDir'> & {
    /** `raft.dataDir` is the node's id below this. */
    readonly dataRoot: string;
  };
  readonly cluster: Settings<Config['cluster'], 'peerUrls'>;
  readonly http: Config['http'];
  readonly limits: Config['limits'];
  readonly auth: Config['auth'];
  readonly tls: Config['tls'];
  readonly sessions: Config['sessions'];
  readonly snapshots: Config['snapshots'];
  readonly watch: Config['watch'];
  readonly storage: Config['storage'];
}

/** Every default, in one place; `default.yaml` documents them, and a test compares the two. */
export const DEFAULTS: Defaults = deepFreeze({
  rpcAddr: '127.0.0.1:8081',
  httpAddr: '127.0.0.1:8080',
  raft: {
    bindAddr: '127.0.0.1:8082',
    dataRoot: 'data',
    logLevel: 'info' satisfies LogLevel,
    snapshotIntervalSeconds: 30,
    snapshotThresholdBytes: 1024,
    maxSnapshots: 5,
    trailingLogBytes: 64 * MIB,
    electionTimeoutMs: [150, 300],
    heartbeatIntervalMs: 50,
    diskStallTimeoutMs: 1000,
    loopStallTimeoutMs: 1000,
    entryCacheBytes: 16 * MIB,
    appendBytesMax: MIB,
    inflightAppendsMax: 64,
    inflightBytesMax: 8 * MIB,
    uncommittedBytesMax: 64 * MIB,
    traceFile: '',
  },
  cluster: { name: 'quorumkv', peers: [], join: [], discovery: { dns: '' } },
  http: {
    requestTimeoutMs: 5000,
    onFollower: 'forward',
    cors: [],
    connectionsMax: 10_000,
    headersTimeoutMs: 10_000,
    keepAliveTimeoutMs: 60_000,
  },
  limits: {
    valueBytes: MIB,
    pendingRequests: 10_000,
    dataBytes: 0,
    freeBytes: 64 * MIB,
    cacheBytes: 64 * MIB,
    requestsPerSecond: 0,
  },
  auth: { clients: [], peerSecret: '' },
  tls: { certFile: '', keyFile: '', caFile: '' },
  sessions: { ttlMs: 600_000, max: 10_000 },
  snapshots: { bytesPerSecond: 64 * MIB, chunkBytes: MIB / 4 },
  watch: { historyBytes: 64 * MIB },
  storage: { engine: 'rocksdb' },
});
