import test from 'ava';
import fc from 'fast-check';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../configs/load.js';
import { ConfigError } from '../../configs/problem.js';
import { fileWith, problemsOf, refused } from './fixture.js';

const ID = 'raft: { nodeID: n1 }\n';

test('every problem of a file is told, in the order of the file', (t) => {
  const text = `rpcAddr: 8080
raft:
  nodeID: n1
  nodeID: n2
  electionTimout: [1, 2]
  maxSnapshots: "5"
  heartbeatInterval: 5 parsecs
  logLevel: INFO
  dataDir:
http: 5
cluster:
  join: "h:1"
`;
  t.deepEqual(refused(t, text), [
    'F:1:1: rpcAddr: 8080 is not an address; write ":8080" for port 8080 on every interface, or "host:8080"',
    'F:4:3: raft.nodeID: stands here a second time; keep one of the two',
    'F:5:3: raft.electionTimout: is not a known key; did you mean raft.electionTimeout?',
    'F:6:3: raft.maxSnapshots: "5" is not a whole number from 1 to 1000; give one',
    'F:7:3: raft.heartbeatInterval: "5 parsecs" is not a duration; write a number of milliseconds, or a string with a unit such as "150ms"',
    'F:8:3: raft.logLevel: "INFO" is not known; give one of trace, debug, info, warn, error, silent; the nearest is info',
    'F:9:3: raft.dataDir: has no value; give it one, or remove the key',
    'F:10:1: http: 5 is not a mapping; write its keys, indented, one to a line',
    'F:12:3: cluster.join: takes a list of rpc addresses; write ["host:port"]',
  ]);
});

test('a misspelt or misplaced key is told the nearest known one', (t) => {
  const suggestion = (text: string) => refused(t, ID + text)[0];
  const cases = [
    ['httpAdr: ":1"', 'httpAdr', 'httpAddr'],
    ['nodeId: x', 'nodeId', 'raft.nodeID'],
    ['peers: []', 'peers', 'cluster.peers'],
    ['http: { requestTimout: 1 }', 'http.requestTimout', 'http.requestTimeout'],
    ['limits: { rpcAddr: 1 }', 'limits.rpcAddr', 'rpcAddr'],
    ['cluster: { peer: [] }', 'cluster.peer', 'cluster.peers'],
    ['cluster: { peerUrls: [] }', 'cluster.peerUrls', 'cluster.peers'],
  ] as const;
  for (const [text, key, nearest] of cases) {
    const column = text.indexOf(key.split('.').at(-1) ?? '') + 1;
    t.is(suggestion(text), `F:2:${column}: ${key}: is not a known key; did you mean ${nearest}?`);
  }
  t.regex(suggestion('__proto__: { a: 1 }') ?? '', /^F:2:1: __proto__: is not a known key/);
  const peer = 'cluster: { peers: [{ id: n1, raft: "h:1", rpc: "h:1", htp: "h:1", http: "h:1" }] }';
  t.deepEqual(refused(t, ID + peer), [
    `F:2:${peer.indexOf('htp') + 1}: cluster.peers[0].htp: is not a known key; did you mean cluster.peers[0].http?`,
  ]);
});

test('the text itself: syntax, documents, aliases, tags, nesting, structure', (t) => {
  t.deepEqual(refused(t, 'raft:\n  nodeID: [1\n'), [
    'F:3:1: not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]; correct it here, or put the text in quotes',
  ]);
  t.deepEqual(refused(t, 'a: b: c\n'), [
    'F:1:4: not valid YAML: Nested mappings are not allowed in compact mappings; correct it here, or put the text in quotes',
  ]);
  t.deepEqual(refused(t, 'a: 1\n---\nb: 2\n'), ['F:2:1: a second document begins here; keep one to a file']);
  t.deepEqual(refused(t, 'a: *b\n'), [
    "F:1:1: can't be read: Unresolved alias (the anchor must be set before the alias): b; write it without aliases",
  ]);
  t.deepEqual(refused(t, 'raft: { nodeID: !js x }\n'), [
    'F:1:17: not valid YAML: Unresolved tag: !js; correct it here, or put the text in quotes',
  ]);
  const structure = 'is not a mapping; write its keys, indented, one to a line';
  t.deepEqual(refused(t, '- 1\n'), [`F:1:1: a list ${structure}`]);
  t.deepEqual(refused(t, 'text'), [`F:1:1: "text" ${structure}`]);
  t.deepEqual(refused(t, ''), [
    'F:1:1: raft.nodeID: is missing; give this node one that no other node of its cluster has, such as nodeID: node1',
  ]);
  for (const text of ['['.repeat(20_000), '- '.repeat(20_000), `a: ${'{a: '.repeat(20_000)}`]) {
    const problems = refused(t, text);
    t.is(problems.length, 1);
    t.regex(problems[0] ?? '', /^F:1:\d+: is nested too deeply; a configuration has four levels$/);
  }
});

test('a file that cannot be read', (t) => {
  const remedy = 'give --config the path of a YAML or JSON file';
  t.deepEqual(problemsOf(t, join(tmpdir(), 'no-such-quorumkv.yaml'), {}), [
    `F: can't be read: there is no such file; ${remedy}`,
  ]);
  t.deepEqual(problemsOf(t, tmpdir(), {}), [`F: can't be read: it is a directory; ${remedy}`]);
  t.deepEqual(problemsOf(t, fileWith(t, Buffer.from([0x72, 0xff, 0xfe])), {}), [
    `F: can't be read: it is not UTF-8 text; ${remedy}`,
  ]);
});

test('references', (t) => {
  t.deepEqual(refused(t, 'raft:\n  nodeID: ${NOT_SET}\n  dataDir: "a${1x}"\nrpcAddr: "${OPEN"\n'), [
    'F:2:3: raft.nodeID: the environment variable NOT_SET is not set; set it, or give a default: ${NOT_SET:-default}',
    'F:3:3: raft.dataDir: "${1x}" is not a reference; write ${NAME} or ${NAME:-default}, or $${ for a plain ${',
    'F:4:1: rpcAddr: "${OPEN" is not a reference; write ${NAME} or ${NAME:-default}, or $${ for a plain ${',
  ]);
});

test('timing relations', (t) => {
  t.deepEqual(refused(t, 'raft: { nodeID: n1, heartbeatInterval: 76 }'), [
    'F:1:21: raft.heartbeatInterval: the heartbeat interval, 76ms, is above half of the shortest election timeout, 150ms; ' +
      'set heartbeatInterval to 75ms or less, or electionTimeout to 152ms or more',
  ]);
  t.deepEqual(refused(t, 'raft: { nodeID: n1, electionTimeout: [99, "1s"] }'), [
    'F:1:21: raft.electionTimeout: the heartbeat interval, 50ms, is above half of the shortest election timeout, 99ms; ' +
      'set heartbeatInterval to 49ms or less, or electionTimeout to 100ms or more',
  ]);
  t.deepEqual(refused(t, 'raft: { nodeID: n1, electionTimeout: [300, 150] }'), [
    'F:1:21: raft.electionTimeout: the shortest, 300ms, is above the longest, 150ms; exchange or correct them',
  ]);
  t.deepEqual(refused(t, 'raft: { nodeID: n1, electionTimeout: 150 }'), [
    'F:1:21: raft.electionTimeout: takes two durations, the shortest and the longest; write ["150ms", "300ms"]',
  ]);
});

test('a relation is judged beside an unrelated problem, and not on a setting that is itself unsound', (t) => {
  const both = refused(t, 'raft: { nodeID: n1, heartbeatInterval: 76, foo: 1 }');
  t.is(both.length, 2);
  t.regex(both[0] ?? '', /heartbeatInterval: the heartbeat interval, 76ms/);
  t.is(refused(t, 'raft: { nodeID: n1, heartbeatInterval: 76, electionTimeout: [x, 300] }').length, 1);
  t.is(
    refused(
      t,
      'raft: { nodeID: "a b" }\ncluster: { peers: [{ id: n1, raft: "h:1", rpc: "h:1", http: "h:1" }] }',
    ).length,
    1,
  );
});

const PEERS = `cluster:
  peers:
    - { id: n1, raft: "a:1", rpc: "a:2", http: "a:3" }
`;

test('relations among peers', (t) => {
  t.deepEqual(refused(t, `raft: { nodeID: n9 }\n${PEERS}`), [
    'F:1:9: raft.nodeID: n9 is not among cluster.peers (n1); add its entry there, or correct the id',
  ]);
  t.deepEqual(refused(t, `${ID}${PEERS}    - { id: n1, raft: "b:1", rpc: "b:2", http: "b:3" }\n`), [
    'F:5:9: cluster.peers[1].id: n1 stands in the list twice; give each node an id of its own',
  ]);
  t.deepEqual(refused(t, `${ID}${PEERS}    - { id: n2, raft: "b:1", rpc: "a:1", http: "b:3" }\n`), [
    'F:5:30: cluster.peers[1].rpc: a:1 is an address of n1 already; give n2 its own',
  ]);
  t.deepEqual(refused(t, `${ID}${PEERS}  join: ["h:1"]\n`), [
    'F:5:3: cluster.join: excludes cluster.peers; keep peers to form a new cluster, or join to enter a running one',
  ]);
  t.deepEqual(refused(t, `${ID}${PEERS}    - { id: n2, raft: ":1", rpc: "b:0" }\n`), [
    'F:5:7: cluster.peers[1].http: is missing; add it',
    'F:5:17: cluster.peers[1].raft: ":1" names no machine; give the host that other nodes reach it by',
    'F:5:29: cluster.peers[1].rpc: "b:0" has port 0, which nobody can call; give the real port',
  ]);
});

test('credentials', (t) => {
  const digest = 'a'.repeat(64);
  const secret = 'peerSecret: 0123456789abcdef';
  t.deepEqual(refused(t, `${ID}auth: { clients: [{ name: a, sha256: ${digest}, rights: read }] }\n`), [
    'F:2:1: auth.peerSecret: is needed beside auth.clients, since whoever reaches rpcAddr may write without it; give every node the same: openssl rand -hex 32',
  ]);
  t.deepEqual(refused(t, `${ID}auth: { ${secret}, clients: [{ name: a, rights: read }] }\n`), [
    'F:2:49: auth.clients[0]: a takes one of token and sha256; give the sha256 of its token',
  ]);
  const two = (name: string, other: string) =>
    `${ID}auth:\n  ${secret}\n  clients:\n    - { name: a, sha256: ${digest}, rights: read }\n    - { name: ${name}, sha256: ${other}, rights: write }\n`;
  t.deepEqual(refused(t, two('a', 'b'.repeat(64))), [
    'F:6:9: auth.clients[1].name: a stands in the list twice; give each client a name of its own',
  ]);
  t.deepEqual(refused(t, two('b', digest)), [
    'F:6:7: auth.clients[1]: b has the token of another client; give each client its own',
  ]);
  const [short = ''] = refused(t, `${ID}auth: { peerSecret: hunter2 }\n`);
  t.regex(short, /^F:2:9: auth.peerSecret: is not a secret of 16 to 1024 letters/);
  t.notRegex(short, /hunter2/);
  t.deepEqual(refused(t, `${ID}tls: { keyFile: k.pem }\n`), [
    'F:2:8: tls.keyFile: needs tls.certFile beside it; give both, or none',
  ]);
  t.deepEqual(refused(t, `${ID}tls: { caFile: k.pem }\n`), [
    'F:2:8: tls.caFile: needs tls.certFile and tls.keyFile beside it, of this node',
  ]);
});

test('advertised addresses', (t) => {
  t.deepEqual(refused(t, `${ID}advertisedRpcAddr: "z:9"\n${PEERS}`), [
    "F:2:1: advertisedRpcAddr: z:9 is not what this node's entry in cluster.peers says, a:2; remove this key, or make them the same",
  ]);
  t.deepEqual(refused(t, `${ID}advertisedHttpAddr: "z:0"\n`), [
    'F:2:1: advertisedHttpAddr: z:0 has port 0, which nobody can call; give the port that leads to httpAddr',
  ]);
  t.deepEqual(refused(t, `${ID}advertisedHttpAddr: "0.0.0.0:80"\n`), [
    'F:2:1: advertisedHttpAddr: "0.0.0.0:80" names no machine; give the host that other nodes reach it by',
  ]);
});

test('two addresses that would fight for a port', (t) => {
  t.deepEqual(refused(t, `${ID}httpAddr: ":8081"\n`), [
    'F:2:1: httpAddr: :8081 takes the port of rpcAddr, 127.0.0.1:8081; write them the same to share it, or give another port',
  ]);
});

test('other values', (t) => {
  const one = (text: string) => refused(t, ID + text)[0];
  t.is(
    one('storage: { engine: leveldb }'),
    'F:2:12: storage.engine: "leveldb" is not known; give one of rocksdb, classic-level; the nearest is rocksdb',
  );
  t.is(
    one('http: { cors: ["https://a.example/x"] }'),
    'F:2:16: http.cors[0]: "https://a.example/x" is more than an origin; write "https://a.example"',
  );
  t.is(
    one('http: { cors: ["*"] }'),
    'F:2:16: http.cors[0]: "*" is not an origin; write scheme://host[:port], such as "https://app.example.com"',
  );
  t.is(
    one('limits: { valueBytes: 1GiB }'),
    'F:2:11: limits.valueBytes: "1GiB" is out of range; give 1B to 64MiB',
  );
  t.is(one('http: { requestTimeout: 0 }'), 'F:2:9: http.requestTimeout: 0 is out of range; give 1ms to 24h');
  t.is(
    refused(t, 'raft: { nodeID: 1 }')[0],
    'F:1:9: raft.nodeID: 1 is a number, not a name; put it in quotes',
  );
  t.is(one('cluster: { name: "" }')?.startsWith('F:2:12: cluster.name: "" is not a name; use 1 to 64'), true);
});

test('property: no text makes loading throw anything but one-line problems', (t) => {
  const settings = fc.dictionary(
    fc.constantFrom(
      'raft',
      'cluster',
      'http',
      'rpcAddr',
      'limits',
      'nodeID',
      'peers',
      '__proto__',
      'toString',
    ),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    settings.map((value) => JSON.stringify(value)),
    settings.map((raft) => JSON.stringify({ raft, cluster: raft })),
  );
  fc.assert(
    fc.property(text, (content) => {
      const error = t.throws(() => loadConfig(fileWith(t, content), {}), { any: true });
      t.true(error instanceof ConfigError, content);
      if (error instanceof ConfigError)
        t.true(error.problems.length > 0 && error.problems.every((line) => !/[\r\n]/.test(line)));
    }),
    { numRuns: 150 },
  );
});
