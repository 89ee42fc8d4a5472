/** Nodes whose states have come apart find that out, and which of them is wrong. */

import test from 'ava';
import { encodeValue, keyRow } from '../../kv/rows.js';
import { MARK_EVERY_MS } from '../../server/verification.js';
import type { Cluster, TestNode } from './cluster.js';
import { startCluster } from './cluster.js';
import { write } from './requests.js';

/** Puts another sound record in the place of the one of `key`, as only a mistake in the program or in memory could. */
function corrupt({ stateDisk }: TestNode, key: string, value: string): void {
  const row = keyRow(key);
  stateDisk.rows = stateDisk.rows.map((one) =>
    one[0] === row ? [one[0], encodeValue(1, Buffer.from(value))] : one,
  );
}

async function verified(cluster: Cluster): Promise<void> {
  const before = Math.max(...cluster.nodes.map(({ node }) => node.appliedIndex));
  await cluster.clock.run(MARK_EVERY_MS + 2000);
  const after = cluster.nodes.map(({ node }) => node.appliedIndex);
  if (Math.min(...after) <= before) throw new Error('nothing was verified');
}

const found = (cluster: Cluster): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(cluster.nodes.map(({ id, found: what }) => [id, what]));

test('states that are the same are found to be so, however the entries were batched', async (t) => {
  const cluster = await startCluster({ verifying: true });
  const leader = await cluster.leader();
  await Promise.all(Array.from({ length: 40 }, (_, at) => write(cluster, leader, `k${at % 7}`, `v${at}`)));
  const [late] = cluster.followers();
  await cluster.stop(late!.id);
  await Promise.all(Array.from({ length: 40 }, (_, at) => write(cluster, leader, `k${at % 5}`, `w${at}`)));
  await cluster.start(late!.id);
  await verified(cluster);
  t.deepEqual(found(cluster), { n1: [], n2: [], n3: [] });
});

test('without a write there is no further mark', async (t) => {
  const cluster = await startCluster({ verifying: true });
  await write(cluster, await cluster.leader(), 'a', '1');
  await verified(cluster);
  const [{ node }] = cluster.nodes as [TestNode];
  const applied = node.appliedIndex;
  await cluster.clock.run(3 * MARK_EVERY_MS);
  t.is(node.appliedIndex, applied);
});

for (const who of ['a follower', 'the leader'] as const) {
  test(`${who} with another state than the majority finds that out, and the others name it`, async (t) => {
    const cluster = await startCluster({ verifying: true });
    const leader = await cluster.leader();
    await write(cluster, leader, 'a', 'so long that no counter goes below zero');
    await cluster.clock.run(1000);
    const wrong = who === 'the leader' ? leader : cluster.followers()[0]!;
    corrupt(wrong, 'a', 'something longer');
    await write(cluster, leader, 'a', '2');
    await verified(cluster);
    for (const { id, found: what } of cluster.nodes) {
      const expected = id === wrong.id ? 'diverged' : `others differ: ${wrong.id}`;
      t.is(what[0], expected, id);
    }
  });
}

test('with three different states all of them stop', async (t) => {
  const cluster = await startCluster({ verifying: true });
  const leader = await cluster.leader();
  await write(cluster, leader, 'a', 'so long that no counter goes below zero');
  await cluster.clock.run(1000);
  cluster.followers().forEach((node, at) => corrupt(node, 'a', 'x'.repeat(10 + at)));
  await write(cluster, leader, 'a', '2');
  await verified(cluster);
  t.deepEqual(
    cluster.nodes.map(({ found: what }) => what[0]),
    ['disputed', 'disputed', 'disputed'],
  );
});

test('as long as a node is away that could give a majority, nobody is judged', async (t) => {
  const cluster = await startCluster({ verifying: true });
  const leader = await cluster.leader();
  await write(cluster, leader, 'a', 'so long that no counter goes below zero');
  await cluster.clock.run(1000);
  const [wrong, away] = cluster.followers();
  corrupt(wrong!, 'a', 'something longer');
  await cluster.stop(away!.id);
  await write(cluster, leader, 'a', '2');
  await verified(cluster);
  t.deepEqual(found(cluster), { [leader.id]: [], [wrong!.id]: [] });
  await cluster.start(away!.id);
  await write(cluster, leader, 'a', '3');
  await verified(cluster);
  t.is(wrong!.found[0], 'diverged');
  t.is(leader.found[0], `others differ: ${wrong!.id}`);
});
