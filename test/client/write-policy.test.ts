/** When a write is sent again, and what its error says became of it. */

import test from 'ava';
import {
  ConflictError,
  InternalError,
  NoLeaderError,
  RateLimitedError,
  TimeoutError,
  TooLargeError,
  UnavailableError,
} from 'quorumkv-client';
import { clientOf, errorOf, IMPATIENT, QUICK } from './helpers.js';
import { broken, cut, hung, problem, raw, refusing, scripted, written } from './scripted-server.js';

test('a refused connection: the next node is asked', async (t) => {
  const node = await scripted(t, written('9'));
  const kv = clientOf(t, [await refusing(), node.address]);
  t.deepEqual(await kv.set('k', 'v'), { revision: '9' });
  t.is(node.seen.length, 1);
  t.deepEqual(node.seen[0]!.body, { key: 'k', value: 'v' });
});

test('nothing but refused connections: unavailable, not applied, with the cause', async (t) => {
  const kv = clientOf(t, [await refusing(), await refusing()], { retry: { ...QUICK, attemptsMax: 4 } });
  const error = await errorOf(t, kv.set('k', 'v'));
  t.true(error instanceof UnavailableError);
  t.is(error.code, 'unavailable');
  t.is(error.outcome, 'not-applied');
  t.true(error.retryable);
  t.regex(
    error.message,
    /cannot connect to http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED.*, after 4 attempts in \d+ ms$/,
  );
  t.is((error.cause as NodeJS.ErrnoException).code, 'ECONNREFUSED');
});

test('a name that does not resolve: not applied', async (t) => {
  const kv = clientOf(t, 'no-such-host.invalid:1', { retry: { ...QUICK, attemptsMax: 2 } });
  const error = await errorOf(t, kv.set('k', 'v'));
  t.true(error instanceof UnavailableError);
  t.is(error.outcome, 'not-applied');
});

for (const [name, step] of [
  ['breaks after the request', broken],
  ['breaks in the middle of the answer', cut],
] as const) {
  test(`a connection that ${name}: unknown, sent once`, async (t) => {
    const node = await scripted(t, step, written());
    const other = await scripted(t, written());
    const error = await errorOf(t, clientOf(t, [node.address, other.address]).set('k', 'v'));
    t.true(error instanceof UnavailableError);
    t.is(error.outcome, 'unknown');
    t.true(error.retryable);
    t.regex(error.message, /unknown whether the write was applied/);
    t.is(node.seen.length + other.seen.length, 1);
  });
}

test('a kept connection that broke while idle and is met by a write: unknown, sent once', async (t) => {
  const node = await scripted(t, written(), broken);
  const kv = clientOf(t, node.address);
  await kv.set('k', '1');
  const error = await errorOf(t, kv.set('k', '2'));
  t.is(error.outcome, 'unknown');
  t.is(node.connections(), 1);
});

test('a hung node: a write that may not be repeated waits for its whole time, then is unknown', async (t) => {
  const node = await scripted(t, hung);
  const other = await scripted(t, written());
  const kv = clientOf(t, [node.address, other.address]);
  const started = Date.now();
  const error = await errorOf(t, kv.set('k', 'v', { timeoutMs: 400 }));
  t.true(error instanceof TimeoutError);
  t.is(error.code, 'timeout');
  t.is(error.outcome, 'unknown');
  t.true(Date.now() - started >= 390);
  t.is(other.seen.length, 0);
  // The hung node is passed over from now on.
  t.deepEqual(await kv.set('k', 'v'), { revision: '7' });
  t.is(node.seen.length, 1);
});

for (const code of ['no-leader', 'no-quorum', 'shutting-down'] as const) {
  test(`503 ${code}: another node is asked at once, in spite of Retry-After`, async (t) => {
    const node = await scripted(t, problem(code, { retryAfter: 60 }));
    const other = await scripted(t, written('8'));
    t.deepEqual(await clientOf(t, [node.address, other.address]).set('k', 'v'), { revision: '8' });
    t.is(node.seen.length, 1);
  });
}

test('503 from the only node: Retry-After is waited for', async (t) => {
  const node = await scripted(t, problem('no-leader', { retryAfter: 1 }), written());
  await clientOf(t, node.address).set('k', 'v');
  t.true(node.seen[1]!.at - node.seen[0]!.at >= 990);
});

test('429: Retry-After holds for every node, since they all hand on to the same leader', async (t) => {
  const node = await scripted(t, problem('overloaded', { retryAfter: 1 }), written());
  const other = await scripted(t, written());
  await clientOf(t, [node.address, other.address]).set('k', 'v');
  const second = [...node.seen.slice(1), ...other.seen];
  t.is(second.length, 1);
  t.true(second[0]!.at - node.seen[0]!.at >= 990);
});

test('a Retry-After that outlasts the call: its error at once', async (t) => {
  const node = await scripted(t, problem('overloaded', { retryAfter: 60 }));
  const started = Date.now();
  const error = await errorOf(t, clientOf(t, node.address).set('k', 'v'));
  t.true(error instanceof RateLimitedError);
  t.is(error.outcome, 'not-applied');
  t.is(error.requestId, 'r-1');
  t.true(Date.now() - started < 2_000);
});

for (const code of ['timeout', 'leadership-lost'] as const) {
  test(`504 ${code}: unknown, sent once`, async (t) => {
    const node = await scripted(t, problem(code), written());
    const error = await errorOf(t, clientOf(t, node.address).set('k', 'v'));
    t.is(error.code, code);
    t.true(code === 'timeout' ? error instanceof TimeoutError : error instanceof UnavailableError);
    t.is(error.outcome, 'unknown');
    t.is(node.seen.length, 1);
  });
}

test('a 503 that a forwarding node weakened to unknown is not repeated', async (t) => {
  const node = await scripted(t, problem('no-leader', { outcome: 'unknown' }), written());
  const error = await errorOf(t, clientOf(t, node.address).set('k', 'v'));
  t.true(error instanceof NoLeaderError);
  t.is(error.outcome, 'unknown');
  t.is(node.seen.length, 1);
});

test('refusals are final: nothing is sent again', async (t) => {
  const codes = ['revision-mismatch', 'too-large', 'bad-request', 'disk-full', 'internal'] as const;
  for (const code of codes) {
    const node = await scripted(t, problem(code), written());
    const error = await errorOf(t, clientOf(t, node.address).set('k', 'v'));
    t.is(error.code, code);
    t.is(error.outcome, code === 'internal' ? 'unknown' : 'not-applied');
    t.false(error.retryable);
    t.is(node.seen.length, 1);
  }
});

test('a failed condition tells the revision that is there', async (t) => {
  const node = await scripted(t, problem('revision-mismatch', { body: { currentRevision: '42' } }));
  const error = await errorOf(t, clientOf(t, node.address).set('k', 'v', { ifRevision: '3' }));
  t.true(error instanceof ConflictError && error.currentRevision === '42');
  t.deepEqual(node.seen[0]!.body, { key: 'k', value: 'v', ifRevision: '3' });
});

test('answers that are no problem of this protocol prove nothing about a write', async (t) => {
  for (const [status, type] of [
    [502, UnavailableError],
    [400, InternalError],
    [200, InternalError],
    [413, TooLargeError],
  ] as const) {
    const node = await scripted(t, raw(status, '<h1>proxy</h1>'), written());
    const error = await errorOf(t, clientOf(t, node.address).set('k', 'v'));
    t.true(error instanceof type, String(status));
    t.is(error.outcome, 'unknown');
    t.is(node.seen.length, 1);
  }
});

test('retryUncertain: sent again after an unknown outcome, and its success is the call’s', async (t) => {
  const node = await scripted(t, broken, problem('timeout'), problem('leadership-lost'), cut, written('12'));
  const kv = clientOf(t, node.address);
  t.deepEqual(await kv.set('k', 'v', { retryUncertain: true }), { revision: '12' });
  t.is(node.seen.length, 5);
});

test('retryUncertain: a hung node is left for another', async (t) => {
  const node = await scripted(t, hung);
  const other = await scripted(t, written('5'));
  const kv = clientOf(t, [node.address, other.address], { retry: IMPATIENT });
  t.deepEqual(await kv.set('k', 'v', { retryUncertain: true }), { revision: '5' });
});

test('the outcome is unknown as soon as that of any attempt was', async (t) => {
  const node = await scripted(t, broken, problem('too-large'));
  const error = await errorOf(t, clientOf(t, node.address).set('k', 'v', { retryUncertain: true }));
  t.true(error instanceof TooLargeError);
  t.is(error.outcome, 'unknown');
  t.is(node.seen.length, 2);
});

test('attemptsMax: 1 switches retries off', async (t) => {
  const node = await scripted(t, problem('no-leader'), written());
  const kv = clientOf(t, node.address, { retry: { attemptsMax: 1 } });
  t.true((await errorOf(t, kv.set('k', 'v'))) instanceof NoLeaderError);
  t.is(node.seen.length, 1);
});

test('a delete is a write: unknown is not repeated, not-applied is', async (t) => {
  const node = await scripted(t, problem('no-leader'), broken, written());
  const error = await errorOf(t, clientOf(t, node.address).delete('k', { ifRevision: '3' }));
  t.is(error.outcome, 'unknown');
  t.is(node.seen.length, 2);
  t.is(node.seen[0]!.query.get('ifRevision'), '3');
});
