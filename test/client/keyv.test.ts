/** The store for Keyv, behind Keyv itself. (Its own suite, @keyv/test-suite, needs vitest and sqlite3.) */

import test, { type ExecutionContext } from 'ava';
import Keyv, { type KeyvStoreAdapter } from 'keyv';
import { InvalidArgumentError } from 'quorumkv-client';
import { KeyvQuorum } from 'quorumkv-client/keyv';
import { createStore } from '../cli/store-server.js';
import { problem, scripted } from './scripted-server.js';

async function setUp(t: ExecutionContext, ...namespaces: (string | undefined)[]) {
  const store = createStore();
  const node = await scripted(t, store.step);
  const keyvs = namespaces.map((namespace) => {
    const adapter = new KeyvQuorum(node.address);
    t.teardown(() => adapter.disconnect());
    return new Keyv<unknown>({ store: adapter, ...(namespace === undefined ? {} : { namespace }) });
  });
  return { store, node, keyvs };
}

test('it is a store to Keyv', (t) => {
  const adapter: KeyvStoreAdapter = new KeyvQuorum('localhost:1');
  t.is(typeof adapter.get, 'function');
});

test('get, set, has, delete', async (t) => {
  const { keyvs } = await setUp(t, 'a');
  const [keyv] = keyvs;
  t.is(await keyv!.get('k'), undefined);
  t.true(await keyv!.set('k', { n: [1, null, 'x'] }));
  t.deepEqual(await keyv!.get('k'), { n: [1, null, 'x'] });
  t.true(await keyv!.has('k'));
  t.false(await keyv!.has('missing'));
  t.true(await keyv!.delete('k'));
  t.false(await keyv!.delete('k'));
  t.is(await keyv!.get('k'), undefined);
});

test('several at once', async (t) => {
  const { node, keyvs } = await setUp(t, 'a');
  const [keyv] = keyvs;
  await keyv!.setMany([
    { key: 'a', value: 1 },
    { key: 'b', value: 2, ttl: 60_000 },
  ]);
  const before = node.seen.length;
  t.deepEqual(await keyv!.get(['a', 'missing', 'b']), [1, undefined, 2]);
  t.is(node.seen.length, before + 1);
  t.deepEqual(await keyv!.hasMany(['a', 'missing']), [true, false]);
  t.true(await keyv!.deleteMany(['a', 'b']));
  t.false(await keyv!.deleteMany(['a', 'b']));
});

test('a time to live is that of the entry in the store', async (t) => {
  const { store, keyvs } = await setUp(t, 'a');
  await keyvs[0]!.set('k', 'v', 1_500.2);
  t.is(store.entries.get('keyv/a:k')!.ttlMs, 1_501);
  await keyvs[0]!.set('l', 'v');
  t.is(store.entries.get('keyv/a:l')!.ttlMs, undefined);
  store.expire('keyv/a:k');
  t.is(await keyvs[0]!.get('k'), undefined);
});

test('namespaces are apart, and clear takes one of them', async (t) => {
  const { store, keyvs } = await setUp(t, 'a', 'b');
  const [a, b] = keyvs;
  await a!.set('k', 'of a');
  await b!.set('k', 'of b');
  t.is(await b!.get('k'), 'of b');
  await a!.clear();
  t.is(await a!.get('k'), undefined);
  t.is(await b!.get('k'), 'of b');
  t.deepEqual([...store.entries.keys()], ['keyv/b:k']);
});

test('clear touches nothing but what Keyv has stored, and manages more keys than one write takes', async (t) => {
  const { store, node } = await setUp(t);
  const adapter = new KeyvQuorum({ endpoints: node.address, prefix: 'cache/' });
  t.teardown(() => adapter.disconnect());
  store.entries.set('other', { value: Buffer.from('x'), revision: 1 });
  await adapter.setMany(Array.from({ length: 300 }, (_, i) => ({ key: `k${i}`, value: 'v' })));
  node.script((response, seen, socket) => {
    const isPrefix = seen.method === 'DELETE' && seen.path === '/kv';
    (isPrefix ? problem('too-large') : store.step)(response, seen, socket);
  });
  await adapter.clear();
  t.deepEqual([...store.entries.keys()], ['other']);
});

test('the iterator', async (t) => {
  const { keyvs } = await setUp(t, 'a', 'b');
  for (let i = 0; i < 20; i += 1) await keyvs[0]!.set(`k${i}`, i);
  await keyvs[1]!.set('other', 'x');
  const found = new Map<string, number>();
  for await (const [key, value] of keyvs[0]!.iterator!(undefined)) found.set(String(key), Number(value));
  t.is(found.size, 20);
  t.is(found.get('k7'), 7);
});

test('an error is an event of Keyv’s; wrong options throw', async (t) => {
  const node = await scripted(t, problem('forbidden'));
  const adapter = new KeyvQuorum(node.address);
  t.teardown(() => adapter.disconnect());
  const keyv = new Keyv({ store: adapter });
  const error = new Promise<Error>((resolve) => keyv.on('error', resolve));
  t.is(await keyv.get('k'), undefined);
  t.is((await error).name, 'ForbiddenError');
  t.throws(() => new KeyvQuorum({ endpoints: node.address, prefix: '' }), {
    instanceOf: InvalidArgumentError,
  });
  t.throws(() => new KeyvQuorum({ endpoints: node.address, ttl: 1 } as never), { code: 'invalid-argument' });
});
