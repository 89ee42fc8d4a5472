import test from 'ava';
import { startCluster } from './cluster.js';
import type { Cluster, TestNode } from './cluster.js';

/** Tells of every time that an index is asked for on this node. */
function onAsked(leader: TestNode, told: () => void): void {
  const readIndex = leader.node.readIndex.bind(leader.node);
  leader.node.readIndex = (lease) => {
    told();
    return readIndex(lease);
  };
}

const read = (on: TestNode): Promise<unknown> => on.service.read(['k'], 'linearizable');

function turn({ clock }: Cluster): Promise<void> {
  return clock.until(new Promise<void>((resolve) => clock.soon(resolve)), 'a turn');
}

test('reads that come within a few turns of the event loop share one index', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  let asked = 0;
  onAsked(leader, () => (asked += 1));
  const reads = [read(leader)];
  for (let turns = 1; turns <= 3; turns += 1) {
    await turn(cluster);
    reads.push(read(leader));
  }
  await cluster.clock.until(Promise.all(reads), 'the reads');
  t.is(asked, 1);
});

test('a read that comes while an index is out has the next one', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  let asked = 0;
  let later: Promise<unknown> | undefined;
  onAsked(leader, () => {
    asked += 1;
    // What is asked now may be answered already by the time that this read comes.
    if (asked === 1) later = read(leader);
  });
  await cluster.clock.until(read(leader), 'the first read');
  await cluster.clock.until(later ?? Promise.reject(new Error('nothing was asked')), 'the later read');
  t.is(asked, 2);
});
