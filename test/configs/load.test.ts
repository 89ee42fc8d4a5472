import test from 'ava';
import { hostname } from 'node:os';
import { DEFAULTS } from '../../configs/defaults.js';
import { loadConfig } from '../../configs/load.js';
import { fileWith, load } from './fixture.js';

const SEED = `
rpcAddr: "127.0.0.1:8081"
httpAddr: ":8080"
raft:
  nodeID: "node1"
  bindAddr: "0.0.0.0:8082"
  advertisedAddr: "localhost:8082"
  dataDir: "data/node1"
  logLevel: "debug"
  snapshotInterval: 30
  snapshotThreshold: 1024
  maxSnapshots: 5
`;

test('the seed form is a cluster of one', (t) => {
  const path = fileWith(t, SEED);
  const config = loadConfig(path, {});
  t.is(config.source, path);
  t.deepEqual(config.cluster, {
    name: 'quorumkv',
    peers: [],
    join: [],
    discovery: { dns: '' },
    peerUrls: [],
  });
  t.is(config.raft.advertisedAddr, 'localhost:8082');
  t.is(config.advertisedRpcAddr, '127.0.0.1:8081');
  t.is(config.advertisedHttpAddr, `${hostname()}:8080`);
  t.is(config.raft.logLevel, 'debug');
  t.is(config.raft.dataDir, 'data/node1');
  t.is(config.raft.snapshotIntervalSeconds, 30);
});

test('what is left out has its default', (t) => {
  const config = load(t, 'raft: { nodeID: n1 }\ncluster:\nhttp:\n');
  const { dataRoot, ...raft } = DEFAULTS.raft;
  t.deepEqual(config.raft, {
    ...raft,
    nodeID: 'n1',
    advertisedAddr: raft.bindAddr,
    dataDir: `${dataRoot}/n1`,
  });
  t.deepEqual(config.http, DEFAULTS.http);
  t.deepEqual(config.limits, DEFAULTS.limits);
  t.deepEqual(config.storage, DEFAULTS.storage);
  t.deepEqual([config.auth, config.tls], [DEFAULTS.auth, DEFAULTS.tls]);
  t.deepEqual(config.raft.electionTimeoutMs, [150, 300]);
  t.is(config.raft.heartbeatIntervalMs, 50);
  t.is(config.raft.uncommittedBytesMax, 64 * 1024 * 1024);
  t.is(config.http.requestTimeoutMs, 5000);
  t.is(config.limits.valueBytes, 1024 * 1024);
});

test('every key is read', (t) => {
  const config = load(
    t,
    `
rpcAddr: "127.0.0.1:1"
httpAddr: "127.0.0.1:1"
advertisedRpcAddr: "kv:11"
advertisedHttpAddr: "kv:12"
raft:
  nodeID: n1
  bindAddr: "127.0.0.1:1"
  advertisedAddr: "kv:13"
  dataDir: /var/kv
  logLevel: silent
  snapshotInterval: "1.5s"
  snapshotThreshold: "10 kB"
  maxSnapshots: 2
  trailingLog: 0
  electionTimeout: [1000, "2s"]
  heartbeatInterval: 100
  diskStallTimeout: "3s"
  loopStallTimeout: 2500
  entryCacheBytes: 1
  appendBytesMax: 2
  inflightAppendsMax: 3
  inflightBytesMax: 4
  uncommittedBytesMax: 5
  traceFile: /tmp/trace.ndjson
cluster: { name: c, join: ["h:1", "h:2"], discovery: { dns: "kv.internal:1" } }
http:
  requestTimeout: "2s"
  onFollower: redirect
  cors: ["http://localhost:3000"]
  connectionsMax: 6
  headersTimeout: 7
  keepAliveTimeout: 8
limits: { valueBytes: "2MiB", pendingRequests: 9, dataBytes: "1GiB", freeBytes: "3B", cacheBytes: "5B", requestsPerSecond: 12 }
auth:
  peerSecret: 0123456789abcdef
  clients:
    - { name: app, token: abcdefghijklmnop, rights: write }
    - { name: ops, sha256: "${'AB'.repeat(32)}", rights: admin }
tls: { certFile: c.pem, keyFile: k.pem, caFile: ca.pem }
sessions: { ttl: "1min", max: 10 }
snapshots: { bytesPerSecond: "1MiB", chunkBytes: 2048 }
watch: { historyBytes: "1MiB" }
storage: { engine: classic-level }
`,
  );
  t.like(config, {
    rpcAddr: '127.0.0.1:1',
    httpAddr: '127.0.0.1:1',
    advertisedRpcAddr: 'kv:11',
    advertisedHttpAddr: 'kv:12',
    cluster: {
      name: 'c',
      peers: [],
      join: ['h:1', 'h:2'],
      discovery: { dns: 'kv.internal:1' },
      peerUrls: [],
    },
    limits: {
      valueBytes: 2 * 1024 * 1024,
      pendingRequests: 9,
      dataBytes: 1024 ** 3,
      freeBytes: 3,
      cacheBytes: 5,
      requestsPerSecond: 12,
    },
    auth: {
      peerSecret: '0123456789abcdef',
      clients: [
        {
          name: 'app',
          sha256: 'f39dac6cbaba535e2c207cd0cd8f154974223c848f727f98b3564cea569b41cf',
          rights: 'write',
        },
        { name: 'ops', sha256: 'ab'.repeat(32), rights: 'admin' },
      ],
    },
    tls: { certFile: 'c.pem', keyFile: 'k.pem', caFile: 'ca.pem' },
    sessions: { ttlMs: 60_000, max: 10 },
    snapshots: { bytesPerSecond: 1024 * 1024, chunkBytes: 2048 },
    watch: { historyBytes: 1024 * 1024 },
    storage: { engine: 'classic-level' },
  });
  t.deepEqual(config.raft, {
    nodeID: 'n1',
    bindAddr: '127.0.0.1:1',
    advertisedAddr: 'kv:13',
    dataDir: '/var/kv',
    logLevel: 'silent',
    snapshotIntervalSeconds: 1.5,
    snapshotThresholdBytes: 10_000,
    maxSnapshots: 2,
    trailingLogBytes: 0,
    electionTimeoutMs: [1000, 2000],
    heartbeatIntervalMs: 100,
    diskStallTimeoutMs: 3000,
    loopStallTimeoutMs: 2500,
    entryCacheBytes: 1,
    appendBytesMax: 2,
    inflightAppendsMax: 3,
    inflightBytesMax: 4,
    uncommittedBytesMax: 5,
    traceFile: '/tmp/trace.ndjson',
  });
  t.deepEqual(config.http, {
    requestTimeoutMs: 2000,
    onFollower: 'redirect',
    cors: ['http://localhost:3000'],
    connectionsMax: 6,
    headersTimeoutMs: 7,
    keepAliveTimeoutMs: 8,
  });
});

test('a JSON file is taken as well, indented with tabs or not', (t) => {
  const value = { rpcAddr: ':1', raft: { nodeID: 'n1', electionTimeout: ['1s', '2s'] } };
  for (const indent of [undefined, 2, '\t']) {
    const config = loadConfig(fileWith(t, JSON.stringify(value, null, indent), 'node.json'), {});
    t.is(config.rpcAddr, ':1');
    t.deepEqual(config.raft.electionTimeoutMs, [1000, 2000]);
  }
});

test('the whole configuration is frozen', (t) => {
  const config = load(
    t,
    'raft: { nodeID: n1 }\ncluster: { peers: [{ id: n1, raft: "h:1", rpc: "h:2", http: "h:3" }] }',
  );
  const all: unknown[] = [config];
  for (const value of all) {
    if (typeof value !== 'object' || value === null) continue;
    t.true(Object.isFrozen(value));
    all.push(...Object.values<unknown>(value as Record<string, unknown>));
  }
  t.true(all.length > 40);
  t.true(Object.isFrozen(DEFAULTS.raft.electionTimeoutMs));
});

test('the entry among the peers says where to listen and what to advertise', (t) => {
  const peers = 'cluster: { peers: [{ id: n1, raft: "h:1", rpc: "h:2", http: "h:3" }] }\n';
  const derived = load(t, `raft: { nodeID: n1 }\n${peers}`);
  t.deepEqual([derived.raft.bindAddr, derived.rpcAddr, derived.httpAddr], ['h:1', 'h:2', 'h:3']);
  const open = load(t, `raft: { nodeID: n1, bindAddr: ":1" }\nrpcAddr: ":2"\nhttpAddr: ":0"\n${peers}`);
  t.deepEqual([open.raft.bindAddr, open.rpcAddr, open.httpAddr], [':1', ':2', ':0']);
  t.deepEqual(
    [open.raft.advertisedAddr, open.advertisedRpcAddr, open.advertisedHttpAddr],
    ['h:1', 'h:2', 'h:3'],
  );
});

test('ports from the kernel', (t) => {
  const config = load(
    t,
    'rpcAddr: "127.0.0.1:0"\nhttpAddr: ":0"\nraft: { nodeID: n1, bindAddr: "[::1]:0", advertisedAddr: "[::1]:0" }',
  );
  t.is(config.advertisedRpcAddr, '127.0.0.1:0');
  t.is(config.advertisedHttpAddr, `${hostname()}:0`);
  t.is(config.raft.advertisedAddr, '[::1]:0');
});

test('references are filled in from the environment', (t) => {
  const text = `
rpcAddr: "\${HOST}:\${PORT:-8081}"
raft:
  nodeID: \${ID}
  dataDir: "$\${HOME}/\${EMPTY:-data}\${EMPTY}"
  maxSnapshots: \${MAX}
  snapshotInterval: "\${SECONDS}"
  heartbeatInterval: \${HEARTBEAT:-40ms}
  electionTimeout: ["\${MIN:-200}", "\${LONGEST}"]
`;
  const env = { HOST: 'h', ID: '1', EMPTY: '', MAX: '7', SECONDS: '2.5', LONGEST: '${ID}' };
  t.throws(() => load(t, text, env), { message: /electionTimeout\[1\]: "\$\{ID\}" is not a duration/ });
  const config = load(t, text, { ...env, LONGEST: '1s' });
  t.is(config.rpcAddr, 'h:8081');
  t.is(config.raft.nodeID, '1', 'digits stay text where text belongs');
  t.is(config.raft.dataDir, '${HOME}/data');
  t.is(config.raft.maxSnapshots, 7);
  t.is(config.raft.snapshotIntervalSeconds, 2.5);
  t.is(config.raft.heartbeatIntervalMs, 40);
  t.deepEqual(config.raft.electionTimeoutMs, [200, 1000]);
});

test('heartbeats at half of the shortest election timeout are the limit', (t) => {
  t.is(load(t, 'raft: { nodeID: n1, heartbeatInterval: 75 }').raft.heartbeatIntervalMs, 75);
  t.deepEqual(
    load(t, 'raft: { nodeID: n1, electionTimeout: [100, 100] }').raft.electionTimeoutMs,
    [100, 100],
  );
});
