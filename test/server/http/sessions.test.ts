import test from 'ava';

import { SESSION_WINDOW } from '../../../kv/command.js';
import { ServiceError } from '../../../server/service.js';
import { assertProblem, startNode } from './harness.js';

test('POST /sessions answers 201 with a client id, a string; it takes no body and no other parameters', async (t) => {
  const node = await startNode(t);
  const answer = await fetch(`${node.url}/sessions`, { method: 'POST' });
  t.is(answer.status, 201);
  t.regex(((await answer.json()) as { clientId: string }).clientId, /^\d+$/);
  await assertProblem(
    t,
    await fetch(`${node.url}/sessions`, { method: 'POST', body: '{}' }),
    400,
    'bad-request',
  );
  await assertProblem(t, await fetch(`${node.url}/sessions?x=1`, { method: 'POST' }), 400, 'bad-request');
  await assertProblem(t, await fetch(`${node.url}/sessions`), 405, 'method-not-allowed');
});

test('KV-Session tags every form of a write', async (t) => {
  const node = await startNode(t);
  const headers = { 'KV-Session': '7/5/3' };
  const session = { clientId: 7, seq: 5, lowestPending: 3 };
  await fetch(`${node.url}/set`, { method: 'POST', headers, body: '{"key":"a","value":"1"}' });
  await fetch(`${node.url}/delete?key=a`, { method: 'DELETE', headers });
  await fetch(`${node.url}/kv/a`, { method: 'PUT', headers, body: '{"value":"1"}' });
  await fetch(`${node.url}/kv/a`, { method: 'DELETE', headers });
  t.deepEqual(
    node.service.proposed.map((write) => write.session),
    [session, session, session, session],
  );
});

for (const [what, header] of [
  ['too few numbers', '7/5'],
  ['a word', 'a/5/3'],
  ['a negative number', '7/-5/3'],
  ['a number beyond 2^53', '7/99999999999999999999/3'],
  ['a number below the lowest pending one', '7/2/3'],
  ['a number too far above it', `7/${3 + SESSION_WINDOW}/3`],
] as const) {
  test(`KV-Session with ${what} is refused by name, and nothing is proposed`, async (t) => {
    const node = await startNode(t);
    const answer = await fetch(`${node.url}/set`, {
      method: 'POST',
      headers: { 'KV-Session': header },
      body: '{"key":"a","value":"1"}',
    });
    await assertProblem(t, answer, 400, 'bad-request', 'KV-Session');
    t.deepEqual(node.service.proposed, []);
  });
}

for (const code of ['session-expired', 'session-conflict'] as const) {
  test(`${code} is answered 409: not to be retried, and what an earlier attempt did is unknown`, async (t) => {
    const node = await startNode(t);
    node.service.failure = new ServiceError(code, 'the session is gone');
    const answer = await fetch(`${node.url}/set`, { method: 'POST', body: '{"key":"a","value":"1"}' });
    t.like(await assertProblem(t, answer, 409, code), { outcome: 'unknown', retryable: false });
  });
}
