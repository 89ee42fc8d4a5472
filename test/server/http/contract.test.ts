/** The document of the interface against the interface: every documented request is sent, every documented answer is provoked and checked. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test, { type ExecutionContext } from 'ava';

import { ERRORS, type ErrorCode } from '../../../api/errors.js';
import { PATHS } from '../../../api/paths.js';
import { createMetrics } from '../../../server/metrics/metrics.js';
import { bodyBudget } from '../../../server/http/body.js';
import { clientRoutes } from '../../../server/http/client-routes.js';
import { neededRights } from '../../../server/http/rights.js';
import { openApiDocument, refusals } from '../../../server/http/schema/openapi.js';
import { OPERATIONS, type Operation } from '../../../server/http/schema/operations.js';
import { ServiceError } from '../../../server/service.js';
import { type Node, VALUE_BYTES_MAX, rawConnection, startNode } from './harness.js';
import { memoryService } from './memory-service.js';

type Json = Record<string, unknown>;

interface Sent {
  path: string;
  query: Record<string, string>;
  headers: Record<string, string>;
  body: unknown;
}

const metrics = createMetrics({ node: () => undefined, snapshots: () => [], engine: () => [], tickMs: 10 });
const document = openApiDocument('1.2.3');
const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema({ $id: 'doc', ...document });

const op = { op: 'set', key: 'b', value: 'v' };
/** What a good request needs, where it needs anything. */
const NEEDS: Record<string, Partial<Sent>> = {
  'get /get': { query: { key: 'a' } },
  'post /set': { body: { key: 'a', value: 'w', ttlMs: 1000 } },
  'delete /delete': { query: { key: 'a' } },
  'get /kv/{key}': { query: { consistency: 'stale' } },
  'post /cluster/members': { body: { id: 'n9', raft: 'h:1', rpc: 'h:2', http: 'h:3' } },
  'patch /cluster/members/{id}': { body: { raft: 'h:9' } },
  'post /cluster/transfer': { body: { to: 'n2' } },
  'put /kv/{key}': { body: { value: 'w' } },
  'post /kv/{key}': { body: { valueBase64: '/w==' } },
  'get /kv/get': { query: { key: 'a' } },
  'put /kv/put': { body: { key: 'a', value: 'w' } },
  'post /kv/del': { body: { key: 'a' } },
  'get /kv': { query: { prefix: 'a', limit: '10', reverse: 'true' } },
  'delete /kv': { query: { prefix: 'a' } },
  'post /txn': { body: { checks: [{ key: 'none', revision: null }], ops: [op, { op: 'get', key: 'a' }] } },
  'post /pipeline': { body: { ops: [op, { op: 'get', key: 'none' }, { op: 'delete', key: 'a' }] } },
  'get /watch': { query: { prefix: '' } },
  'get /cluster/log': { query: { limit: '3' } },
  'get /readyz': { query: { verbose: '' } },
};

const nameOf = ({ method, path }: Operation): string => `${method} ${path}`;

function goodRequest(operation: Operation): Sent {
  const needs = NEEDS[nameOf(operation)] ?? {};
  return {
    path: operation.path.replace('{key}', 'a').replace('{id}', 'n2'),
    query: { ...needs.query },
    headers: {},
    body: needs.body,
  };
}

async function send(node: Node, { method }: Operation, sent: Sent): Promise<Response> {
  const query = new URLSearchParams(sent.query).toString();
  return fetch(`${node.url}${sent.path}${query === '' ? '' : `?${query}`}`, {
    method: method.toUpperCase(),
    redirect: 'manual',
    headers: sent.headers,
    ...(sent.body !== undefined && {
      body: typeof sent.body === 'string' ? sent.body : JSON.stringify(sent.body),
    }),
  });
}

function at(json: unknown, ...names: string[]): Json {
  let found: unknown = json;
  for (const name of names) found = (found as Json | undefined)?.[name];
  return (found ?? {}) as Json;
}

/** Answers that were given and found as documented: `<method> <path> <status>`, and the same with the code of a problem. */
const given = new Set<string>();

function note({ method, path }: Operation, status: string, code?: unknown): void {
  given.add(`${method} ${path} ${status}`);
  if (typeof code === 'string') given.add(`${method} ${path} ${status} ${code}`);
}

/** The answer is one that the document tells of: status, headers, type and body. */
async function assertDocumented(
  t: ExecutionContext,
  operation: Operation,
  response: Response,
): Promise<Json> {
  const { method, path } = operation;
  const what = `${method} ${path} ${response.status}`;
  const responses = at(document, 'paths', path, method, 'responses');
  const status = response.status === 500 ? 'default' : String(response.status);
  t.true(Object.hasOwn(responses, status), `${what} is not documented`);
  for (const header of Object.keys(at(responses, status, 'headers')))
    t.truthy(response.headers.get(header), `${what}: no ${header}`);
  const text = await response.text();
  const content = at(responses, status, 'content');
  const [type = ''] = (response.headers.get('content-type') ?? '').split(';');
  if (method === 'head' || Object.keys(content).length === 0) {
    t.is(text, '', what);
    note(operation, status);
    return {};
  }
  t.true(Object.hasOwn(content, type), `${what}: ${type} is not documented`);
  if (!type.endsWith('json')) {
    note(operation, status);
    return {};
  }
  const body = JSON.parse(text) as Json;
  const pointer = ['paths', path, method, 'responses', status, 'content', type, 'schema']
    .map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
    .join('/');
  const validate = ajv.getSchema(`doc#/${pointer}`);
  t.truthy(validate, `${what}: no schema`);
  t.true(validate?.(body), `${what}: ${ajv.errorsText(validate?.errors)}\n${text}`);
  note(operation, status, body['code']);
  return body;
}

function seeded(node: Node): void {
  const { service } = node;
  service.store.clear();
  service.store.set('a', { key: 'a', value: Buffer.from('v'), revision: 5, ttlMs: 10 });
  service.leading = true;
  service.unreadyReason = undefined;
  service.failure = undefined;
}

test('an independent validator takes the document', async (t) => {
  const result = await new Validator().validate(structuredClone(document));
  t.true(result.valid, JSON.stringify(result.errors));
});

test('the document in docs/ is this one', (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  t.deepEqual(
    JSON.parse(readFileSync('docs/openapi.json', 'utf8')),
    openApiDocument(version),
    'out of date: npm run openapi',
  );
});

test('every route is documented, and nothing else', (t) => {
  const { router } = clientRoutes({
    service: memoryService(),
    valueBytesMax: VALUE_BYTES_MAX,
    redirectWrites: false,
    bodies: bodyBudget(),
    metrics,
  });
  const routed = router.stack.flatMap(({ path, methods }) =>
    methods
      .map((method) => `${method.toLowerCase()} ${path instanceof RegExp ? templateOf(path) : path}`)
      // Every GET answers HEAD as well; only of a key it is worth telling.
      .filter((route) => !route.startsWith('head ') || route.includes('{key}')),
  );
  const older = ['get /kv/get', 'put /kv/put', 'post /kv/del'];
  t.deepEqual([...new Set(routed), ...older].toSorted(), OPERATIONS.map(nameOf).toSorted());
});

/** What a route's pattern stands for. */
function templateOf(pattern: RegExp): string {
  const templates = [`${PATHS.kv}/{key}`, `${PATHS.members}/{id}`, `${PATHS.members}/{id}/promote`];
  return templates.find((template) => pattern.test(template)) ?? pattern.source;
}

test('every good request is answered as documented, and fits the schema of its body', async (t) => {
  const node = await startNode(t, { metrics });
  for (const operation of OPERATIONS) {
    for (const [status, answer] of Object.entries(operation.answers)) {
      seeded(node);
      const sent = goodRequest(operation);
      if (status === '304') sent.headers['If-None-Match'] = '"5"';
      if (status === '307') {
        node.service.leading = false;
        sent.query['redirect'] = 'true';
      }
      const takeSnapshot = node.service.takeSnapshot.bind(node.service);
      if (status === '202') {
        node.service.takeSnapshot = () => Promise.resolve(undefined);
        node.service.clusterAnswer = { status: 'waiting', waitingFor: 'n2' };
      }
      if (status === '503') node.service.unreadyReason = 'starting';
      if (operation.body !== undefined) {
        const pointer = `doc#/paths/${encodeURIComponent(operation.path.replaceAll('/', '~1'))}/${operation.method}/requestBody/content/application~1json/schema`;
        t.true(ajv.validate(pointer, sent.body), `${nameOf(operation)}: ${ajv.errorsText()}`);
      }
      const response = await send(node, operation, sent);
      node.service.takeSnapshot = takeSnapshot;
      node.service.clusterAnswer = { status: 'done' };
      t.is(String(response.status), status, `${nameOf(operation)}: ${await response.clone().text()}`);
      const body = await assertDocumented(t, operation, response);
      if (answer === 'document') t.is(body['openapi'], '3.1.0');
    }
  }
});

test('bytes as they are, both ways', async (t) => {
  const node = await startNode(t);
  for (const operation of OPERATIONS.filter(({ raw }) => raw !== undefined)) {
    seeded(node);
    const sent = goodRequest(operation);
    if (operation.raw === 'answer') sent.headers['Accept'] = 'application/octet-stream';
    else {
      sent.headers['Content-Type'] = 'application/octet-stream';
      sent.body = 'raw';
      sent.query['ttlMs'] = '1000';
    }
    const response = await send(node, operation, sent);
    t.is(response.status, 200);
    if (operation.raw === 'answer') t.is(response.headers.get('content-type'), 'application/octet-stream');
    await assertDocumented(t, operation, response);
  }
});

const READER = 'reader-reader-reader';
const WRITER = 'writer-writer-writer';
const sha256 = (token: string): string => createHash('sha256').update(token).digest('hex');

/** Changes a good request, or what answers it, so that it fails with `code`. */
function provoke(node: Node, operation: Operation, sent: Sent, code: ErrorCode): void {
  switch (code) {
    case 'bad-request':
      sent.query['nope'] = '1';
      return;
    case 'cross-site':
      sent.headers['Sec-Fetch-Site'] = 'cross-site';
      return;
    case 'key-not-found':
      node.service.store.clear();
      return;
    case 'bad-json':
      sent.body = '{';
      return;
    case 'unsupported-media-type':
      sent.headers['Content-Encoding'] = 'br';
      return;
    case 'too-large':
      if (operation.body === undefined) node.service.failure = new ServiceError(code, 'too many keys');
      else sent.body = 'x'.repeat(9_000_000);
      return;
    case 'revision-mismatch':
      sent.headers['If-Match'] = '"7"';
      return;
    case 'check-failed':
      sent.body = { checks: [{ key: 'a', revision: '7' }] };
      return;
    case 'unauthenticated':
    case 'rate-limited':
      return;
    case 'forbidden':
      sent.headers['Authorization'] =
        `Bearer ${neededRights(operation.method.toUpperCase(), operation.path) === 'admin' ? WRITER : READER}`;
      return;
    default:
      node.service.failure = new ServiceError(code, 'provoked');
  }
}

test('every documented failure is answered as documented', async (t) => {
  const node = await startNode(t, { metrics });
  const clients = [
    { name: 'reader', sha256: sha256(READER), rights: 'read' },
    { name: 'writer', sha256: sha256(WRITER), rights: 'write' },
  ] as const;
  const asking = await startNode(t, { metrics, auth: { clients } });
  const counting = await startNode(t, { metrics, requestsPerSecond: 1e-3 });
  t.is((await fetch(`${counting.url}/status`)).status, 200);
  const guarded = (code: ErrorCode): Node | undefined => {
    if (code === 'rate-limited') return counting;
    return code === 'unauthenticated' || code === 'forbidden' ? asking : undefined;
  };
  for (const operation of OPERATIONS) {
    for (const code of new Set<ErrorCode>([...refusals(operation), ...operation.errors])) {
      if (code === 'request-timeout') continue;
      seeded(node);
      const sent = goodRequest(operation);
      provoke(node, operation, sent, code);
      const response = await send(guarded(code) ?? node, operation, sent);
      t.is(response.status, ERRORS[code].status, `${nameOf(operation)} ${code}`);
      const body = await assertDocumented(t, operation, response);
      if (operation.method !== 'head') t.is(body['code'], code);
    }
  }
});

test('a fault of ours is a problem, too', async (t) => {
  const node = await startNode(t);
  for (const operation of OPERATIONS.filter((one) => !CALM.has(nameOf(one)))) {
    seeded(node);
    node.service.failure = new Error('secret');
    const response = await send(node, operation, goodRequest(operation));
    t.is(response.status, 500, nameOf(operation));
    const body = await assertDocumented(t, operation, response);
    t.false(JSON.stringify(body).includes('secret'));
  }
});

/** They only tell what the node knows already: there is nothing that could fail, though the document reserves the answer for every request. */
const CALM = new Set(
  [
    '/status',
    '/cluster/status',
    '/cluster/members',
    '/health',
    '/livez',
    '/readyz',
    '/metrics',
    '/openapi.json',
  ].map((path) => `get ${path}`),
);

/** Every documented answer, and every code that the description of a failure names; by HEAD, problems have no body. */
function documentedAnswers(): string[] {
  return OPERATIONS.flatMap((operation) => {
    const { method, path } = operation;
    const responses = at(document, 'paths', path, method, 'responses');
    return Object.entries(responses).flatMap(([status, response]) => {
      if (status === 'default') return CALM.has(nameOf(operation)) ? [] : [`${nameOf(operation)} default`];
      const { description } = response as { description: string };
      const codes = method === 'head' ? [] : [...description.matchAll(/(?:^|; )([a-z-]+): /g)];
      return [
        `${nameOf(operation)} ${status}`,
        ...codes.map(([, code = '']) => `${nameOf(operation)} ${status} ${code}`),
      ];
    });
  });
}

test.after('every documented answer was given', (t) => {
  const documented = documentedAnswers();
  t.true(documented.length > 300, String(documented.length));
  t.deepEqual(
    documented.filter((answer) => !given.has(answer)),
    [],
  );
});

test('a body that does not end is 408', async (t) => {
  const node = await startNode(t, { limits: { requestTimeoutMs: 1000, headersTimeoutMs: 1000 } });
  await Promise.all(
    OPERATIONS.filter(({ errors }) => errors.includes('request-timeout')).map(async (operation) => {
      const { method, path } = operation;
      const connection = await rawConnection(t, node.port);
      const head = `${method.toUpperCase()} ${path.replace('{key}', 'a').replace('{id}', 'n2')} HTTP/1.1`;
      connection.socket.write(`${head}\r\nHost: x\r\nContent-Length: 100\r\n\r\n{`);
      const answer = await connection.until(/"code":"request-timeout"/);
      t.regex(answer, /^HTTP\/1\.1 408 /);
      t.regex(answer, /\r\nKV-Revision: \d/);
      t.regex(answer, /\r\nKV-Leader: /);
      note(operation, '408', 'request-timeout');
    }),
  );
  t.deepEqual(node.service.proposed, []);
});
