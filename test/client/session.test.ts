/** Sessions: how they are opened, numbered and shared. */

import { once } from 'node:events';
import test from 'ava';
import {
  AbortedError,
  ClosedError,
  InternalError,
  KVClient,
  NoLeaderError,
  RateLimitedError,
  TimeoutError,
} from 'quorumkv-client';
import { SESSION_WINDOW } from '../../api/limits.js';
import { SESSION_WINDOW as WINDOW_OF_STATE } from '../../kv/command.js';
import { byValue, clientOf, errorOf, held, IMPATIENT, PATIENT, QUICK, sessions } from './helpers.js';
import {
  broken,
  cut,
  found,
  granted,
  hung,
  ok,
  problem,
  raw,
  redirect,
  scripted,
  written,
  type Step,
} from './scripted-server.js';

test('client and state machine mean the same window', (t) => {
  t.is(SESSION_WINDOW, WINDOW_OF_STATE);
});

test('the first write opens a session, without a body; reads need none', async (t) => {
  const node = await scripted(t, found());
  node.scriptSessions(granted('41'));
  const kv = clientOf(t, node.address);
  await kv.get('k');
  t.is(node.openings.length, 0);
  t.is(node.seen[0]!.session, undefined);
  node.script(written());
  await kv.set('k', 'v');
  await kv.set('k', 'v');
  node.script(ok({ status: 'deleted' }));
  await kv.delete('k');
  t.is(node.openings.length, 1);
  t.is(node.openings[0]!.method, 'POST');
  t.is(node.openings[0]!.body, undefined);
  t.deepEqual(sessions(node).slice(1), ['41/0/0', '41/1/1', '41/2/2']);
});

test('concurrent first writes share one opening; every one has its own number', async (t) => {
  const node = await scripted(t, written());
  const opening = held(granted('41'));
  node.scriptSessions(opening.step);
  const kv = clientOf(t, node.address);
  const calls = Array.from({ length: 20 }, (_, i) => kv.set(`k${i}`, 'v'));
  await node.arrived(1, 'openings');
  opening.release();
  await Promise.all(calls);
  t.is(node.openings.length, 1);
  const numbers = sessions(node).map((session) => Number(session!.split('/')[1]));
  t.deepEqual(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i),
  );
  for (const session of sessions(node)) t.true(session!.startsWith('41/'));
});

test('every client has a session of its own', async (t) => {
  const node = await scripted(t, written());
  await clientOf(t, node.address).set('k', 'v');
  await clientOf(t, node.address).set('k', 'v');
  t.is(node.openings.length, 2);
  t.is(new Set(sessions(node)).size, 2);
});

test('the lowest pending number is that of the moment of sending, for a repeat, too', async (t) => {
  const slow = held(written('9'));
  const failing = held(broken);
  const node = await scripted(t, byValue({ slow: slow.step, failing: failing.step }));
  node.scriptSessions(granted('41'));
  const kv = clientOf(t, node.address);
  await kv.set('k', 'first');
  const calls = [kv.set('k', 'slow'), kv.set('k', 'failing')];
  await node.arrived(3);
  await kv.set('k', 'between');
  slow.release();
  await calls[0];
  node.script(written());
  failing.release();
  await Promise.all(calls);
  await kv.set('k', 'last');
  t.deepEqual(
    node.seen.map(({ session, body }) => [(body as { value: string }).value, session]),
    [
      ['first', '41/0/0'],
      ['slow', '41/1/1'],
      ['failing', '41/2/1'],
      ['between', '41/3/1'],
      ['failing', '41/2/2'],
      ['last', '41/4/4'],
    ],
  );
});

test('a number is pending no more once its call has failed or was given up', async (t) => {
  const node = await scripted(t, problem('too-large'), hung, hung, written());
  node.scriptSessions(granted('41'));
  const kv = clientOf(t, node.address);
  const stop = new AbortController();
  await errorOf(t, kv.set('k', 'refused'));
  await errorOf(t, kv.set('k', 'late', { timeoutMs: 1_000 }));
  const aborted = kv.set('k', 'aborted', { signal: stop.signal });
  await node.arrived(3);
  stop.abort();
  await errorOf(t, aborted);
  await kv.set('k', 'v');
  t.deepEqual(sessions(node), ['41/0/0', '41/1/1', '41/2/2', '41/3/3']);
});

// Serial: a thousand requests at once would make the node of a test beside it look hung.
test.serial('the window: a write waits for the oldest one, in order, and within its own time', async (t) => {
  const oldest = held(written());
  const node = await scripted(t, byValue({ oldest: oldest.step }));
  node.scriptSessions(granted('41'));
  const kv = clientOf(t, node.address, PATIENT);
  const first = kv.set('k', 'oldest');
  await node.arrived(1);
  for (let sent = 1; sent < SESSION_WINDOW; sent += 64) {
    const count = Math.min(64, SESSION_WINDOW - sent);
    await Promise.all(Array.from({ length: count }, () => kv.set('k', 'v')));
  }
  t.is(node.seen.length, SESSION_WINDOW);
  t.is(node.seen.at(-1)!.session!.split('/')[2], '0');

  const stop = new AbortController();
  const waiting = [kv.set('k', 'a'), kv.set('k', 'aborted', { signal: stop.signal }), kv.set('k', 'b')];
  const late = await errorOf(t, kv.set('k', 'late', { timeoutMs: 100 }));
  t.true(late instanceof TimeoutError);
  t.is(late.outcome, 'not-applied');
  stop.abort();
  const aborted = await errorOf(t, waiting[1]!);
  t.true(aborted instanceof AbortedError);
  t.is(aborted.outcome, 'not-applied');
  t.is(node.seen.length, SESSION_WINDOW);

  oldest.release();
  await Promise.all([first, waiting[0], waiting[2]]);
  // Both find room at once, so they may arrive either way round; their numbers tell who came first.
  const last = node.seen.slice(SESSION_WINDOW).map(({ session, body }) => [session, body]);
  t.deepEqual(
    last.toSorted(([a], [b]) => String(a).localeCompare(String(b))),
    [
      [`41/${SESSION_WINDOW}/${SESSION_WINDOW}`, { key: 'k', value: 'a' }],
      [`41/${SESSION_WINDOW + 1}/${SESSION_WINDOW}`, { key: 'k', value: 'b' }],
    ],
  );
});

test('an opening is repeated on whatever may pass', async (t) => {
  const node = await scripted(t, written());
  const steps = [
    broken,
    cut,
    problem('timeout'),
    problem('leadership-lost'),
    problem('no-quorum'),
    problem('overloaded'),
    raw(502, 'proxy'),
  ];
  node.scriptSessions(...steps, granted());
  t.deepEqual(await clientOf(t, node.address).set('k', 'v'), { revision: '7' });
  t.is(node.openings.length, steps.length + 1);
  t.is(node.seen.length, 1);
});

test('too many sessions: Retry-After is waited for, or ends the call when that outlasts it', async (t) => {
  const node = await scripted(t, written());
  node.scriptSessions(problem('overloaded', { retryAfter: 1 }), granted());
  await clientOf(t, node.address).set('k', 'v');
  t.true(node.openings[1]!.at - node.openings[0]!.at >= 990);

  node.scriptSessions(problem('overloaded', { retryAfter: 60 }));
  const started = Date.now();
  const error = await errorOf(t, clientOf(t, node.address).set('k', 'v'));
  t.true(error instanceof RateLimitedError);
  t.is(error.outcome, 'not-applied');
  t.true(Date.now() - started < 2_000);
  t.is(node.seen.length, 1);
});

test('no session to be had: the write is certainly not applied, and not sent', async (t) => {
  const node = await scripted(t, written());
  const kv = clientOf(t, node.address, { retry: { ...QUICK, attemptsMax: 3 } });
  const cases: [Step, unknown, number][] = [
    [problem('no-leader'), NoLeaderError, 3],
    [problem('no-such-route'), InternalError, 1],
    [problem('internal'), InternalError, 1],
    [ok({ clientId: '5' }), InternalError, 1],
    [granted(''), InternalError, 1],
    [granted('1/2'), InternalError, 1],
  ];
  for (const [step, type, attempts] of cases) {
    const before = node.openings.length;
    node.scriptSessions(step);
    const error = await errorOf(t, kv.set('k', 'v'));
    t.true(error instanceof (type as typeof InternalError), error.message);
    t.is(error.outcome, 'not-applied');
    t.is(node.openings.length - before, attempts);
  }
  t.is(node.seen.length, 0);
  node.scriptSessions(granted());
  await kv.set('k', 'v');
});

test('a node that hangs is left for another by an opening, and passed over by its write', async (t) => {
  const node = await scripted(t, written('1'));
  node.scriptSessions(hung);
  const other = await scripted(t, written('2'));
  const kv = clientOf(t, [node.address, other.address], { retry: IMPATIENT });
  t.deepEqual(await kv.set('k', 'v'), { revision: '2' });
  t.is(node.openings.length, 1);
  t.is(node.seen.length, 0);
});

test('an opening that hangs: no call waits beyond its own time, and the node is passed over', async (t) => {
  const node = await scripted(t, written('1'));
  node.scriptSessions(hung);
  const other = await scripted(t, written('2'));
  const kv = clientOf(t, [node.address, other.address]);
  const error = await errorOf(t, kv.set('k', 'v', { timeoutMs: 1_000 }));
  t.true(error instanceof TimeoutError);
  t.is(error.outcome, 'not-applied');
  t.regex(error.message, /no session from http/);
  t.deepEqual(await kv.set('k', 'v'), { revision: '2' });
  t.deepEqual([node.openings.length, other.openings.length], [1, 1]);
});

test('who began the opening may leave: the others go on with it', async (t) => {
  const node = await scripted(t, written());
  const opening = held(granted());
  node.scriptSessions(opening.step);
  const kv = clientOf(t, node.address);
  const stop = new AbortController();
  const aborted = errorOf(t, kv.set('k', 'aborted', { signal: stop.signal }));
  const late = errorOf(t, kv.set('k', 'late', { timeoutMs: 50 }));
  const call = kv.set('k', 'v');
  await node.arrived(1, 'openings');
  stop.abort();
  t.is((await aborted).outcome, 'not-applied');
  t.is((await late).code, 'timeout');
  opening.release();
  t.deepEqual(await call, { revision: '7' });
  t.is(node.openings.length, 1);
  t.is(node.seen.length, 1);
});

test('an opening that nobody waits for is broken off', async (t) => {
  const node = await scripted(t, written());
  let closed: Promise<unknown> | undefined;
  node.scriptSessions((_response, _seen, socket) => void (closed = once(socket, 'close')), granted());
  const kv = clientOf(t, node.address, PATIENT);
  const stop = new AbortController();
  const calls = [1, 2].map((n) => errorOf(t, kv.set('k', String(n), { signal: stop.signal })));
  await node.arrived(1, 'openings');
  stop.abort();
  for (const error of await Promise.all(calls)) t.is(error.code, 'aborted');
  await closed;
  await kv.set('k', 'v');
  t.is(node.openings.length, 2);
});

test('close() during an opening', async (t) => {
  const node = await scripted(t, written());
  node.scriptSessions(hung);
  const kv = new KVClient(node.address);
  const call = errorOf(t, kv.set('k', 'v'));
  await node.arrived(1, 'openings');
  await kv.close();
  const error = await call;
  t.true(error instanceof ClosedError);
  t.is(error.outcome, 'not-applied');
  t.is(node.seen.length, 0);
});

test('close() asks nothing of the server: the session expires by itself', async (t) => {
  const node = await scripted(t, written());
  const kv = new KVClient(node.address);
  await kv.set('k', 'v');
  await kv.close();
  t.is(node.seen.length + node.openings.length, 2);
});

test('a follower that redirects sends the opening to the leader, too', async (t) => {
  const leader = await scripted(t, written('8'));
  const follower = await scripted(t, written('1'));
  follower.scriptSessions(redirect(leader.address));
  t.deepEqual(await clientOf(t, follower.address).set('k', 'v'), { revision: '8' });
  t.deepEqual([follower.openings.length, leader.openings.length], [1, 1]);
  t.is(follower.seen.length, 0);
});
