import test from 'ava';
import { pino } from 'pino';
import { stopServer } from '../../server/stop.js';
import type { Cluster, TestNode } from './cluster.js';
import { startCluster } from './cluster.js';
import { ended, read, setOf, write } from './requests.js';

/** Takes a node of the cluster apart as a server does; says in which order. */
function stopping(
  cluster: Cluster,
  { node, service, logStore, stateStore }: TestNode,
): {
  readonly stopped: Promise<void>;
  readonly order: string[];
} {
  const order: string[] = [];
  const part = (name: string): (() => void) => {
    return () => void order.push(name);
  };
  const closing = (name: string, close: () => Promise<void>): (() => Promise<void>) => {
    return () => {
      order.push(name);
      return close();
    };
  };
  const now = (): Promise<void> => Promise.resolve();
  const stopped = stopServer({
    node,
    service,
    listeners: { drain: closing('drain', now), close: closing('listeners', now) },
    transport: { close: part('transport') },
    control: { close: part('control') },
    stores: [
      { close: closing('log', () => logStore.close()) },
      { close: closing('state', () => stateStore.close()) },
    ],
    maxElectionMs: 300,
    logger: pino({ level: 'silent' }),
  });
  return { stopped: cluster.clock.until(stopped, 'the node stops'), order };
}

test('a leader hands over, closes from the outside in, and nothing that it took is lost', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  const others = cluster.followers();
  // Its own, and forwarded ones.
  const requests = cluster.nodes.flatMap((on) =>
    [1, 2, 3].map((at) => ended(cluster, on.service.write(setOf(`${on.id}-${at}`, 'v')))),
  );
  const { stopped, order } = stopping(cluster, leader);
  t.regex(leader.service.notReady() ?? '', /shutting down/);
  const startMs = cluster.clock.nowMs();
  await stopped;
  t.true(cluster.clock.nowMs() - startMs < 1000);
  t.deepEqual(order, ['drain', 'control', 'transport', 'listeners', 'log', 'state']);
  for (const { as } of await Promise.all(requests)) t.regex(as, /"status":"set"/);
  const next = await cluster.leader(others);
  for (const { id } of cluster.nodes) t.is(await read(cluster, next, `${id}-1`), 'v');
  t.is((await ended(cluster, leader.service.write(setOf('k', 'v')))).as, 'shutting-down not-applied');
});

test('a leader that nobody can take over from stops all the same, within its bound, and answers what waits', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  cluster.partition();
  const written = ended(cluster, leader.service.write(setOf('k', 'v')));
  const asked = ended(cluster, leader.service.read(['k'], 'linearizable'));
  const startMs = cluster.clock.nowMs();
  await stopping(cluster, leader).stopped;
  t.true(cluster.clock.nowMs() - startMs < 5000, `${cluster.clock.nowMs() - startMs} ms`);
  t.is((await written).as, 'leadership-lost unknown');
  t.regex((await asked).as, /^(no-leader|shutting-down|no-quorum) not-applied$/);
});

test('a follower stops without an election', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  const { term } = leader.node.standing;
  const [follower, other] = cluster.followers();
  const requests = [1, 2].map((at) => ended(cluster, follower!.service.write(setOf(`k${at}`, 'v'))));
  await stopping(cluster, follower!).stopped;
  for (const { as } of await Promise.all(requests))
    t.regex(as, /"set"|^(shutting-down not-applied|leadership-lost unknown)$/);
  await cluster.clock.run(1000);
  t.is(leader.node.standing.term, term);
  t.is((await write(cluster, other!, 'k', 'v')).status, 'set');
});

test('a cluster of one stops at once', async (t) => {
  const cluster = await startCluster({ size: 1 });
  const leader = await cluster.leader();
  await write(cluster, leader, 'k', 'v');
  const startMs = cluster.clock.nowMs();
  await stopping(cluster, leader).stopped;
  t.true(cluster.clock.nowMs() - startMs < 100);
});
