import test from 'ava';
import { ServiceError } from '../../../server/service.js';
import { startNode } from './harness.js';

const N4 = { id: 'n4', raft: 'h:1', rpc: 'h:2', http: 'h:3' };

test('each change of the members reaches the service as what it asks for', async (t) => {
  const { url, service } = await startNode(t);
  const call = async (method: string, path: string, body?: object): Promise<number> => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    return (await fetch(url + path, init)).status;
  };
  t.is(await call('POST', '/cluster/members', N4), 200);
  t.is(await call('POST', '/cluster/members', { ...N4, voter: false }), 200);
  t.is(await call('DELETE', '/cluster/members/n4'), 200);
  t.is(await call('PATCH', '/cluster/members/n4', { http: 'h:9' }), 200);
  t.is(await call('POST', '/cluster/members/n4/promote'), 200);
  t.is(await call('POST', '/cluster/transfer', { to: 'n2' }), 200);
  t.is(await call('POST', '/cluster/transfer'), 200);
  t.deepEqual(service.clusterRequests, [
    { type: 'add', ...N4, voter: true },
    { type: 'add', ...N4, voter: false },
    { type: 'remove', id: 'n4' },
    { type: 'readdress', id: 'n4', addresses: { http: 'h:9' } },
    { type: 'promote', id: 'n4' },
    { type: 'transfer', to: 'n2' },
    { type: 'transfer' },
  ]);
});

test('a change that outlasts the request is 202, one that can not be made 409 with the reason', async (t) => {
  const { url, service } = await startNode(t);
  service.clusterAnswer = { status: 'waiting', waitingFor: 'n4 to catch up' };
  const waiting = await fetch(`${url}/cluster/members`, { method: 'POST', body: JSON.stringify(N4) });
  t.is(waiting.status, 202);
  t.deepEqual(await waiting.json(), { success: true, waitingFor: 'n4 to catch up' });
  service.failure = new ServiceError('membership-conflict', 'n1 is the last voter');
  const refused = await fetch(`${url}/cluster/members/n1`, { method: 'DELETE' });
  t.is(refused.status, 409);
  t.like(await refused.json(), { code: 'membership-conflict', detail: 'n1 is the last voter' });
  t.deepEqual(await (await fetch(`${url}/cluster/members`)).json(), { members: [], waitingFor: null });
});

for (const [what, body, field] of [
  ['an id that is none', { ...N4, id: 'a b' }, 'id'],
  ['a missing address', { id: 'n4', raft: 'h:1', rpc: 'h:2' }, 'http'],
  ['an address without a port', { ...N4, raft: 'h' }, 'raft'],
  ['a port that nobody can call', { ...N4, rpc: 'h:0' }, 'rpc'],
  ['a port out of range', { ...N4, http: 'h:65536' }, 'http'],
  ['a voter that is neither', { ...N4, voter: 'yes' }, 'voter'],
  ['a field of nobody', { ...N4, vote: true }, 'vote'],
] as const) {
  test(`${what} is 400 and names ${field}`, async (t) => {
    const { url, service } = await startNode(t);
    const response = await fetch(`${url}/cluster/members`, { method: 'POST', body: JSON.stringify(body) });
    t.is(response.status, 400);
    t.like(await response.json(), { field });
    t.is(service.clusterRequests.length, 0);
  });
}
