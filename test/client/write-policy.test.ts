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
import {
  broken,
  cut,
  granted,
  hung,
  ok,
  problem,
  raw,
  refusing,
  scripted,
  written,
} from './scripted-server.js';

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
  test(`a connection that ${name}: sent again to another node, as the same write`, async (t) => {
    const node = await scripted(t, step);
    const other = await scripted(t, written('12'));
    const kv = clientOf(t, [node.address, other.address]);
    t.deepEqual(await kv.set('k', 'v'), { revision: '12' });
    t.deepEqual([node.seen.length, other.seen.length], [1, 1]);
    t.truthy(node.seen[0]!.session);
    t.is(other.seen[0]!.session, node.seen[0]!.session);
    t.deepEqual(other.seen[0]!.body, node.seen[0]!.body);
  });

  test(`a connection that ${name}, without a second attempt: unknown`, async (t) => {
    const node = await scripted(t, step, written());
    const kv = clientOf(t, node.address, { retry: { attemptsMax: 1 } });
    const error = await errorOf(t, kv.set('k', 'v'));
    t.true(error instanceof UnavailableError);
    t.is(error.outcome, 'unknown');
    t.true(error.retryable);
    t.regex(error.message, /unknown whether the write was applied/);
    t.is(node.seen.length, 1);
  });
}

test('a kept connection that broke while idle and is met by a write: sent again', async (t) => {
  const node = await scripted(t, written(), broken, written('8'));
  const kv = clientOf(t, node.address);
  await kv.set('k', '1');
  t.deepEqual(await kv.set('k', '2'), { revision: '8' });
  t.is(node.connections(), 2);
  t.deepEqual(
    node.seen.map(({ body }) => (body as { value: string }).value),
    ['1', '2', '2'],
  );
  t.is(node.seen[2]!.session, node.seen[1]!.session);
  t.not(node.seen[1]!.session, node.seen[0]!.session);
});

test('a hung node is left for another, and passed over by the next write', async (t) => {
  const node = await scripted(t, hung);
  const other = await scripted(t, written('5'));
  const kv = clientOf(t, [node.address, other.address], { retry: IMPATIENT });
  t.deepEqual(await kv.set('k', 'v'), { revision: '5' });
  t.is(other.seen[0]!.session, node.seen[0]!.session);
  t.deepEqual(await kv.set('k', 'w'), { revision: '5' });
  t.deepEqual([node.seen.length, other.seen.length], [1, 2]);
});

test('nothing but hung nodes: the call takes its whole time, then is unknown', async (t) => {
  const node = await scripted(t, written(), hung);
  const kv = clientOf(t, node.address);
  await kv.set('k', 'v');
  const started = Date.now();
  const error = await errorOf(t, kv.set('k', 'v', { timeoutMs: 1_000 }));
  t.true(error instanceof TimeoutError);
  t.is(error.code, 'timeout');
  t.is(error.outcome, 'unknown');
  t.true(Date.now() - started >= 990);
  t.is(node.seen.length, 2);
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

for (const [code, type] of [
  ['timeout', TimeoutError],
  ['leadership-lost', UnavailableError],
] as const) {
  test(`504 ${code}: sent again, as the same write`, async (t) => {
    const node = await scripted(t, problem(code), written('8'));
    t.deepEqual(await clientOf(t, node.address).set('k', 'v'), { revision: '8' });
    t.is(node.seen.length, 2);
    t.is(node.seen[1]!.session, node.seen[0]!.session);
  });

  test(`504 ${code} to the end: unknown`, async (t) => {
    const node = await scripted(t, problem(code));
    const kv = clientOf(t, node.address, { retry: { ...QUICK, attemptsMax: 3 } });
    const error = await errorOf(t, kv.set('k', 'v'));
    t.is(error.code, code);
    t.true(error instanceof type);
    t.is(error.outcome, 'unknown');
    t.is(node.seen.length, 3);
  });
}

test('a 503 that a forwarding node weakened to unknown leaves the call unknown', async (t) => {
  const steps = [problem('no-leader', { outcome: 'unknown' }), problem('no-leader')];
  const node = await scripted(t, ...steps);
  const kv = clientOf(t, node.address, { retry: { ...QUICK, attemptsMax: 4 } });
  const error = await errorOf(t, kv.set('k', 'v'));
  t.true(error instanceof NoLeaderError);
  t.is(error.outcome, 'unknown');
  t.is(node.seen.length, 4);
  node.script(...steps, written('8'));
  t.deepEqual(await kv.set('k', 'v'), { revision: '8' });
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
  for (const [status, type, attempts] of [
    [502, UnavailableError, 2],
    [400, InternalError, 1],
    [200, InternalError, 1],
    [201, InternalError, 1],
    [409, InternalError, 1],
    [413, TooLargeError, 1],
  ] as const) {
    const node = await scripted(t, raw(status, '<h1>proxy</h1>'));
    const kv = clientOf(t, node.address, { retry: { ...QUICK, attemptsMax: 2 } });
    const error = await errorOf(t, kv.set('k', 'v'));
    t.true(error instanceof type, String(status));
    t.is(error.outcome, 'unknown');
    t.is(node.seen.length, attempts);
  }
});

test('201 is not the success of a write', async (t) => {
  const node = await scripted(t, granted('5'));
  const error = await errorOf(t, clientOf(t, node.address).set('k', 'v'));
  t.is(error.code, 'bad-response');
  t.is(error.outcome, 'unknown');
});

test('sent again after every kind of uncertainty, and its success is the call’s', async (t) => {
  const node = await scripted(t, broken, problem('timeout'), problem('leadership-lost'), cut, written('12'));
  t.deepEqual(await clientOf(t, node.address).set('k', 'v', { ifRevision: '3' }), { revision: '12' });
  t.is(node.seen.length, 5);
  t.is(new Set(node.seen.map(({ session }) => session)).size, 1);
});

test('the outcome is unknown as soon as that of any attempt was', async (t) => {
  const node = await scripted(t, broken, problem('too-large'));
  const error = await errorOf(t, clientOf(t, node.address).set('k', 'v'));
  t.true(error instanceof TooLargeError);
  t.is(error.outcome, 'unknown');
  t.is(node.seen.length, 2);
});

test('a condition that fails is the result of the write, whatever attempt had it: not applied', async (t) => {
  const node = await scripted(t, broken, problem('revision-mismatch', { body: { currentRevision: '42' } }));
  const error = await errorOf(t, clientOf(t, node.address).set('k', 'v', { ifRevision: '3' }));
  t.true(error instanceof ConflictError && error.currentRevision === '42');
  t.is(error.outcome, 'not-applied');
  t.notRegex(error.message, /unknown/);
  t.is(node.seen.length, 2);
});

test('attemptsMax: 1 switches retries off', async (t) => {
  const node = await scripted(t, problem('no-leader'), written());
  const kv = clientOf(t, node.address, { retry: { attemptsMax: 1 } });
  t.true((await errorOf(t, kv.set('k', 'v'))) instanceof NoLeaderError);
  t.is(node.seen.length, 1);
});

test('a delete is a write: sent again as the same one', async (t) => {
  const node = await scripted(t, problem('no-leader'), broken, ok({ status: 'deleted' }));
  t.true(await clientOf(t, node.address).delete('k', { ifRevision: '3' }));
  t.is(node.seen.length, 3);
  t.is(node.seen[0]!.query.get('ifRevision'), '3');
  t.truthy(node.seen[0]!.session);
  t.is(new Set(node.seen.map(({ session }) => session)).size, 1);
});

test('a delete that no attempt confirmed: unknown', async (t) => {
  const node = await scripted(t, broken);
  const kv = clientOf(t, node.address, { retry: { ...QUICK, attemptsMax: 2 } });
  t.is((await errorOf(t, kv.delete('k'))).outcome, 'unknown');
  t.is(node.seen.length, 2);
});
