/** A client whose endpoints go away one after the other, until every member is another node. */

import test from 'ava';
import { PATHS } from '../../api/paths.js';
import { clientOf } from './helpers.js';
import { found, ok, problem, refusing, scripted, type Scripted, type Step } from './scripted-server.js';

const membersAt = (...nodes: readonly Scripted[]): Step =>
  ok({ members: nodes.map(({ address }) => ({ id: address, http: address })), waitingFor: null });

const told = (index: number, leader?: Scripted) => ({
  headers: { 'kv-members': String(index) },
  ...(leader !== undefined && { leader: leader.address }),
});

/** One answer to questions about members, another one to everything else. */
const either =
  (members: Step, other: Step): Step =>
  (response, seen, socket) =>
    (seen.path === PATHS.members ? members : other)(response, seen, socket);

const looks = ({ seen }: Scripted) => seen.filter(({ path }) => path === PATHS.members).length;
const calls = ({ seen }: Scripted) => seen.length - looks({ seen } as Scripted);

test('members that it was never given are asked, once the endpoint is gone', async (t) => {
  const newcomer = await scripted(t);
  newcomer.script(either(membersAt(newcomer), found('from the newcomer', told(5))));
  const endpoint = await scripted(t);
  endpoint.script(either(membersAt(endpoint, newcomer), found('v', told(5))));
  const client = clientOf(t, endpoint.address);
  t.is(await client.get('k'), 'v');
  // Asked in the background, before any call needs it.
  await newcomer.arrived(1);
  t.is(looks(newcomer), 1);
  await endpoint.stop();
  t.is(await client.get('k'), 'from the newcomer');
});

test('a larger KV-Members is a reason to ask for the members, the same one is none', async (t) => {
  const newcomer = await scripted(t);
  newcomer.script(either(membersAt(newcomer), found('from the newcomer', told(9))));
  const endpoint = await scripted(t);
  endpoint.script(either(membersAt(endpoint), found('v', told(5))));
  const client = clientOf(t, endpoint.address);
  await client.get('k');
  await endpoint.arrived(2);
  for (let again = 0; again < 10; again += 1) await client.get('k');
  t.is(looks(endpoint), 1);
  endpoint.script(either(membersAt(endpoint, newcomer), found('v', told(9))));
  await client.get('k');
  await newcomer.arrived(1);
  t.is(looks(endpoint), 2);
  await endpoint.stop();
  t.is(await client.get('k'), 'from the newcomer');
});

test('a node that fails is a reason to ask another one for the members', async (t) => {
  const newcomer = await scripted(t);
  newcomer.script(either(membersAt(newcomer), found('from the newcomer', told(5))));
  const [first, second] = [await scripted(t), await scripted(t)];
  const members = membersAt(first, second);
  for (const node of [first, second]) node.script(either(members, found('v', told(5, first))));
  const client = clientOf(t, [first.address, second.address]);
  await client.get('k');
  await first.arrived(2);
  // Nobody says so by a header.
  second.script(either(membersAt(second, newcomer), found('v', told(5))));
  await first.stop();
  await client.get('k');
  await newcomer.arrived(1);
  await second.stop();
  t.is(await client.get('k'), 'from the newcomer');
});

test('what a node that goes away says of the leader is its last word', async (t) => {
  const successor = await scripted(t, found('from the successor'));
  const endpoint = await scripted(t, problem('shutting-down', { leader: successor.address }));
  const client = clientOf(t, endpoint.address);
  t.is(await client.get('k'), 'from the successor');
  t.is(calls(endpoint), 1);
});

test('members that can’t be reached from here are no hindrance', async (t) => {
  const nowhere = await refusing();
  const endpoint = await scripted(t);
  const members = ok({ members: [{ id: 'n1', http: nowhere }], waitingFor: null });
  endpoint.script(either(members, found('v', told(5))));
  const client = clientOf(t, endpoint.address);
  for (let again = 0; again < 10; again += 1) t.is(await client.get('k'), 'v');
});

test('a server that tells nothing of members is not asked for them', async (t) => {
  const [first, second] = [await scripted(t, found()), await scripted(t, found())];
  const client = clientOf(t, [first.address, second.address]);
  await client.get('k');
  await first.stop();
  await client.get('k');
  t.is(looks(first) + looks(second), 0);
});

test('an answer that names no members changes nothing', async (t) => {
  const endpoint = await scripted(t);
  endpoint.script(either(ok({ members: 'none' }), found('v', told(5))));
  const client = clientOf(t, endpoint.address);
  await client.get('k');
  await endpoint.arrived(2);
  t.is(await client.get('k'), 'v');
});
