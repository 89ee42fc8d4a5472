/** Watches through real nodes: without a gap, a repeat or a change of order, from whichever node, whenever they begin. */

import test from 'ava';
import fc from 'fast-check';
import { HISTORY_REVISIONS } from '../../server/sweeper.js';
import type { WatchItem, WatchQuery } from '../../server/service.js';
import type { Cluster, TestNode } from './cluster.js';
import { startCluster } from './cluster.js';
import { ended, setOf, write } from './requests.js';

interface Watching {
  readonly items: WatchItem[];
  /** As `<kind> <key>=<value> <revision>.<n>/<of>`. */
  readonly events: () => string[];
  readonly stop: () => Promise<unknown>;
  isOver: boolean;
}

type From = { readonly after: number; readonly n: number };

async function watch(cluster: Cluster, on: TestNode, query: WatchQuery, from?: From): Promise<Watching> {
  const generator = await cluster.clock.until(on.service.watch(query, from), 'a watch');
  const watching: Watching = {
    items: [],
    events: () => watching.items.flatMap((item) => (item.type === 'event' ? [textOf(item)] : [])),
    stop: () => generator.return(),
    isOver: false,
  };
  void (async () => {
    for await (const item of generator) watching.items.push(item);
    watching.isOver = true;
  })();
  return watching;
}

function textOf({ change, revision, n, of }: WatchItem & { type: 'event' }): string {
  const value = change.value === undefined ? '' : `=${Buffer.from(change.value).toString()}`;
  return `${change.kind} ${change.key}${value} ${revision}.${n}/${of}`;
}

/** Everything from the beginning, as it should be told. */
async function all(
  cluster: Cluster,
  on: TestNode,
  count: number,
  from: From = { after: 0, n: 0 },
): Promise<string[]> {
  const watching = await watch(cluster, on, { prefix: '' }, from);
  await cluster.clock.when(() => watching.events().length >= count, `${count} events on ${on.id}`);
  void watching.stop();
  return watching.events();
}

test('every node tells every change once, in order, those of one entry by their numbers', async (t) => {
  const cluster = await startCluster({ sweeping: true });
  const leader = await cluster.leader();
  const [follower] = cluster.followers();
  const watches = await Promise.all(cluster.nodes.map((node) => watch(cluster, node, { prefix: 'a' })));
  const { clock } = cluster;
  const at = leader.node.appliedIndex;
  await write(cluster, leader, 'a1', 'x');
  await write(cluster, follower!, 'b', 'x');
  const ops = [
    { op: 'set', key: 'b', value: Buffer.from('y') },
    { op: 'set', key: 'a2', value: Buffer.from('y') },
    { op: 'delete', key: 'none' },
    { op: 'delete', key: 'a1' },
    { op: 'set', key: 'a3', value: Buffer.from('z'), ttlMs: 300 },
  ] as const;
  await clock.until(leader.service.transact({ op: 'txn', checks: [], ops }), 'a transaction');
  await clock.when(() => leader.node.keyCount === 2, 'a3 expires');
  await clock.until(leader.service.deletePrefix({ op: 'delete-prefix', prefix: 'a' }), 'a delete');
  const end = leader.node.appliedIndex;
  await clock.when(() => watches.every(({ events }) => events().length === 6), 'all events');
  for (const { events } of watches) {
    const told = events();
    t.deepEqual(told.slice(0, 4), [
      `put a1=x ${at + 1}.1/1`,
      `put a2=y ${at + 3}.2/4`,
      `delete a1 ${at + 3}.3/4`,
      `put a3=z ${at + 3}.4/4`,
    ]);
    t.regex(told[4]!, /^expired a3 \d+\.1\/1$/);
    t.is(told[5], `delete a2 ${end}.1/1`);
  }
});

test('a watch begins behind what was acknowledged before it, also on a follower that lags', async (t) => {
  const delays = new Map<string, number>();
  const cluster = await startCluster({ stateDelaysMs: delays });
  const leader = await cluster.leader();
  const [follower] = cluster.followers();
  delays.set(follower!.id, 40);
  await write(cluster, leader, 'a', 'before');
  const watching = await watch(cluster, follower!, { key: 'a' });
  await write(cluster, leader, 'a', 'behind');
  await cluster.clock.when(() => watching.events().length > 0, 'an event');
  t.deepEqual(watching.events(), [`put a=behind ${leader.node.appliedIndex}.1/1`]);
});

test('whatever is written, a watch that is broken off anywhere and goes on elsewhere tells all of it once', async (t) => {
  const writes = fc.array(
    fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean()), { minLength: 1, maxLength: 3 }),
    { minLength: 1, maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(writes, fc.nat(), async (entries, cut) => {
      const cluster = await startCluster({ size: 1 });
      const leader = await cluster.leader();
      const expected: string[] = [];
      const keys = new Set<string>();
      for (const [number, entry] of entries.entries()) {
        const changes: string[] = [];
        const ops = entry.map(([key, isSet]) => {
          if (isSet) changes.push(`put ${key}=${number}`);
          else if (keys.has(key)) changes.push(`delete ${key}`);
          if (isSet) keys.add(key);
          else keys.delete(key);
          return isSet
            ? ({ op: 'set', key, value: Buffer.from(String(number)) } as const)
            : ({ op: 'delete', key } as const);
        });
        await cluster.clock.until(leader.service.transact({ op: 'txn', checks: [], ops }), 'an entry');
        const revision = leader.node.appliedIndex;
        expected.push(...changes.map((change, at) => `${change} ${revision}.${at + 1}/${changes.length}`));
      }
      t.deepEqual(await all(cluster, leader, expected.length), expected);
      if (expected.length === 0) return;
      const seen = cut % expected.length;
      const [, revision, n] = / (\d+)\.(\d+)\//.exec(expected[seen]!)!;
      const from = { after: Number(revision) - 1, n: Number(n) };
      t.deepEqual(await all(cluster, leader, expected.length - seen - 1, from), expected.slice(seen + 1));
      const again = { after: Number(revision) - 1, n: 0 };
      const first = expected.findIndex((event) => event.includes(` ${revision}.`));
      t.deepEqual(await all(cluster, leader, expected.length - first, again), expected.slice(first));
    }),
    { numRuns: 30 },
  );
});

test('the history survives a restart, and a watch of the future waits for it', async (t) => {
  const cluster = await startCluster({ size: 1 });
  const leader = await cluster.leader();
  await write(cluster, leader, 'a', '1');
  const revision = leader.node.appliedIndex;
  await cluster.stop(leader.id);
  const restarted = await cluster.start(leader.id);
  await cluster.leader();
  const past = await watch(cluster, restarted, { key: 'a' }, { after: 0, n: 0 });
  const future = await watch(cluster, restarted, { key: 'a' }, { after: revision + 20, n: 0 });
  for (let number = 2; number < 25; number += 1) await write(cluster, restarted, 'a', String(number));
  await cluster.clock.when(() => past.events().length === 24, 'all events');
  t.is(past.events()[0], `put a=1 ${revision}.1/1`);
  t.true(future.events().length > 0);
  for (const event of future.events()) t.true(Number(/ (\d+)\./.exec(event)![1]) > revision + 20);
});

test('a watch hears something every 15 seconds, and the end of its node', async (t) => {
  const cluster = await startCluster({ size: 1 });
  const leader = await cluster.leader();
  const watching = await watch(cluster, leader, { key: 'a' });
  await cluster.clock.run(100);
  t.deepEqual(watching.items, [{ type: 'progress', seen: leader.node.appliedIndex }]);
  // Others change meanwhile, which is no news here, but where to resume.
  for (let second = 0; second < 16; second += 1) {
    await write(cluster, leader, 'b', String(second));
    await cluster.clock.run(1000);
  }
  t.is(watching.items.length, 2);
  t.like(watching.items[1], { type: 'progress' });
  leader.service.stop();
  await cluster.clock.when(() => watching.isOver, 'the watch ends');
  t.deepEqual(watching.items.at(-1), {
    type: 'cut-off',
    why: 'shutting-down',
    seen: leader.node.appliedIndex,
  });
  const { as } = await ended(cluster, leader.service.watch({ key: 'a' }, { after: 0, n: 0 }));
  t.is(as, 'shutting-down not-applied');
});

test('the history keeps the last 10,000 revisions; what is older is refused, and cuts off who was too slow', async (t) => {
  const cluster = await startCluster({ size: 1, sweeping: true, pendingMax: 20_000 });
  const leader = await cluster.leader();
  const { clock } = cluster;
  const { service } = leader;
  const slow = await clock.until(service.watch({ key: 'a' }, { after: 0, n: 0 }), 'a slow watch');
  t.like(await clock.until(slow.next(), 'its first item'), { value: { type: 'progress' } });
  const first = leader.node.appliedIndex + 1;
  for (let from = 0; from < HISTORY_REVISIONS + 1000; from += 1000) {
    const writes = Array.from({ length: 1000 }, (_, at) => service.write(setOf('a', String(from + at))));
    await clock.until(Promise.all(writes), 'writes');
  }
  const isRefused = async (): Promise<boolean> => {
    const { as } = await ended(
      cluster,
      service.watch({ key: 'a' }, { after: first - 1, n: 0 }).then(() => 'open'),
    );
    return as === 'revision-compacted not-applied';
  };
  await clock.run(500);
  t.true(await isRefused());
  const after = leader.node.appliedIndex - HISTORY_REVISIONS;
  const kept = await watch(cluster, leader, { key: 'a' }, { after, n: 0 });
  const newest = HISTORY_REVISIONS + 1000 - 1;
  await clock.when(() => kept.events().at(-1)?.startsWith(`put a=${newest} `) === true, 'the newest');
  const values = kept.events().map((event) => Number(/=(\d+) /.exec(event)![1]));
  t.deepEqual(
    values,
    values.map((_, at) => newest - values.length + 1 + at),
  );
  // What trims the history is in the log as well, and changes nothing.
  t.true(values.length > HISTORY_REVISIONS - 20);
  const cut = await clock.until(slow.next(), 'what the slow one gets');
  t.like(cut.value, { type: 'cut-off', why: 'revision-compacted' });
  t.true((await clock.until(slow.next(), 'its end')).done);
});
