import test from 'ava';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { loadConfig } from '../../configs/load.js';
import { KNOWN_KEYS } from '../../configs/schema.js';
import { load } from './fixture.js';

const shipped = (name: string) => join(process.cwd(), 'configs', name);

test('default.yaml documents every key, under a comment or beside a neighbour that has one', (t) => {
  const text = readFileSync(shipped('default.yaml'), 'utf8');
  const tree = parse(text) as Record<string, unknown>;
  for (const [section, keys] of KNOWN_KEYS) {
    if (section === 'cluster.peers[]') {
      const example = /# +- \{ (.*) \}/.exec(text)?.[1] ?? '';
      t.deepEqual(
        [...example.matchAll(/(\w+): /g)].map(([, key]) => key),
        [...keys],
      );
    } else if (section === 'auth.clients[]') {
      for (const key of keys) t.regex(text, new RegExp(`# .*\\b${key}: `), key);
    } else {
      const found = section
        .split('.')
        .filter((name) => name !== '')
        .reduce<unknown>((within, name) => (within as Record<string, unknown>)[name], tree);
      t.deepEqual(Object.keys(found as object), [...keys], section);
    }
  }
  const paragraphs = text.split(/\n\s*\n/);
  for (const paragraph of paragraphs) {
    if (/^\s*\w+:/m.test(paragraph)) t.regex(paragraph, /^\s*#/m, paragraph);
  }
});

test('default.yaml equals the defaults', (t) => {
  const documented = loadConfig(shipped('default.yaml'), {});
  const defaults = load(t, 'raft: { nodeID: node1 }');
  t.deepEqual({ ...documented, source: '' }, { ...defaults, source: '' });
});

test('the three shipped nodes: distinct ports, one cluster', (t) => {
  const nodes = [1, 2, 3].map((n) => loadConfig(shipped(`config${n}.yaml`), {}));
  const ports = [
    [8081, 8080, 8082],
    [8091, 8090, 8092],
    [8101, 8100, 8102],
  ];
  nodes.forEach((node, index) => {
    const [rpc, http, raft] = ports[index]!.map((port) => `127.0.0.1:${port}`);
    const id = `node${index + 1}`;
    t.deepEqual([node.rpcAddr, node.httpAddr, node.raft.bindAddr], [rpc!, http!, raft!]);
    t.deepEqual(
      [node.advertisedRpcAddr, node.advertisedHttpAddr, node.raft.advertisedAddr],
      [rpc!, http!, raft!],
    );
    t.deepEqual(node.cluster.peers[index], { id, rpc: rpc!, http: http!, raft: raft! });
    t.is(node.raft.nodeID, id);
    t.is(node.raft.dataDir, `data/${id}`);
    t.deepEqual(node.cluster, { ...nodes[0]!.cluster });
  });
  t.is(nodes[0]!.cluster.name, 'demo');
});
