/** Watches, on a server that streams events. */

import test from 'ava';
import {
  AbortedError,
  ClosedError,
  codecs,
  CompactedError,
  KVClient,
  type WatchEvent,
} from 'quorumkv-client';
import { createStore } from '../cli/store-server.js';
import { clientOf, errorOf } from './helpers.js';
import { problem, scripted } from './scripted-server.js';

async function take<V>(events: AsyncIterator<WatchEvent<V>>, count: number): Promise<WatchEvent<V>[]> {
  const taken: WatchEvent<V>[] = [];
  while (taken.length < count) {
    const next = await events.next();
    if (next.done === true) throw new Error('the watch has ended');
    taken.push(next.value);
  }
  return taken;
}

test('a watch: what changes from now on', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address);
  await kv.set('k', 'before');
  const events = kv.watch({ key: 'k' });
  const first = events.next();
  await node.arrived(3);
  await kv.set('k', 'v');
  await kv.set('other', 'v');
  await kv.delete('k');
  t.deepEqual((await first).value, { type: 'put', key: 'k', value: 'v', revision: '2', n: 1, of: 1 });
  await kv.set('k', 'w');
  store.expire('k');
  const [deleted, put, expired] = await take(events, 3);
  t.deepEqual(deleted, { type: 'delete', key: 'k', revision: '4', n: 1, of: 1 });
  t.is(put!.type, 'put');
  t.deepEqual(expired, { type: 'delete', key: 'k', revision: '6', n: 1, of: 1, reason: 'expired' });
  await events.return?.();
});

test('a watch that breaks goes on behind its last event, without a gap or a repeat', async (t) => {
  const store = createStore();
  const nodes = await Promise.all([scripted(t, store.step), scripted(t, store.step)]);
  const kv = clientOf(
    t,
    nodes.map(({ address }) => address),
  );
  const events = kv.watch({ prefix: 'k' }, { fromRevision: '1' });
  const revisions: string[] = [];
  for (let i = 1; i <= 30; i += 1) {
    await kv.set(`k${i}`, 'v');
    if (i % 7 === 0) store.breakWatches();
    const [event] = await take(events, 1);
    revisions.push(event!.revision);
    if (i % 5 === 0) store.breakWatches();
  }
  t.deepEqual(
    revisions,
    Array.from({ length: 30 }, (_, i) => String(i + 1)),
  );
  t.true(store.watches.length > 5);
  t.true(store.watches.slice(1).every(({ lastEventId }) => lastEventId !== undefined));
  await events.return?.();
});

test('a watch that breaks before its first event begins where it began', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address);
  await kv.set('k', '1');
  const events = kv.watch({ key: 'k' });
  const first = events.next();
  await node.arrived(3);
  store.breakWatches();
  await kv.set('k', '2');
  const { value } = (await first) as IteratorYieldResult<WatchEvent>;
  t.is(value.revision, '2');
  await events.return?.();
});

test('fromRevision: history first; one that is gone rejects, with the oldest there is', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address);
  for (const value of ['1', '2', '3']) await kv.set('k', value);
  const events = kv.watch({ key: 'k' }, { fromRevision: '2' });
  t.deepEqual(
    (await take(events, 2)).map(({ revision }) => revision),
    ['2', '3'],
  );
  await events.return?.();
  store.compact();
  const error = await errorOf(t, kv.watch({ key: 'k' }, { fromRevision: '2' }).next());
  t.true(error instanceof CompactedError && error.oldestRevision === '4');
});

test('a quiet watch comes along with the history', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address);
  const events = kv.watch({ key: 'quiet' }, { fromRevision: '1' });
  const first = events.next();
  await node.arrived(1);
  for (let i = 0; i < 5; i += 1) await kv.set('busy', String(i));
  store.tellProgress();
  store.compact();
  store.endWatches();
  while (store.watches.length < 2) await new Promise(setImmediate);
  t.is(store.watches[1]!.lastEventId, '6.0');
  await kv.set('quiet', 'v');
  t.is(((await first) as IteratorYieldResult<WatchEvent>).value.revision, '6');
  await events.return?.();
});

test('a signal ends a watch while it waits; so does close()', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address);
  const stop = new AbortController();
  const reason = new Error('enough');
  const next = errorOf(t, kv.watch({ prefix: '' }, { signal: stop.signal }).next());
  await node.arrived(2);
  stop.abort(reason);
  const error = await next;
  t.true(error instanceof AbortedError);
  t.is(error.cause, reason);
  const other = errorOf(t, kv.watch({ prefix: '' }).next());
  await node.arrived(4);
  await kv.close();
  t.true((await other) instanceof ClosedError);
});

test('in a namespace, with a codec', async (t) => {
  const node = await scripted(t, createStore().step);
  const kv = new KVClient({ endpoints: node.address, codec: codecs.json<{ n: number }>() });
  t.teardown(() => kv.close());
  const users = kv.namespace('users/');
  const events = users.watch({ prefix: '' }, { fromRevision: '1' });
  await kv.set('other', { n: 0 });
  await users.set('ada', { n: 1 });
  const [event] = await take(events, 1);
  t.is(event!.key, 'ada');
  t.deepEqual(event!.type === 'put' ? event!.value : undefined, { n: 1 });
  await events.return?.();
});

test('a watch that is refused rejects; one that finds nobody does in time', async (t) => {
  const node = await scripted(t, problem('forbidden'));
  const kv = clientOf(t, node.address, { timeoutMs: 300 });
  t.is((await errorOf(t, kv.watch({ key: 'k' }, { fromRevision: '1' }).next())).code, 'forbidden');
  node.script(problem('no-leader'));
  t.is((await errorOf(t, kv.watch({ key: 'k' }, { fromRevision: '1' }).next())).code, 'no-leader');
});

test('arguments', (t) => {
  const kv = clientOf(t, 'localhost:1');
  for (const what of [{}, { key: 'a', prefix: 'b' }, { key: '' }, { keys: 'a' }]) {
    t.throws(() => kv.watch(what as { key: string }), { code: 'invalid-argument' });
  }
  t.throws(() => kv.watch({ key: 'k' }, { fromRevision: 'x' }), { code: 'invalid-argument' });
});
