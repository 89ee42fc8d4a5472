import test from 'ava';
import type { MemberStatus } from '../../api/types.js';
import { startCluster } from './cluster.js';
import type { Cluster, TestNode } from './cluster.js';
import { write } from './requests.js';

async function seenBy(cluster: Cluster, asked: TestNode): Promise<readonly MemberStatus[] | undefined> {
  const seen = await cluster.clock.until(
    asked.service.leaderMembers(),
    'the members as the leader sees them',
  );
  return seen?.members;
}

test('a follower has the members as the leader sees them', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  const [follower] = cluster.followers();
  const result = await write(cluster, leader, 'k', 'v');
  const members = (await seenBy(cluster, follower!)) ?? [];
  t.deepEqual(
    members.map(({ id }) => id),
    ['n1', 'n2', 'n3'],
  );
  for (const { id, role, matchIndex, lagEntries, lastContactMs, reachable } of members) {
    t.is(role, id === leader.id ? 'leader' : 'follower');
    t.true((matchIndex ?? 0) + (lagEntries ?? 0) >= (result.status === 'set' ? result.revision : Infinity));
    t.is(typeof lastContactMs, 'number');
    t.true(reachable);
  }
  t.is(await seenBy(cluster, leader), undefined);
});

test('a follower that does not reach the leader says so, in time', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  const [follower] = cluster.followers();
  cluster.partition([leader]);
  const startMs = cluster.clock.nowMs();
  t.is(await seenBy(cluster, follower!), undefined);
  t.true(cluster.clock.nowMs() - startMs <= 1000);
});
