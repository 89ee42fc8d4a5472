/** Sessions that end under writes: what is sent again, and what never is. */

import test from 'ava';
import { SessionExpiredError } from 'quorumkv-client';
import { SESSION_WINDOW } from '../../api/limits.js';
import { byValue, clientOf, errorOf, held, PATIENT, sessions } from './helpers.js';
import { broken, granted, problem, raw, scripted, written } from './scripted-server.js';

const expired = problem('session-expired');

test('an expired session, no attempt in doubt: the write goes out again under a new one', async (t) => {
  const node = await scripted(t, written(), problem('no-leader'), expired, written('8'));
  node.scriptSessions(granted('41'), granted('42'));
  const kv = clientOf(t, node.address);
  await kv.set('k', 'v');
  t.deepEqual(await kv.set('k', 'v'), { revision: '8' });
  await kv.set('k', 'v');
  t.deepEqual(sessions(node), ['41/0/0', '41/1/1', '41/1/1', '42/0/0', '42/1/1']);
  t.is(node.openings.length, 2);
});

test('an expired session is no failure that attemptsMax counts', async (t) => {
  const node = await scripted(t, expired, written('8'));
  node.scriptSessions(granted('41'), granted('42'));
  const kv = clientOf(t, node.address, { retry: { attemptsMax: 1 } });
  t.deepEqual(await kv.set('k', 'v'), { revision: '8' });
  t.deepEqual(sessions(node), ['41/0/0', '42/0/0']);
});

for (const [name, step] of [
  ['broke', broken],
  ['timed out', problem('timeout')],
] as const) {
  test(`an expired session after an attempt that ${name}: rejected as unknown, never sent again`, async (t) => {
    const node = await scripted(t, step, expired, written('8'));
    const kv = clientOf(t, node.address);
    const error = await errorOf(t, kv.set('k', 'v'));
    t.true(error instanceof SessionExpiredError);
    t.is(error.code, 'session-expired');
    t.is(error.outcome, 'unknown');
    t.false(error.retryable);
    t.is(node.seen.length, 2);
    t.is(node.openings.length, 1);
    // The next write is not held up by it.
    t.deepEqual(await kv.set('k', 'w'), { revision: '8' });
    t.is(node.openings.length, 2);
  });
}

test('writes under a session that expires decide for themselves; the new one is opened once', async (t) => {
  const doubtful = held(broken);
  const sure = Array.from({ length: 8 }, (_, i) => `sure ${i}`);
  const holds = sure.map(() => held(expired));
  const node = await scripted(
    t,
    byValue({
      doubtful: doubtful.step,
      ...Object.fromEntries(sure.map((value, i) => [value, holds[i]!.step])),
    }),
  );
  node.scriptSessions(granted('41'), granted('42'));
  const kv = clientOf(t, node.address);
  const failing = errorOf(t, kv.set('k', 'doubtful'));
  const going = sure.map((value) => kv.set('k', value));
  await node.arrived(9);
  // From now on the first session is gone.
  node.script((response, seen, socket) =>
    (seen.session!.startsWith('41/') ? expired : written())(response, seen, socket),
  );
  for (const { release } of holds) release();
  await Promise.all(going);
  doubtful.release();
  const error = await failing;
  t.true(error instanceof SessionExpiredError);
  t.is(error.outcome, 'unknown');
  t.is(node.openings.length, 2);
  t.is(node.seen.length, 9 + 8 + 1);
  const values = node.seen.slice(9).map(({ session, body }) => [session!.slice(0, 3), body]);
  t.deepEqual(values.at(-1), ['41/', { key: 'k', value: 'doubtful' }]);
  for (const [session] of values.slice(0, -1)) t.is(session, '42/');
});

// Serial: a thousand requests at once would make the node of a test beside it look hung.
test.serial('writes that wait for room in a session that ends move on to the next one', async (t) => {
  const blocking = held(expired);
  const node = await scripted(t, byValue({ blocking: blocking.step }));
  node.scriptSessions(granted('41'), granted('42'));
  const kv = clientOf(t, node.address, PATIENT);
  const first = kv.set('k', 'blocking');
  await node.arrived(1);
  for (let sent = 1; sent < SESSION_WINDOW; sent += 1) kv.set('k', 'v').catch(() => undefined);
  await node.arrived(SESSION_WINDOW);
  const waiting = kv.set('k', 'waiting');
  node.script(written());
  blocking.release();
  await Promise.all([first, waiting]);
  const values = node.seen.slice(SESSION_WINDOW).map(({ session, body }) => [session!.slice(0, 3), body]);
  t.deepEqual(new Set(values.map(([session]) => session)), new Set(['42/']));
  t.is(values.length, 2);
});

test('a server whose sessions always expire: given up after a few, as not applied', async (t) => {
  const node = await scripted(t, expired);
  const error = await errorOf(t, clientOf(t, node.address).set('k', 'v'));
  t.true(error instanceof SessionExpiredError);
  t.is(error.outcome, 'not-applied');
  t.is(node.openings.length, 4);
  t.is(node.seen.length, 4);
});

test('a proxy’s 409 with no word of a session is no expiry', async (t) => {
  const node = await scripted(t, raw(409, 'session-expired'), written());
  const error = await errorOf(t, clientOf(t, node.address).set('k', 'v'));
  t.is(error.code, 'bad-response');
  t.is(error.outcome, 'unknown');
  t.is(node.openings.length, 1);
});

test('a conflict of numbers: rejected as unknown; later writes have another session', async (t) => {
  const node = await scripted(t, problem('session-conflict'), written());
  const kv = clientOf(t, node.address);
  const error = await errorOf(t, kv.set('k', 'v'));
  t.true(error instanceof SessionExpiredError);
  t.is(error.code, 'session-conflict');
  t.is(error.outcome, 'unknown');
  t.is(node.seen.length, 1);
  await kv.set('k', 'v');
  t.is(node.openings.length, 2);
});
