import test from 'ava';
import { hostname } from 'node:os';
import type { Config } from '../../configs/config.js';
import { configFromFlags, loadConfig } from '../../configs/load.js';
import { load, problemsOf } from './fixture.js';

const FILE = `
rpcAddr: "127.0.0.1:1"
httpAddr: "127.0.0.1:2"
raft: { nodeID: file, bindAddr: "127.0.0.1:3", dataDir: fromfile, electionTimeout: [150, 300] }
`;

const listening = (config: Config) => [config.rpcAddr, config.httpAddr, config.raft.bindAddr];

test('KV_ variables override the file', (t) => {
  const config = load(t, FILE, {
    KV_NODE_ID: 'n1',
    KV_RPC_ADDR: '127.0.0.1:11',
    KV_HTTP_ADDR: '127.0.0.1:12',
    KV_RAFT_ADDR: '127.0.0.1:13',
    KV_DATA_DIR: '/var/kv',
    KV_PEERS: 'n1=127.0.0.1:9101, n2=host:9102|host:9103|host:9104',
  });
  t.is(config.raft.nodeID, 'n1');
  t.is(config.raft.dataDir, '/var/kv');
  t.deepEqual(listening(config), ['127.0.0.1:11', '127.0.0.1:12', '127.0.0.1:13']);
  t.deepEqual(config.cluster.peers, [
    { id: 'n1', raft: '127.0.0.1:9101', rpc: '127.0.0.1:9101', http: '127.0.0.1:9101' },
    { id: 'n2', raft: 'host:9102', rpc: 'host:9103', http: 'host:9104' },
  ]);
});

test('the older names are aliases, and lose against the newer ones', (t) => {
  const older = {
    NODE_ID: 'old',
    HTTP_PORT: '8080',
    WAL_DIR: '/old',
    CLUSTER_NODES: 'old=127.0.0.1:5,two=127.0.0.1:6',
    ELECTION_TIMEOUT_MIN: '400',
    ELECTION_TIMEOUT_MAX: '800',
    HEARTBEAT_INTERVAL: '100',
  };
  const config = load(t, FILE, older);
  t.is(config.raft.nodeID, 'old');
  t.is(config.httpAddr, '127.0.0.1:8080', 'the host of the file stays');
  t.is(config.raft.dataDir, '/old');
  t.deepEqual(
    config.cluster.peers.map(({ id }) => id),
    ['old', 'two'],
  );
  t.deepEqual(config.raft.electionTimeoutMs, [400, 800]);
  t.is(config.raft.heartbeatIntervalMs, 100);
  const both = load(t, FILE, {
    ...older,
    KV_NODE_ID: 'new',
    KV_HTTP_ADDR: ':9',
    KV_DATA_DIR: '/new',
    KV_PEERS: 'new=h:1',
  });
  t.deepEqual(
    [both.raft.nodeID, both.httpAddr, both.raft.dataDir, both.cluster.peers[0]!.id],
    ['new', ':9', '/new', 'new'],
  );
});

test('the environment stands in for a missing file', (t) => {
  const config = loadConfig(undefined, { NODE_ID: 'n1', HTTP_PORT: '8080' });
  t.is(config.source, 'environment');
  t.is(config.httpAddr, ':8080');
  t.is(config.advertisedHttpAddr, `${hostname()}:8080`);
  t.is(config.raft.dataDir, 'data/n1');
});

test('NODE_ADDR is all three addresses, unless one is given', (t) => {
  const all = loadConfig(undefined, { NODE_ID: 'n1', NODE_ADDR: 'h:5' });
  t.deepEqual(listening(all), ['h:5', 'h:5', 'h:5']);
  const given = loadConfig(undefined, {
    NODE_ID: 'n1',
    NODE_ADDR: 'h:5',
    HTTP_PORT: '6',
    KV_RAFT_ADDR: 'h:7',
  });
  t.deepEqual(listening(given), ['h:5', 'h:6', 'h:7']);
});

test('one election timeout leaves the other as it is', (t) => {
  const own = load(t, FILE, { ELECTION_TIMEOUT_MAX: '999' });
  t.deepEqual(own.raft.electionTimeoutMs, [150, 999]);
  const defaults = loadConfig(undefined, { NODE_ID: 'n1', ELECTION_TIMEOUT_MIN: '200ms' });
  t.deepEqual(defaults.raft.electionTimeoutMs, [200, 300]);
});

test('PEER_URLS replaces the peers of the file by addresses whose ids are to be asked', (t) => {
  const file = `${FILE}cluster: { peers: [{ id: file, raft: "h:1", rpc: "h:1", http: "h:1" }] }\n`;
  const env = { PEER_URLS: 'http://a:8080/, b:8090,http://a:8080,http://[::1]:1,http://c' };
  const config = load(t, file, env);
  t.deepEqual(config.cluster.peers, []);
  t.deepEqual(config.cluster.peerUrls, ['http://a:8080', 'http://b:8090', 'http://[::1]:1', 'http://c:80']);
  t.deepEqual(load(t, file, { ...env, KV_PEERS: 'file=h:2' }).cluster.peerUrls, []);
});

test('an empty variable counts as unset', (t) => {
  const config = load(t, FILE, { KV_NODE_ID: '', KV_PEERS: ' ', HTTP_PORT: '', ELECTION_TIMEOUT_MIN: '' });
  t.is(config.raft.nodeID, 'file');
  t.is(config.httpAddr, '127.0.0.1:2');
});

test('peers from the environment win over the addresses the file advertises', (t) => {
  const file = 'raft: { nodeID: n1, advertisedAddr: "old:1" }';
  t.is(load(t, file, { KV_PEERS: 'n1=new:2' }).raft.advertisedAddr, 'new:2');
});

test('a bad variable is named', (t) => {
  t.deepEqual(
    problemsOf(t, undefined, {
      KV_NODE_ID: 'a b',
      HTTP_PORT: 'http',
      KV_PEERS: 'n1',
      ELECTION_TIMEOUT_MIN: '400',
      HEARTBEAT_INTERVAL: 'soon',
    }),
    [
      'environment HTTP_PORT: httpAddr: "http" is not a port number; give one from 0 to 65535',
      'environment KV_PEERS: cluster.peers: "n1" is not a peer; write id=host:port, or id=raft|rpc|http with three addresses',
      'environment KV_NODE_ID: raft.nodeID: "a b" is not a name; use 1 to 64 letters, digits, ".", "_" and "-", a letter or digit first',
      'environment HEARTBEAT_INTERVAL: raft.heartbeatInterval: "soon" is not a duration; write a number of milliseconds, or a string with a unit such as "150ms"',
      'environment ELECTION_TIMEOUT_MIN: raft.electionTimeout: the shortest, 400ms, is above the longest, 300ms; exchange or correct them',
    ],
  );
  t.deepEqual(problemsOf(t, undefined, { NODE_ID: 'n1', PEER_URLS: 'https://a' }), [
    'environment PEER_URLS: cluster.peers: "https://a" is not the HTTP address of a peer; write http://host:port',
  ]);
  t.deepEqual(problemsOf(t, undefined, { NODE_ID: 'n1', KV_PEERS: 'n1=h:1,n2=a|b' }), [
    'environment KV_PEERS: cluster.peers: "n2=a|b" has neither one address nor three; write id=host:port, or id=raft|rpc|http with three addresses',
  ]);
  t.deepEqual(problemsOf(t, undefined, {}), [
    'environment: raft.nodeID: is missing; set KV_NODE_ID, pass --id, or name a file with --config',
  ]);
});

test('flags: one node without a file, everything on one port', (t) => {
  const config = configFromFlags({
    id: 'n1',
    listen: ':9101',
    peers: 'n1=127.0.0.1:9101,n2=127.0.0.1:9102',
    dataDir: 'D',
  });
  t.is(config.source, 'command line');
  t.deepEqual(listening(config), [':9101', ':9101', ':9101']);
  t.is(config.raft.advertisedAddr, '127.0.0.1:9101');
  t.is(config.raft.dataDir, 'D');
  t.is(config.cluster.peers.length, 2);
  t.deepEqual(configFromFlags({ id: 'n1', listen: '127.0.0.1:0' }).cluster.peers, []);
});

test('flags override the environment, which overrides the file', (t) => {
  const env = { KV_NODE_ID: 'env', KV_DATA_DIR: '/env', PEER_URLS: 'a:1' };
  const config = load(t, FILE, env, { id: 'flag', peers: 'flag=h:1' });
  t.is(config.raft.nodeID, 'flag');
  t.is(config.raft.dataDir, '/env');
  t.deepEqual(config.cluster.peerUrls, []);
});

test('a bad flag is named once', (t) => {
  t.deepEqual(problemsOf(t, undefined, {}, { id: 'n1', listen: 'nowhere', peers: 'n2=h:1' }), [
    'command line --listen: rpcAddr: "nowhere" is not an address; the port is missing: write "nowhere:8080"',
    'command line --id: raft.nodeID: n1 is not among cluster.peers (n2); add its entry there, or correct the id',
  ]);
});
