/** What surrounds an answer: failures of the service, identification, redirects, other sites, status, JSON-RPC. */

import test from 'ava';

import { ERRORS, type ErrorCode } from '../../../api/errors.js';
import { ServiceError } from '../../../server/service.js';
import { assertProblem, exchange, postJson, startNode } from './harness.js';

test('an expected failure keeps its code, its outcome and its Retry-After', async (t) => {
  const { url, service } = await startNode(t);
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    service.failure = new ServiceError(code, 'why', { cause: new Error('inside') });
    const response = await postJson(`${url}/set`, { key: 'k', value: 'v' });
    const problem = await assertProblem(t, response, ERRORS[code].status, code);
    t.like(problem, { ...ERRORS[code], detail: 'why', leader: { id: 'n1', http: '127.0.0.1:8080' } });
    const isLater = problem.status === 429 || problem.status === 503;
    t.is(response.headers.get('retry-after'), isLater ? '1' : null);
  }
  service.failure = new ServiceError('overloaded', 'full', { retryAfterSeconds: 2.5, outcome: 'unknown' });
  const response = await fetch(`${url}/get?key=k`);
  t.is((await assertProblem(t, response, 429, 'overloaded')).outcome, 'unknown');
  t.is(response.headers.get('retry-after'), '3');

  service.leaderHint = undefined;
  service.failure = new ServiceError('no-leader', 'election');
  const leaderless = await fetch(`${url}/kv`);
  t.is((await assertProblem(t, leaderless, 503, 'no-leader')).leader, undefined);
  t.is(leaderless.headers.get('kv-leader'), null);
});

test('an unexpected failure is logged with its stack and told without', async (t) => {
  const { url, service, logged } = await startNode(t);
  for (const failure of [new Error('secret inside'), new TypeError('secret inside'), 'secret inside']) {
    service.failure = failure;
    const response = await postJson(`${url}/set`, { key: 'k', value: 'v' });
    const problem = await assertProblem(t, response, 500, 'internal');
    t.is(problem.outcome, 'unknown');
    t.notRegex(JSON.stringify(problem), /secret|stack/);
    const line = logged.find((one) => one.includes(problem.requestId)) ?? '';
    t.regex(line, /secret inside/);
  }
  t.regex(logged.join(''), /"stack":"Error: secret inside\\n/);
});

test('a request keeps its own id when that is sane', async (t) => {
  const { url } = await startNode(t);
  const idOf = async (id: string): Promise<string | null> =>
    (await fetch(`${url}/livez`, { headers: { 'X-Request-Id': id } })).headers.get('kv-request-id');
  t.is(await idOf('abc-123'), 'abc-123');
  t.not(await idOf('a b'), 'a b');
  t.not(await idOf('x'.repeat(129)), 'x'.repeat(129));
  const fresh = [await idOf(''), await idOf(''), await idOf('"')];
  t.is(new Set(fresh).size, 3);
});

for (const how of ['asked for', 'configured'] as const) {
  test(`a write at a follower is redirected when that is ${how}`, async (t) => {
    const isConfigured = how === 'configured';
    const { url, service } = await startNode(t, {
      http: { onFollower: isConfigured ? 'redirect' : 'forward' },
    });
    const ask = isConfigured ? '' : 'redirect=true';
    service.leading = false;
    service.leaderHint = { id: 'n2', http: '127.0.0.2:8080' };
    const requests: [method: string, path: string, body?: string][] = [
      ['POST', `/set?${ask}`, '{"key":"k","value":"v"}'],
      ['PUT', `/kv/a%2F%20b?${ask}`, '{"value":"v"}'],
      ['DELETE', `/kv/a/b?${ask}`],
      ['DELETE', `/delete?key=a%20b&${ask}`],
    ];
    for (const [method, path, body] of requests) {
      const response = await fetch(url + path, { method, redirect: 'manual', body: body ?? null });
      t.is(response.status, 307);
      t.is(response.headers.get('location'), new URL(path, 'http://127.0.0.2:8080').href.replace(/\?$/, ''));
      t.deepEqual(await response.json(), { leaderId: 'n2', leaderAddr: '127.0.0.2:8080' });
      t.is(response.headers.get('kv-leader'), 'n2 127.0.0.2:8080');
    }
    t.deepEqual(service.proposed, []);

    t.is((await postJson(`${url}/set?redirect=false`, { key: 'k', value: 'v' })).status, 200);
    t.is((await fetch(`${url}/get?key=k`, { redirect: 'manual' })).status, 200);

    service.leaderHint = undefined;
    const nowhere = await postJson(`${url}/set?${ask}`, { key: 'k', value: 'v' }, { redirect: 'manual' });
    await assertProblem(t, nowhere, 503, 'no-leader');
    t.is(nowhere.headers.get('retry-after'), '1');

    service.leading = true;
    t.is((await postJson(`${url}/set?${ask}`, { key: 'k', value: 'v' })).status, 200);
  });
}

// `fetch` sets these headers itself, so they are sent by hand.
const SET_BODY = '{"key":"k","value":"v"}';
const fromPage = (headers: string, method = 'POST', path = '/set'): string =>
  `${method} ${path} HTTP/1.1\r\nConnection: close\r\nContent-Length: ${SET_BODY.length}\r\n${headers}\r\n${SET_BODY}`;

test('a request from another site is refused', async (t) => {
  const { port, service } = await startNode(t);
  const foreign = [
    'Host: 127.0.0.1:1\r\nOrigin: http://evil.example\r\n',
    'Host: 127.0.0.1:1\r\nOrigin: http://127.0.0.1:2\r\n',
    'Host: 127.0.0.1:1\r\nOrigin: null\r\n',
    'Host: 127.0.0.1:1\r\nSec-Fetch-Site: cross-site\r\n',
    'Host: 127.0.0.1:1\r\nSec-Fetch-Site: same-site\r\n',
    'Host: 127.0.0.1:1\r\nOrigin: http://127.0.0.1:1\r\nSec-Fetch-Site: cross-site\r\n',
    // A name of the attacker's that resolves to this node.
    'Host: evil.example:1\r\nOrigin: http://evil.example:1\r\n',
  ];
  for (const headers of foreign) {
    const answer = await exchange(t, port, fromPage(headers));
    t.regex(answer, /^HTTP\/1\.1 403 [^]*"code":"cross-site"/, headers);
    t.notRegex(answer, /access-control/i);
    t.regex(await exchange(t, port, fromPage(headers, 'OPTIONS')), /^HTTP\/1\.1 403 /);
  }
  t.deepEqual(service.proposed, []);

  const own = [
    'Host: 127.0.0.1:1\r\nOrigin: http://127.0.0.1:1\r\nSec-Fetch-Site: same-origin\r\n',
    'Host: localhost:1\r\nOrigin: http://localhost:1\r\n',
    'Host: [::1]:1\r\nOrigin: http://[::1]:1\r\n',
    'Host: kv.example.org:8080\r\nOrigin: http://kv.example.org:8080\r\n',
    'Host: 127.0.0.1:1\r\nSec-Fetch-Site: none\r\n',
  ];
  for (const headers of own) t.regex(await exchange(t, port, fromPage(headers)), /^HTTP\/1\.1 200 /, headers);
});

test('an origin of http.cors is let in, with its headers', async (t) => {
  const { port, service } = await startNode(t, { http: { cors: ['https://app.example'] } });
  const headers = 'Host: h\r\nOrigin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n';
  const answer = await exchange(t, port, fromPage(headers));
  t.regex(answer, /^HTTP\/1\.1 200 /);
  t.regex(answer, /\r\nAccess-Control-Allow-Origin: https:\/\/app\.example\r\n/);
  t.regex(answer, /\r\nAccess-Control-Expose-Headers: .*KV-Revision/);
  t.regex(answer, /\r\nVary: Origin\r\n/);
  t.is(service.proposed.length, 1);

  const missing = await exchange(t, port, fromPage(headers, 'GET', '/kv/nope'));
  t.regex(missing, /^HTTP\/1\.1 404 [^]*Access-Control-Allow-Origin: https:\/\/app\.example\r\n/);

  const preflight = await exchange(t, port, fromPage(headers, 'OPTIONS', '/kv/a'));
  t.regex(preflight, /^HTTP\/1\.1 204 [^]*\r\nAccess-Control-Allow-Methods: .*DELETE/);
  t.regex(preflight, /\r\nAccess-Control-Allow-Headers: .*If-Match/);

  const other = 'Host: h\r\nOrigin: https://app.example.evil.example\r\n';
  t.regex(await exchange(t, port, fromPage(other)), /^HTTP\/1\.1 403 /);
});

test('status and health', async (t) => {
  const { url, service } = await startNode(t);
  const get = async (path: string): Promise<[status: number, body: unknown]> => {
    const response = await fetch(url + path);
    t.truthy(response.headers.get('kv-revision'));
    return [response.status, await response.json()];
  };
  t.like((await get('/status'))[1], { id: 'n1', state: 'LEADER', isLeader: true });
  t.like((await get('/cluster/status'))[1], { id: 'n1', members: [] });
  const addresses = { raft: 'h:1', rpc: 'h:2', http: 'h:3' };
  const progress = { matchIndex: 1, lagEntries: 0, lastContactMs: 0, reachable: true, snapshot: null };
  const member = { id: 'n2', ...addresses, voter: true, role: 'leader' as const, ...progress };
  service.leaderMembers = () => Promise.resolve([member]);
  t.like((await get('/cluster/status'))[1], { id: 'n1', members: [member] });
  t.deepEqual(await get('/health'), [200, { status: 'healthy', keys: 0, role: 'leader', leader: 'n1' }]);
  t.deepEqual(await get('/readyz'), [200, { status: 'ready' }]);
  t.like((await get('/readyz?verbose'))[1], { status: 'ready', node: { id: 'n1' } });

  service.unreadyReason = 'no leader';
  service.leading = false;
  service.leaderHint = undefined;
  const health = { status: 'unhealthy', keys: 0, role: 'follower', leader: null, reason: 'no leader' };
  t.deepEqual(await get('/health'), [503, health]);
  t.deepEqual(await get('/readyz'), [503, { status: 'not-ready', reason: 'no leader' }]);
  t.deepEqual(await get('/livez'), [200, { status: 'alive' }]);
  t.is((await fetch(`${url}/livez`, { method: 'HEAD' })).status, 200);
});

test('JSON-RPC beside the clients: bytes in, bytes out', async (t) => {
  const endpoint = (body: Buffer): Promise<Buffer | undefined> =>
    Promise.resolve(body.length === 0 ? undefined : Buffer.concat([Buffer.from('<'), body]));
  const { url, port } = await startNode(t, { rpc: { endpoint, bodyBytesMax: 100 } });
  const answered = await fetch(`${url}/rpc`, { method: 'POST', body: 'any bytes' });
  t.is(await answered.text(), '<any bytes');
  t.is(answered.headers.get('content-type'), 'application/json');
  t.is((await fetch(`${url}/rpc`, { method: 'POST' })).status, 204);
  const long = await fetch(`${url}/rpc`, { method: 'POST', body: 'x'.repeat(101) });
  await assertProblem(t, long, 413, 'too-large');
  const wrong = await fetch(`${url}/rpc`);
  await assertProblem(t, wrong, 405, 'method-not-allowed');
  t.is(wrong.headers.get('allow'), 'POST');
  t.is((await fetch(`${url}/livez`)).status, 200);
  const page = fromPage('Host: h\r\nOrigin: http://evil.example\r\n', 'POST', '/rpc');
  t.regex(await exchange(t, port, page), /^HTTP\/1\.1 403 /);
});
