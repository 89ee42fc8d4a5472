import test from 'ava';
import type { ClusterAnswer, ClusterRequest } from '../../server/members/request.js';
import type { Cluster, TestNode } from './cluster.js';
import { startCluster } from './cluster.js';

function ask(cluster: Cluster, at: TestNode, request: ClusterRequest): Promise<ClusterAnswer> {
  return cluster.clock.until(at.service.changeCluster(request), `an answer to ${request.type}`);
}

test('a follower has the leader move a member, and the effect is there when it answers', async (t) => {
  const cluster = await startCluster();
  await cluster.leader();
  const [follower] = cluster.followers();
  const request = { type: 'readdress', id: 'n2', addresses: { http: 'elsewhere:3' } } as const;
  t.deepEqual(await ask(cluster, follower!, request), { status: 'done' });
  t.deepEqual(await ask(cluster, follower!, request), { status: 'done' }, 'again, it is so already');
  const member = follower!.service.clusterStatus().members.find(({ id }) => id === 'n2');
  t.is(member?.raft, 'n2:1');
});

test('what contradicts the configuration is refused with the reason', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  const refused = async (request: ClusterRequest, expected: RegExp): Promise<void> => {
    await t.throwsAsync(ask(cluster, leader, request), { code: 'membership-conflict', message: expected });
  };
  await refused({ type: 'remove', id: 'n9' }, /no member n9; the members are n1, n2, n3/);
  await refused({ type: 'transfer', to: 'n9' }, /no member n9/);
  const addresses = { raft: 'h:1', rpc: 'h:2', http: 'h:3' };
  await refused({ type: 'add', id: 'n2', voter: true, ...addresses }, /n2 is a member already, at n2:1/);
  await refused({ type: 'add', id: 'n4', voter: true, ...addresses }, /n4 does not answer at h:1/);
});

test('leadership goes where it was asked to', async (t) => {
  const cluster = await startCluster();
  await cluster.leader();
  const [follower] = cluster.followers();
  t.deepEqual(await ask(cluster, follower!, { type: 'transfer', to: follower!.id }), { status: 'done' });
  t.is((await cluster.leader()).id, follower!.id);
});
