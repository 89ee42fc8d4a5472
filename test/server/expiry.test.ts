/** A key with a time to live goes by itself: never early, late by little, whoever leads. */

import test from 'ava';
import fc from 'fast-check';
import type { Cluster, TestNode } from './cluster.js';
import { startCluster } from './cluster.js';
import { setOf, write } from './requests.js';

/** How late a key may go, elections aside. */
const LATE_MS = 500;
const ELECTION_MS = 1200;

async function setFor(cluster: Cluster, on: TestNode, key: string, ttlMs: number): Promise<void> {
  const command = { ...setOf(key, 'v'), ttlMs };
  await cluster.clock.until(on.service.write(command), `a write of ${key}`);
}

async function ttlOf(cluster: Cluster, on: TestNode, key: string): Promise<number | undefined | null> {
  const { entries } = await cluster.clock.until(on.service.read([key], 'linearizable'), `a read of ${key}`);
  return entries[0] === undefined ? null : entries[0].ttlMs;
}

test('a key goes when its time is over, on every node, with its row in the index', async (t) => {
  const cluster = await startCluster({ sweeping: true });
  const leader = await cluster.leader();
  const [follower] = cluster.followers();
  const startMs = cluster.clock.nowMs();
  await setFor(cluster, leader, 'a', 3000);
  const setMs = cluster.clock.nowMs();
  await write(cluster, leader, 'b', 'stays');
  for (const on of [leader, follower!]) {
    const left = (await ttlOf(cluster, on, 'a'))!;
    const passedMs = cluster.clock.nowMs() - startMs;
    t.true(left <= 3000 && left >= 3000 - passedMs, `${left} left on ${on.id}`);
    t.is(await ttlOf(cluster, on, 'b'), undefined);
  }
  await cluster.clock.run(startMs + 3000 - cluster.clock.nowMs() - 20);
  t.not(await ttlOf(cluster, leader, 'a'), null);
  await cluster.clock.when(
    () => leader.node.keyCount === 1,
    'a goes',
    setMs + 3000 + LATE_MS - cluster.clock.nowMs(),
  );
  t.is(await ttlOf(cluster, follower!, 'a'), null);
  t.is(await ttlOf(cluster, follower!, 'b'), undefined);
});

test('a set without a time to live, and a delete, end the one before', async (t) => {
  const cluster = await startCluster({ size: 1, sweeping: true });
  const leader = await cluster.leader();
  await setFor(cluster, leader, 'a', 1000);
  await write(cluster, leader, 'a', 'for good');
  await setFor(cluster, leader, 'b', 1000);
  await cluster.clock.until(leader.service.write({ op: 'delete', key: 'b' }), 'b is deleted');
  await write(cluster, leader, 'b', 'again');
  await cluster.clock.run(3000);
  t.is(await ttlOf(cluster, leader, 'a'), undefined);
  t.is(await ttlOf(cluster, leader, 'b'), undefined);
});

test('without a sweeper nothing goes, however long it is read: only an entry ends a key', async (t) => {
  const cluster = await startCluster({ size: 1 });
  const leader = await cluster.leader();
  await setFor(cluster, leader, 'a', 100);
  await cluster.clock.run(5000);
  t.is(await ttlOf(cluster, leader, 'a'), 0);
});

test('an idle hour and a new leader do not prolong a key by more than an election', async (t) => {
  const cluster = await startCluster({ sweeping: true });
  const first = await cluster.leader();
  await setFor(cluster, first, 'a', 60_000);
  const setMs = cluster.clock.nowMs();
  await cluster.clock.run(50_000);
  await cluster.stop(first.id);
  const next = await cluster.leader();
  const overMs = setMs + 60_000 + LATE_MS + ELECTION_MS;
  await cluster.clock.when(() => next.node.keyCount === 0, 'a goes', overMs - cluster.clock.nowMs());
  t.true(cluster.clock.nowMs() >= setMs + 60_000 - 20, 'not early');
});

test('while there is no leader, no time passes', async (t) => {
  const cluster = await startCluster({ sweeping: true });
  const leader = await cluster.leader();
  await setFor(cluster, leader, 'a', 2000);
  cluster.partition(...cluster.nodes.map((node) => [node]));
  await cluster.clock.when(
    () => cluster.nodes.every(({ node }) => node.standing.leader === undefined),
    'no leader',
  );
  await cluster.clock.run(20_000);
  cluster.heal();
  const next = await cluster.leader();
  const left = await ttlOf(cluster, next, 'a');
  t.true(left !== null && left !== undefined && left > 1000, `${left} left`);
});

test('more keys than one look takes, all due at once, go within the bound, and the log stays idle without any', async (t) => {
  const cluster = await startCluster({ size: 1, sweeping: true, pendingMax: 10_000 });
  const leader = await cluster.leader();
  const keys = Array.from({ length: 3000 }, (_, at) => `k${at}`);
  const written = Promise.all(keys.map((key) => leader.service.write({ ...setOf(key, 'v'), ttlMs: 1000 })));
  await cluster.clock.until(written, 'all are written');
  t.is(leader.node.keyCount, 3000);
  await cluster.clock.when(() => leader.node.keyCount === 0, 'all go', 1000 + LATE_MS);
  await cluster.clock.run(200);
  const idle = leader.node.appliedIndex;
  await cluster.clock.run(60_000);
  t.is(leader.node.appliedIndex, idle);
});

test('keys go neither early nor late, whatever is written when', async (t) => {
  const steps = fc.array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      ttlMs: fc.option(fc.integer({ min: 1, max: 3000 }), { nil: undefined }),
      waitMs: fc.nat(900),
    }),
    { minLength: 1, maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (writes) => {
      const cluster = await startCluster({ size: 1, sweeping: true });
      const leader = await cluster.leader();
      const ends = new Map<string, { readonly notBeforeMs: number; readonly byMs: number }>();
      const check = async (): Promise<void> => {
        for (const key of ['a', 'b', 'c']) {
          const askedMs = cluster.clock.nowMs();
          const there = (await ttlOf(cluster, leader, key)) !== null;
          const { notBeforeMs, byMs } = ends.get(key) ?? { notBeforeMs: 0, byMs: 0 };
          if (there) t.true(askedMs <= byMs, `${key} is late`);
          else t.true(cluster.clock.nowMs() >= notBeforeMs, `${key} is early`);
        }
      };
      for (const { key, ttlMs, waitMs } of writes) {
        const beganMs = cluster.clock.nowMs();
        const command = { ...setOf(key, 'v'), ...(ttlMs !== undefined && { ttlMs }) };
        await cluster.clock.until(leader.service.write(command), 'a write');
        const forMs = ttlMs ?? Infinity;
        ends.set(key, { notBeforeMs: beganMs + forMs, byMs: cluster.clock.nowMs() + forMs + LATE_MS });
        await cluster.clock.run(waitMs);
        await check();
      }
      await cluster.clock.run(3000 + LATE_MS);
      await check();
    }),
    { numRuns: 15 },
  );
});
