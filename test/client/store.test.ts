/** What is built on single keys: transactions, prefixes, namespaces, listings, calls about the cluster. */

import test from 'ava';
import { codecs, ConflictError, InvalidArgumentError, KVClient } from 'quorumkv-client';
import { createStore } from '../cli/store-server.js';
import { clientOf, errorOf, QUICK } from './helpers.js';
import { broken, ok, problem, scripted } from './scripted-server.js';

test('a transaction: all or nothing, and a failed check is a result', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address);
  const { revision } = await kv.set('a', '1');
  const done = await kv
    .atomic()
    .check('a', revision)
    .check('b', null)
    .set('b', '2', { ttlMs: 5_000 })
    .delete('a')
    .commit();
  t.deepEqual(done, { ok: true, revision: '2' });
  t.deepEqual([...store.entries.keys()], ['b']);
  t.is(store.entries.get('b')!.ttlMs, 5_000);
  const refused = await kv.atomic().check('a', revision).check('b', null).set('c', '1').commit();
  t.deepEqual(refused, { ok: false, failed: ['a', 'b'] });
  t.false(store.entries.has('c'));
});

test('a transaction is sent again as the same one', async (t) => {
  const store = createStore();
  const node = await scripted(t, broken, store.step);
  const kv = clientOf(t, node.address);
  t.true((await kv.atomic().set('a', '1').commit()).ok);
  t.is(node.seen[0]!.session, node.seen[1]!.session);
});

test('the arguments of a transaction are checked at once', async (t) => {
  const kv = clientOf(t, 'localhost:1');
  t.throws(() => kv.atomic().set('', 'v'), { instanceOf: InvalidArgumentError });
  t.throws(() => kv.atomic().check('k', 'x'), { instanceOf: InvalidArgumentError });
  t.throws(() => kv.atomic().check('k', undefined as never), { instanceOf: InvalidArgumentError });
  t.throws(() => kv.atomic().set('k', 1 as never), { instanceOf: InvalidArgumentError });
  t.throws(() => kv.atomic().set('k', 'v', { ttl: 1 } as never), { instanceOf: InvalidArgumentError });
  t.is((await errorOf(t, kv.atomic().commit())).code, 'invalid-argument');
});

test('deletePrefix', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address);
  for (const key of ['a/1', 'a/2', 'b/1']) await kv.set(key, 'v');
  t.is(await kv.deletePrefix('a/'), 2);
  t.is(await kv.deletePrefix('a/'), 0);
  t.deepEqual([...store.entries.keys()], ['b/1']);
  t.is((await errorOf(t, kv.deletePrefix(''))).code, 'invalid-argument');
});

test('a namespace has the same interface under shorter names', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address, { autoPipeline: true });
  const users = kv.namespace('app/').namespace('users/');
  await kv.set('app/other', 'x');
  for (let i = 0; i < 20; i += 1) await users.set(`u${i}`, String(i));
  t.true(store.entries.has('app/users/u1'));
  t.is(await users.get('u1'), '1');
  t.deepEqual(await users.getMany(['u2', 'other']), ['2', undefined]);
  t.true(await users.has('u3'));
  t.is((await users.getEntry('u4'))?.key, 'u4');
  const listed: string[] = [];
  for await (const { key } of users.list()) listed.push(key);
  t.is(listed.length, 20);
  t.true(listed.every((key) => key.startsWith('u')));
  const last: string[] = [];
  for await (const { key } of users.list({ start: 'u5', end: 'u9', reverse: true, limit: 3 })) last.push(key);
  t.deepEqual(last, ['u8', 'u7', 'u6']);
  t.deepEqual(await users.atomic().check('u1', null).set('x', '1').commit(), { ok: false, failed: ['u1'] });
  t.true((await users.atomic().check('none', null).set('x', '1').delete('u1').commit()).ok);
  t.true(store.entries.has('app/users/x'));
  t.true(await users.delete('u2'));
  t.is(await users.deletePrefix('u1'), 10);
  t.is(await users.deletePrefix(''), 9);
  t.deepEqual([...store.entries.keys()], ['app/other']);
});

test('a namespace that is closed leaves its client open; a closed client closes its namespaces', async (t) => {
  const node = await scripted(t, createStore().step);
  const kv = clientOf(t, node.address);
  const outer = kv.namespace('a/');
  const inner = outer.namespace('b/');
  const other = kv.namespace('c/');
  await outer.close();
  t.is((await errorOf(t, outer.get('k'))).code, 'closed');
  t.is((await errorOf(t, inner.get('k'))).code, 'closed');
  t.is(await other.get('k'), undefined);
  await kv.close();
  t.is((await errorOf(t, other.get('k'))).code, 'closed');
});

test('keys and prefixes of a namespace', async (t) => {
  const kv = clientOf(t, 'localhost:1');
  t.throws(() => kv.namespace(''), { instanceOf: InvalidArgumentError });
  t.throws(() => kv.namespace('x'.repeat(5_000)), { instanceOf: InvalidArgumentError });
  const error = await errorOf(t, kv.namespace('x'.repeat(4_000)).get('y'.repeat(100)));
  t.regex(error.message, /4096 bytes in UTF-8, the namespace/);
  t.is((await errorOf(t, kv.namespace('x').get(''))).code, 'invalid-argument');
});

test('ttlMs travels with a set, and comes back with the entry', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address, { autoPipeline: true });
  await Promise.all([kv.set('a', '1', { ttlMs: 9_000 }), kv.set('b', '1')]);
  t.is((await kv.getEntry('a'))?.ttlMs, 9_000);
  t.false('ttlMs' in (await kv.getEntry('b'))!);
});

test('codecs of one’s own', async (t) => {
  const node = await scripted(t, createStore().step);
  const codec = {
    encode: (date: Date) => date.toISOString(),
    decode: (bytes: Uint8Array) => new Date(Buffer.from(bytes).toString()),
  };
  const dates = new KVClient({ endpoints: node.address, codec });
  t.teardown(() => dates.close());
  await dates.namespace('d/').set('k', new Date(0));
  t.is((await dates.get('d/k'))?.getTime(), 0);
  const json = new KVClient({ endpoints: node.address, codec: codecs.json<number[]>() });
  t.teardown(() => json.close());
  await json.set('j', [1, 2]);
  t.deepEqual(await json.get('j'), [1, 2]);
});

test('calls about the members', async (t) => {
  const node = await scripted(t, createStore().step);
  const kv = clientOf(t, node.address);
  t.is((await kv.cluster.members()).length, 2);
  const member = { id: 'n4', raft: 'h:1', rpc: 'h:2', http: 'h:3' };
  t.deepEqual(await kv.cluster.addMember(member), { done: true });
  t.deepEqual(await kv.cluster.removeMember('n/2'), { done: true });
  await kv.cluster.promote('n4');
  await kv.cluster.transferLeadership();
  await kv.cluster.transferLeadership('n2');
  t.like(await kv.cluster.snapshot(), { done: true, snapshot: { id: 'snap' } });
  t.deepEqual(
    node.seen.slice(1).map(({ method, path, body }) => [method, path, body]),
    [
      ['POST', '/cluster/members', member],
      ['DELETE', '/cluster/members/n%2F2', undefined],
      ['POST', '/cluster/members/n4/promote', undefined],
      ['POST', '/cluster/transfer', {}],
      ['POST', '/cluster/transfer', { to: 'n2' }],
      ['POST', '/snapshot', undefined],
    ],
  );
  t.is(node.openings.length, 0);
  t.is((await errorOf(t, kv.cluster.addMember({ ...member, raft: '' }))).code, 'invalid-argument');
  t.is((await errorOf(t, kv.cluster.promote(''))).code, 'invalid-argument');
});

test('a change of members that goes on, is refused, or is in doubt', async (t) => {
  const node = await scripted(t, (response) => {
    response.writeHead(202, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ waitingFor: 'n4 to catch up' }));
  });
  const kv = clientOf(t, node.address, { retry: { ...QUICK, attemptsMax: 3 } });
  t.deepEqual(await kv.cluster.promote('n4'), { done: false, waitingFor: 'n4 to catch up' });
  node.script(problem('membership-conflict'));
  t.true((await errorOf(t, kv.cluster.promote('n4'))) instanceof ConflictError);
  node.script(broken, ok({}));
  const before = node.seen.length;
  t.is((await errorOf(t, kv.cluster.promote('n4'))).outcome, 'unknown');
  t.is(node.seen.length, before + 1);
  node.script(problem('no-leader'), ok({}));
  t.deepEqual(await kv.cluster.promote('n4'), { done: true });
});
