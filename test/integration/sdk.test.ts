/** The client on real nodes: shared round trips through a change of leaders, locks, transactions, prefixes. */

import test from 'ava';
import { ConflictError, KVClient, type WatchEvent } from 'quorumkv-client';
import { startCluster } from './cluster.js';

const CALL_MS = 30_000;
const WAVES = 12;
const CALLS = 256;

test('256 calls at a time, in order per key, none lost or doubled when the leader is killed', async (t) => {
  t.timeout(120_000);
  const cluster = await startCluster(t);
  const kv = new KVClient({ endpoints: cluster.urls, timeoutMs: CALL_MS });
  t.teardown(() => kv.close());
  let killed: Promise<unknown> | undefined;
  for (let wave = 0; wave < WAVES; wave += 1) {
    // `ifAbsent` refuses a write that is applied a second time.
    const calls = Array.from({ length: CALLS }, (_, i) =>
      kv.set(`once/${wave}/${i}`, 'v', { ifAbsent: true }),
    );
    const ordered = Array.from({ length: 20 }, (_, i) => kv.set('last', `${wave}.${i}`));
    const seen = kv.get('last');
    if (wave === 3) killed = cluster.leader().then((leader) => cluster.kill9(leader));
    for (const { revision } of await Promise.all(calls)) t.regex(revision, /^[1-9]\d*$/);
    const order = (await Promise.all(ordered)).map(({ revision }) => Number(revision));
    // Writes of one key never share a revision.
    t.deepEqual(
      order,
      [...new Set(order)].toSorted((a, b) => a - b),
    );
    t.is(await seen, `${wave}.19`);
  }
  await killed;
  const values = await kv.getMany(Array.from({ length: 1_000 }, (_, i) => `once/${i % WAVES}/${i % CALLS}`));
  t.true(values.every((value) => value === 'v'));
  let keys = 0;
  for await (const { key } of kv.list({ prefix: 'once/' })) if (key !== '') keys += 1;
  t.is(keys, WAVES * CALLS);
  t.is(await kv.deletePrefix('once/'), WAVES * CALLS);
});

test('transactions, namespaces, conditions and times to live', async (t) => {
  t.timeout(60_000);
  const cluster = await startCluster(t, { nodes: 1 });
  const root = new KVClient({ endpoints: cluster.urls, timeoutMs: CALL_MS });
  t.teardown(() => root.close());
  const kv = root.namespace('app/');
  const { revision } = await kv.set('a', '1');
  t.true((await kv.atomic().check('a', revision).check('b', null).set('b', '2').delete('a').commit()).ok);
  t.deepEqual(await kv.atomic().check('a', revision).check('b', null).set('c', '3').commit(), {
    ok: false,
    failed: ['a', 'b'],
  });
  t.deepEqual(await kv.getMany(['a', 'b', 'c']), [undefined, '2', undefined]);
  const [conflict, fine] = await Promise.allSettled([kv.set('b', 'x', { ifAbsent: true }), kv.set('d', '4')]);
  t.true(conflict.status === 'rejected' && conflict.reason instanceof ConflictError);
  t.is(fine.status, 'fulfilled');
  await Promise.all([kv.set('short', 'v', { ttlMs: 300 }), kv.set('long', 'v', { ttlMs: 600_000 })]);
  t.true(Number((await kv.getEntry('long'))?.ttlMs) > 500_000);
  await cluster.waitFor('the key to expire', async () => !(await kv.has('short')), CALL_MS);
  t.true((await root.cluster.log(5)).length === 5);
  const lease = await Promise.all(['b', 'd', 'long'].map((key) => kv.get(key, { consistency: 'lease' })));
  const stale = await Promise.all(['b', 'd', 'long'].map((key) => kv.get(key, { consistency: 'stale' })));
  t.deepEqual(lease, ['2', '4', 'v']);
  t.deepEqual(stale, lease);
});

test('a lock: one holder at a time, and free again when its holder vanishes', async (t) => {
  t.timeout(120_000);
  const cluster = await startCluster(t);
  const clients = Array.from(
    { length: 4 },
    () => new KVClient({ endpoints: cluster.urls, timeoutMs: CALL_MS }),
  );
  t.teardown(() => Promise.all(clients.map((kv) => kv.close())));
  const [gone, ...others] = clients;
  const first = await gone!.lock('job', { ttlMs: 1_500 });
  // It vanishes: nobody keeps the lock alive, and nobody releases it.
  await gone!.close();
  t.true(first.signal.aborted);
  let holders = 0;
  const tokens: number[] = [Number(first.token)];
  const work = async (kv: KVClient, rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) {
      await using lock = await kv.lock('job', { ttlMs: 5_000, waitMs: 60_000 });
      holders += 1;
      t.is(holders, 1);
      tokens.push(Number(lock.token));
      await kv.set('work', lock.token);
      t.true(lock.isHeld());
      holders -= 1;
    }
  };
  const workers = others.map((kv) => work(kv, 4));
  await cluster.kill9(await cluster.leader());
  await Promise.all(workers);
  t.deepEqual(
    tokens,
    tokens.toSorted((a, b) => a - b),
  );
});

test('a watch goes on through kills of the leader, without a gap or a repeat', async (t) => {
  t.timeout(120_000);
  const cluster = await startCluster(t);
  const kv = new KVClient({ endpoints: cluster.urls, timeoutMs: CALL_MS });
  t.teardown(() => kv.close());
  const names = kv.namespace('watched/');
  const { revision } = await names.set('first', 'v');
  const watches = ['', ''].map((prefix) => names.watch({ prefix }, { fromRevision: revision }));
  const seen: Seen[][] = watches.map(() => []);
  const followers = watches.map(async (events, at) => {
    for await (const event of events) {
      if (event.key === 'end') return;
      seen[at]!.push({ ...event, what: `${event.type} ${event.key}` });
    }
  });
  /** Those of one revision were written at once, in any order. */
  const written: { readonly revision: string; readonly what: string }[] = [{ revision, what: 'put first' }];
  for (let wave = 0; wave < 9; wave += 1) {
    const keys = Array.from({ length: 20 }, (_, i) => `k${wave}.${i}`);
    const sets = await Promise.all(keys.map((key) => names.set(key, 'v')));
    sets.forEach((set, at) => written.push({ ...set, what: `put ${keys[at] ?? ''}` }));
    await kv.set('elsewhere', String(wave));
    if (wave % 3 === 1) {
      const leader = await cluster.leader();
      await cluster.kill9(leader);
      written.push({ ...(await names.set(`after${wave}`, 'v')), what: `put after${wave}` });
      await cluster.restart(leader);
    }
  }
  await names.atomic().set('end', 'v').commit();
  await Promise.all(followers);
  const lines = (all: readonly { readonly revision: string; readonly what: string }[]): string[] =>
    all.map((one) => `${one.revision} ${one.what}`).toSorted();
  for (const events of seen) {
    t.deepEqual(lines(events), lines(written));
    for (const [at, { revision: now, n, of }] of events.entries()) {
      const before = events[at - 1];
      const follows = before?.revision === now ? n > before.n : Number(now) > Number(before?.revision ?? 0);
      t.true(follows, `${now}.${n} behind ${before?.revision}.${before?.n}`);
      t.true(n <= of);
    }
  }
  t.deepEqual(seen[0], seen[1]);
});

type Seen = WatchEvent & { readonly what: string };
