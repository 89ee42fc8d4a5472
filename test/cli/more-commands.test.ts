/** Listings, watches, transactions, prefixes, members, completion. */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { scripted } from '../client/scripted-server.js';
import { directory, kv, startKv } from './kv.js';
import { createStore } from './store-server.js';

test.serial('list: in every format, with its options', async (t) => {
  const store = createStore();
  const { address } = await scripted(t, store.step);
  await kv(
    t,
    address,
    ['import', '-'],
    Array.from({ length: 12 }, (_, i) => `{"key":"a/${i % 10}${i}","value":"v${i}"}\n`).join(''),
  );
  await kv(t, address, ['set', 'b', 'x\ny']);
  const plain = (await kv(t, address, ['list', 'a/', '--reverse', '--limit', '2'])).stdout.toString();
  t.regex(plain, /^a\/99\tv9\t\d+\na\/88\tv8\t\d+\n$/);
  const keys = (await kv(t, address, ['list', '--keys-only', '--start', 'a/8'])).stdout.toString();
  t.is(keys, 'a/88\na/99\nb\n');
  const json = (await kv(t, address, ['list', 'b', '-o', 'json'])).stdout.toString();
  t.like(JSON.parse(json), { key: 'b', value: 'x\ny' });
  const table = (await kv(t, address, ['list', 'b', '-o', 'table'])).stdout.toString();
  t.regex(table, /│ b .*x\\u\{a\}y/);
  t.is((await kv(t, address, ['list', 'none'])).stdout.length, 0);
});

test.serial('set --ttl, delete --prefix', async (t) => {
  const store = createStore();
  const { address } = await scripted(t, store.step);
  await kv(t, address, ['set', 'a/1', 'v', '--ttl', '90s']);
  t.is(store.entries.get('a/1')!.ttlMs, 90_000);
  await kv(t, address, ['set', 'a/2', 'v']);
  t.is((await kv(t, address, ['delete', '--prefix', 'a/'])).stdout.toString(), '2\n');
  t.is(store.entries.size, 0);
});

test.serial('watch: lines, JSON, and an end', async (t) => {
  const store = createStore();
  const { address } = await scripted(t, store.step);
  await kv(t, address, ['set', 'a', '1']);
  await kv(t, address, ['set', 'ab', '2']);
  await kv(t, address, ['delete', 'a']);
  const args = ['watch', 'a', '--from-revision', '1', '--limit'];
  const lines = (await kv(t, address, [...args, '2'])).stdout.toString();
  t.is(lines, 'put\ta\t1\t1\ndelete\ta\t3\t\n');
  const json = (await kv(t, address, [...args, '3', '--prefix', '-o', 'json'])).stdout.toString();
  t.deepEqual(
    json
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { revision: string }).revision),
    ['1', '2', '3'],
  );
});

test.serial('watch: Ctrl-C ends it', async (t) => {
  const node = await scripted(t, createStore().step);
  const { child, done } = startKv(t, node.address, 'watch', 'a');
  await node.arrived(2);
  child.kill('SIGINT');
  const { code, stderr } = await done;
  t.is(code, 130);
  t.is(stderr, '');
});

test.serial('txn', async (t) => {
  const store = createStore();
  const { address } = await scripted(t, store.step);
  const json = JSON.stringify({
    checks: [{ key: 'a', revision: null }],
    ops: [
      { op: 'set', key: 'a', value: '1' },
      { op: 'set', key: 'b', valueBase64: '/wA=' },
      { op: 'delete', key: 'c' },
    ],
  });
  t.is((await kv(t, address, ['txn', json])).stdout.toString(), '1\n');
  t.deepEqual(store.entries.get('b')!.value, Buffer.from([0xff, 0]));
  const refused = await kv(t, address, ['txn', '-', '-o', 'json'], json);
  t.is(refused.code, 1);
  t.deepEqual(JSON.parse(refused.stdout.toString()), { succeeded: false, failed: ['a'] });
  t.regex(refused.stderr, /not as expected: a\n$/);
  for (const bad of ['{', '{"ops":[{"op":"get","key":"a"}]}', '{"checks":[{"key":"a"}]}', '{}']) {
    const { code, stderr } = await kv(t, address, ['txn', bad]);
    t.is(code, 1, bad);
    t.regex(stderr, /^kv: .*transaction.*\n$/);
  }
});

test.serial('members and snapshot', async (t) => {
  const node = await scripted(t, createStore().step);
  const run = async (...args: string[]) => (await kv(t, node.address, args)).stdout.toString();
  t.regex(await run('members', 'list'), /^n1\tleader\t/);
  t.is(
    await run('members', 'add', 'n4', '--raft', 'h:1', '--rpc', 'h:2', '--http', 'h:3', '--learner'),
    'done\n',
  );
  t.is(await run('members', 'promote', 'n4'), 'done\n');
  t.is(await run('members', 'remove', 'n4'), 'done\n');
  t.is(await run('members', 'transfer', 'n2'), 'done\n');
  t.is(await run('snapshot', '-o', 'json'), '{"id":"snap","index":7,"term":2,"bytes":90,"node":"n1"}\n');
  t.deepEqual(node.seen[1]!.body, { id: 'n4', raft: 'h:1', rpc: 'h:2', http: 'h:3', voter: false });
  t.is(node.seen.length, 6);
  t.is((await kv(t, node.address, ['members', 'add', 'n4'])).code, 1);
});

test.serial('completion: the scripts are sound, and complete', async (t) => {
  for (const shell of ['bash', 'zsh']) {
    const { code, stdout } = await kv(t, 'localhost:1', ['completion', shell]);
    t.is(code, 0);
    t.regex(stdout.toString(), /complete -o default -F _kv kv/);
  }
  t.is((await kv(t, 'localhost:1', ['completion', 'fish'])).code, 1);
  const { stdout } = await kv(t, 'localhost:1', ['completion', 'bash']);
  const file = join(await directory(t), 'completion.bash');
  writeFileSync(file, stdout);
  const complete = (...words: string[]) => {
    const quoted = words.map((word) => `'${word}'`).join(' ');
    const script = `source '${file}'; COMP_WORDS=(${quoted}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _kv; echo "\${COMPREPLY[*]}"`;
    return spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stdout.trim();
  };
  t.is(complete('kv', 'ge'), 'get');
  t.is(complete('kv', 'members', 'pro'), 'promote');
  t.is(complete('kv', 'members', 'add', '--lea'), '--learner');
  t.is(complete('kv', 'set', 'k', 'v', '--if-a'), '--if-absent');
  t.is(complete('kv', '--output', 'j'), 'json');
  t.is(complete('kv', 'list', '--keys'), '--keys-only');
});

test.serial('CSV: what was exported is imported, byte for byte', async (t) => {
  const store = createStore();
  const { address } = await scripted(t, store.step);
  const values = ['', ' x ', 'a,b', '"q"', 'line\nfeed', 'carriage\rreturn', '\u2028', '=1+1'];
  for (const [i, value] of values.entries())
    store.entries.set(`k${i}`, { value: Buffer.from(value), revision: 1 });
  store.entries.set('raw', { value: Buffer.from([0xff, 0, 0x22]), revision: 1, ttlMs: 5_000 });
  const file = join(await directory(t), 'all.csv');
  t.is((await kv(t, address, ['export', file])).code, 0);
  const before = new Map(store.entries);
  store.entries.clear();
  const { code, stderr } = await kv(t, address, ['import', file]);
  t.is(code, 0, stderr);
  t.deepEqual([...store.entries.keys()].toSorted(), [...before.keys()].toSorted());
  for (const [key, { value, ttlMs }] of before) {
    t.deepEqual(store.entries.get(key)!.value, value, key);
    t.is(store.entries.get(key)!.ttlMs, ttlMs);
  }
});

test.serial('CSV of others, and what is wrong with it', async (t) => {
  const store = createStore();
  const { address } = await scripted(t, store.step);
  const load = (text: string | Buffer) => kv(t, address, ['import', '-', '--format', 'csv'], text);
  t.is((await load('\ufeffvalue,key\r\n1,a\r\n"x ""y""",b\r\n')).code, 0);
  t.is(store.entries.get('b')!.value.toString(), 'x "y"');
  const cases: [string | Buffer, RegExp][] = [
    ['key,valu\na,1\n', /:1: unknown column "valu"/],
    ['key\na\n', /:1: a column is missing/],
    ['key,value\na,1\n,2\n', /:3: "key" must not be empty/],
    ['key,value\na,1,2\n', /:2: /],
    ['key,value\n"a,1\n', /Quote/],
    ['key,value,ttlMs\na,1,x\n', /:2: "ttlMs" must be/],
    [Buffer.from([0x6b, 0x65, 0x79, 0x2c, 0xff]), /not UTF-8/],
  ];
  for (const [text, message] of cases) {
    const { code, stderr } = await load(text);
    t.is(code, 1);
    t.regex(stderr, message);
  }
});
