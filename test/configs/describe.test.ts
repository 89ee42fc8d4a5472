import test from 'ava';
import fc from 'fast-check';
import { parse } from 'yaml';
import { describeConfig, maskSecrets } from '../../configs/describe.js';
import { loadConfig } from '../../configs/load.js';
import { load } from './fixture.js';

test('a description uses the names of the file, and reads back as the same configuration', (t) => {
  const config = load(
    t,
    `raft: { nodeID: n1, dataDir: '/tmp/$\${X}', snapshotInterval: "1.5s", electionTimeout: [200, 1000] }
cluster: { peers: [{ id: n1, raft: "a:1", rpc: "a:2", http: "a:3" }, { id: n2, raft: "b:1", rpc: "b:1", http: "b:1" }] }
http: { cors: ["https://app.example.com"] }
`,
  );
  const text = describeConfig(config);
  const tree = parse(text) as { raft: Record<string, unknown> };
  t.is(config.raft.dataDir, '/tmp/${X}');
  t.is(tree.raft['snapshotInterval'], '1500ms');
  t.deepEqual(tree.raft['electionTimeout'], ['200ms', '1s']);
  const again = load(t, text);
  t.deepEqual({ ...again, source: '' }, { ...config, source: '' });
});

test('property: any timing and size reads back', (t) => {
  const settings = fc.record({
    snapshotInterval: fc.integer({ min: 1, max: 86_400_000 }).map((n) => `${n}ms`),
    snapshotThreshold: fc.integer({ min: 1, max: 2 ** 40 }),
    trailingLog: fc.integer({ min: 0, max: 2 ** 40 }),
    heartbeatInterval: fc.integer({ min: 1, max: 75 }),
  });
  fc.assert(
    fc.property(settings, (raft) => {
      const config = load(t, JSON.stringify({ raft: { nodeID: 'n1', ...raft } }));
      const again = load(t, describeConfig(config));
      t.deepEqual({ ...again, source: '' }, { ...config, source: '' });
    }),
    { numRuns: 30 },
  );
});

test('peers known by their HTTP addresses alone are named in a comment', (t) => {
  const config = loadConfig(undefined, { KV_NODE_ID: 'n1', PEER_URLS: 'http://a:1,b:2' });
  t.true(describeConfig(config).startsWith('# PEER_URLS: http://a:1, http://b:2\n'));
});

test('secrets are masked wherever they stand', (t) => {
  const masked = maskSecrets({
    auth: { tokens: ['a'], adminToken: 'b', password: 'c', user: 'd' },
    tls: [{ key: 'e', 'private-key': 'f', clientSecret: { deep: 'g' }, cert: 'h' }],
    monkey: 'i',
    keyPath: 'j',
  });
  const m = '********';
  t.deepEqual(masked, {
    auth: { tokens: m, adminToken: m, password: m, user: 'd' },
    tls: [{ key: m, 'private-key': m, clientSecret: m, cert: 'h' }],
    monkey: 'i',
    keyPath: 'j',
  });
});
