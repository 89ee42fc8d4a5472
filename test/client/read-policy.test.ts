/** Reads: repeated on all that may pass, sent to the leader, or spread over the endpoints. */

import test from 'ava';
import { InternalError, NoLeaderError, TimeoutError } from 'quorumkv-client';
import { clientOf, errorOf, IMPATIENT, QUICK } from './helpers.js';
import {
  broken,
  cut,
  found,
  hung,
  ok,
  problem,
  raw,
  redirect,
  refusing,
  scripted,
  written,
} from './scripted-server.js';

test('a read is repeated on whatever may pass', async (t) => {
  const steps = [
    broken,
    cut,
    problem('timeout'),
    problem('leadership-lost'),
    problem('no-quorum'),
    raw(502, 'proxy'),
  ];
  const node = await scripted(t, ...steps, hung, found('at last'));
  t.is(await clientOf(t, node.address, { retry: IMPATIENT }).get('k'), 'at last');
  t.is(node.seen.length, steps.length + 2);
});

test('a read that is refused for good is not', async (t) => {
  const node = await scripted(t, problem('internal'), found());
  const error = await errorOf(t, clientOf(t, node.address).get('k'));
  t.true(error instanceof InternalError);
  t.is(node.seen.length, 1);
});

test('the outcome of a failed read is never in doubt', async (t) => {
  const node = await scripted(t, hung);
  const error = await errorOf(t, clientOf(t, node.address, { timeoutMs: 500 }).get('k'));
  t.true(error instanceof TimeoutError);
  t.is(error.outcome, 'not-applied');
  t.true(error.retryable);
});

test('a hung node is left for another, and passed over by the next read', async (t) => {
  const node = await scripted(t, hung);
  const other = await scripted(t, found());
  const kv = clientOf(t, [node.address, other.address], { retry: IMPATIENT });
  t.is(await kv.get('k'), 'v');
  t.is(await kv.get('k'), 'v');
  t.is(node.seen.length, 1);
});

test('a missing key is no error', async (t) => {
  const node = await scripted(t, problem('key-not-found'));
  const kv = clientOf(t, node.address);
  t.is(await kv.get('k'), undefined);
  t.is(await kv.getEntry('k'), undefined);
  t.false(await kv.has('k'));
  node.script(problem('no-such-route'));
  t.is((await errorOf(t, kv.get('k'))).code, 'no-such-route');
});

test('the leader that an answer names is asked from then on', async (t) => {
  const leader = await scripted(t, found('from the leader'));
  const follower = await scripted(t, found('forwarded', { leader: leader.address }));
  const kv = clientOf(t, follower.address);
  t.is(await kv.get('k'), 'forwarded');
  for (let i = 0; i < 3; i += 1) t.is(await kv.get('k'), 'from the leader');
  leader.script(written('8'));
  t.deepEqual(await kv.set('k', 'v'), { revision: '8' });
  t.is(follower.seen.length, 1);
});

test('the leader that a problem names is asked next', async (t) => {
  const leader = await scripted(t, written('8'));
  const follower = await scripted(
    t,
    problem('no-leader', { body: { leader: { id: 'n1', http: leader.address } } }),
  );
  t.deepEqual(await clientOf(t, follower.address).set('k', 'v'), { revision: '8' });
});

test('a leader that dies is forgotten, although others still name it', async (t) => {
  const leader = await scripted(t, found('old'));
  const others = await Promise.all([1, 2].map(() => scripted(t, found('ok', { leader: leader.address }))));
  const kv = clientOf(t, [others[0]!.address, others[1]!.address]);
  await kv.get('k');
  t.is(await kv.get('k'), 'old');
  await leader.stop();
  for (let i = 0; i < 4; i += 1) t.is(await kv.get('k'), 'ok');
});

test('a redirection is taken as the word on who leads, not followed blindly', async (t) => {
  const leader = await scripted(t, written('8'));
  const follower = await scripted(t, redirect(leader.address));
  const kv = clientOf(t, follower.address);
  await kv.set('k', 'v');
  t.deepEqual(leader.seen[0]!.body, { key: 'k', value: 'v' });
  await kv.set('k', 'v');
  t.is(follower.seen.length, 1);
});

test('nodes that send each other in circles: waits in between, and an error at the end', async (t) => {
  const first = await scripted(t);
  const second = await scripted(t, redirect(first.address));
  first.script(redirect(second.address));
  const kv = clientOf(t, [first.address, second.address], { retry: { ...QUICK, attemptsMax: 6 } });
  const error = await errorOf(t, kv.set('k', 'v'));
  t.true(error instanceof NoLeaderError);
  t.is(error.outcome, 'not-applied');
  t.is(first.seen.length + second.seen.length, 6);
});

test('a hint that is no address is ignored', async (t) => {
  const node = await scripted(t, found('v', { leader: 'not an:address/at all' }));
  const kv = clientOf(t, node.address);
  await kv.get('k');
  t.is(await kv.get('k'), 'v');
});

test('stale reads take turns over the endpoints, and never leave them', async (t) => {
  const stranger = await scripted(t, found('leader'));
  const nodes = await Promise.all([1, 2, 3].map(() => scripted(t, found('v', { leader: stranger.address }))));
  const kv = clientOf(
    t,
    nodes.map((node) => node.address),
    { consistency: 'stale' },
  );
  for (let i = 0; i < 9; i += 1) await kv.get('k');
  t.deepEqual(
    nodes.map((node) => node.seen.length),
    [3, 3, 3],
  );
  t.is(nodes[0]!.seen[0]!.query.get('consistency'), 'stale');
  t.is(stranger.seen.length, 0);
});

test('stale reads pass over a dead endpoint', async (t) => {
  const nodes = await Promise.all([1, 2].map(() => scripted(t, found())));
  const kv = clientOf(t, [nodes[0]!.address, await refusing(), nodes[1]!.address], { consistency: 'stale' });
  for (let i = 0; i < 8; i += 1) t.is(await kv.get('k'), 'v');
  t.is(nodes[0]!.seen.length + nodes[1]!.seen.length, 8);
});

test('a listing goes on page by page; one that is stale stays with its node', async (t) => {
  const page = (keys: string[], cursor: string | null) =>
    ok({ entries: keys.map((key) => ({ key, value: key, revision: '1' })), cursor, revision: '1' });
  const nodes = await Promise.all(
    [1, 2].map(() => scripted(t, page(['a', 'b'], 'c1'), page([], 'c2'), page(['c'], null))),
  );
  const kv = clientOf(
    t,
    nodes.map((node) => node.address),
  );
  const keys: string[] = [];
  for await (const entry of kv.list({ prefix: 'ü/', consistency: 'stale', reverse: true }))
    keys.push(entry.key);
  t.deepEqual(keys, ['a', 'b', 'c']);
  const seen = nodes.map((node) => node.seen).find((list) => list.length > 0)!;
  t.is(seen.length, 3);
  t.deepEqual(
    seen.map(({ query }) => query.get('cursor')),
    [null, 'c1', 'c2'],
  );
  t.is(seen[0]!.query.get('prefix'), 'ü/');
  t.is(seen[0]!.query.get('reverse'), 'true');
});

test('a listing stops at its limit', async (t) => {
  const entries = ['a', 'b', 'c'].map((key) => ({ key, value: '', revision: '1' }));
  const node = await scripted(t, ok({ entries, cursor: 'more', revision: '1' }));
  const keys: string[] = [];
  for await (const entry of clientOf(t, node.address).list({ limit: 3 })) keys.push(entry.key);
  t.is(keys.length, 3);
  t.is(node.seen.length, 1);
  t.is(node.seen[0]!.query.get('limit'), '3');
});

test('a page that fails is fetched again', async (t) => {
  const node = await scripted(t, broken, ok({ entries: [], cursor: null, revision: '1' }));
  for await (const entry of clientOf(t, node.address).list()) t.fail(entry.key);
  t.is(node.seen.length, 2);
});

test('connections are kept', async (t) => {
  const node = await scripted(t, found());
  const kv = clientOf(t, node.address);
  for (let i = 0; i < 10; i += 1) await kv.get('k');
  t.is(node.connections(), 1);
});

test('cluster.status()', async (t) => {
  const node = await scripted(t, ok({ id: 'n1', members: [{ id: 'n1' }] }), ok({ nothing: true }));
  const kv = clientOf(t, node.address);
  t.is((await kv.cluster.status()).members.length, 1);
  t.is(node.seen[0]!.path, '/cluster/status');
  t.is((await errorOf(t, kv.cluster.status())).code, 'bad-response');
});
