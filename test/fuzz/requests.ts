/** Random requests: right, nearly right and nonsense, for every route of the document and every method of JSON-RPC. */

import fc from 'fast-check';
import { z } from 'zod';

import { PATHS } from '../../api/paths.js';
import { CLUSTER_METHODS } from '../../server/rpc/membership-wire.js';
import { OPERATIONS, type Operation } from '../../server/http/schema/operations.js';

/** One request as it goes out; `listener`: the address that it is for. */
export interface FuzzRequest {
  readonly listener: 'http' | 'rpc' | 'raft';
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

/** Stands for the request's number wherever a key or a value is stored. */
export const TOKEN = '@@';

const scalar = fc.oneof(
  fc.constantFrom('', 'a', '1', '0', '-1', 'true', '1/1/1', '/w==', '\ud800', '\u0000', 'é'.repeat(2100)),
  fc.string({ maxLength: 8 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.integer(),
  fc.constantFrom(1, 0, -1, 1.5, 2 ** 53, 1e300, true, false, null),
);
const junk = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 3 }),
  fc.dictionary(fc.string(), scalar, { maxKeys: 2 }),
);

function mostly<T>(good: fc.Arbitrary<T>, bad: fc.Arbitrary<unknown> = junk): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 7, arbitrary: good }, { weight: 1, arbitrary: bad });
}

const key = mostly(fc.constantFrom(`k${TOKEN}`, `k${TOKEN}/x y%`, 'shared', 'get', 'put', 'del'));
const value = mostly(fc.constantFrom(`v${TOKEN}`, `v${TOKEN}é`, `v${TOKEN}${'x'.repeat(5000)}`));
const revision = mostly(fc.integer({ min: 1, max: 99 }).map(String));
const session = mostly(fc.constantFrom('1/1/1', '2/5/3', '9/9/9'));

/** By the name of a field, wherever it occurs. */
const FIELDS: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  key,
  value,
  valueBase64: mostly(fc.constantFrom('/w==', 'dg==', '!')),
  ttlMs: mostly(fc.integer({ min: 1, max: 100_000 })),
  ifRevision: revision,
  revision,
  fromRevision: revision,
  ifAbsent: mostly(fc.boolean()),
  session,
  op: mostly(fc.constantFrom('set', 'delete', 'get')),
  prefix: mostly(fc.constantFrom(`k${TOKEN}`, 'v', 'shared')),
  start: mostly(fc.constantFrom('a', 'k')),
  end: mostly(fc.constantFrom('m', 'z')),
  limit: mostly(fc.integer({ min: 1, max: 50 })),
  consistency: mostly(fc.constantFrom('linearizable', 'lease', 'stale')),
  redirect: mostly(fc.constantFrom('true', 'false')),
  reverse: mostly(fc.boolean()),
  keysOnly: mostly(fc.boolean()),
  cursor: mostly(fc.constantFrom('PmE', 'PGE')),
  verbose: mostly(fc.boolean()),
  id: mostly(fc.constantFrom('n1', 'n9')),
  to: mostly(fc.constantFrom('n1', 'n9')),
  // Nobody listens there, which is told at once: nothing of it can succeed, and no other machine is called.
  raft: mostly(fc.constantFrom('127.0.0.1:1', 'localhost:1')),
  rpc: mostly(fc.constant('127.0.0.1:1')),
  http: mostly(fc.constant('127.0.0.1:1')),
  voter: mostly(fc.boolean()),
};

const memberIds = (names: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...names) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 10 }).map(escaped) },
    { weight: 1, arbitrary: fc.constantFrom('', '%', '%ff', '..', 'n1/promote', 'n'.repeat(65)) },
  );
/** The one node can't leave, nor become what it is; only another address for it would be a change, so it is asked of others alone. */
const idOf = ({ method }: Operation): fc.Arbitrary<string> =>
  memberIds(method === 'patch' ? ['n9', 'other'] : ['n1', 'n9']);

/** An object with some of the fields, each mostly good, and now and then one that it can't have. */
function objectOf(names: readonly string[], always: readonly string[] = []): fc.Arbitrary<unknown> {
  const shape = Object.fromEntries(names.map((name) => [name, FIELDS[name] ?? junk]));
  return mostly(
    fc
      .tuple(
        fc.oneof(
          fc.record(Object.fromEntries(always.map((name) => [name, FIELDS[name] ?? junk]))),
          fc.record(shape, { requiredKeys: [...always] }),
        ),
        fc.oneof(
          { weight: 9, arbitrary: fc.constant({}) },
          { weight: 1, arbitrary: fc.dictionary(fc.string(), scalar) },
        ),
      )
      .map(([fields, more]) => ({ ...fields, ...more })),
  );
}

const op = objectOf(
  ['op', 'key', 'value', 'valueBase64', 'ttlMs', 'ifRevision', 'ifAbsent', 'session'],
  ['op', 'key', 'value'],
);
const plainOp = objectOf(['op', 'key', 'value'], ['op', 'key']);
const ops = mostly(fc.array(fc.oneof(op, plainOp), { maxLength: 4 }));
const checks = mostly(fc.array(objectOf(['key', 'revision'], ['key', 'revision']), { maxLength: 2 }));
const LISTS: Readonly<Record<string, fc.Arbitrary<unknown>>> = { ops, checks };

function bodyOf({ body }: Operation): fc.Arbitrary<Buffer | undefined> {
  if (body === undefined)
    return fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: anyBytes });
  const names = Object.keys(body.shape);
  const whole = names.some((name) => LISTS[name] !== undefined)
    ? fc.record(Object.fromEntries(names.map((name) => [name, LISTS[name] ?? junk])), { requiredKeys: [] })
    : objectOf(names, alwaysOf(names));
  return fc.oneof({ weight: 9, arbitrary: whole.map(toJson) }, { weight: 1, arbitrary: anyBytes });
}

/** Without which a body is refused in any case. */
function alwaysOf(names: readonly string[]): readonly string[] {
  if (names.includes('key')) return ['key', ...names.filter((name) => name === 'value')];
  const needed = names.filter((name) => ['value', 'id', 'raft', 'rpc', 'http'].includes(name));
  return names.includes('id') ? needed : needed.slice(0, 1);
}

function toJson(json: unknown): Buffer {
  return Buffer.from(JSON.stringify(json));
}

const anyBytes: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc.json().map((text) => Buffer.from(text)),
  fc.json().map((text) => Buffer.from(text.slice(0, -1))),
  fc.integer({ min: 1, max: 3000 }).map((levels) => Buffer.from('['.repeat(levels) + ']'.repeat(levels))),
  fc
    .constantFrom(
      '{"key":"k@@","key":"l@@","value":"v@@"}',
      '{"__proto__":{"key":"k@@"},"value":"v@@"}',
      '{"key":"k@@","value":"v@@","constructor":1}',
      '{"key":"k@@","value":"\\ud800"}',
      '',
    )
    .map((text) => Buffer.from(text)),
);

const NAMES = [...new Set(OPERATIONS.flatMap(({ query }) => Object.keys(query.shape)))];

function queryOf({ query }: Operation): fc.Arbitrary<string> {
  const own = Object.keys(query.shape);
  const { required = [] } = z.toJSONSchema(query, { io: 'input', unrepresentable: 'any' });
  const fields = Object.fromEntries(own.map((name) => [name, FIELDS[name] ?? junk]));
  return fc
    .tuple(
      fc.record(fields, { requiredKeys: required }),
      fc.oneof(
        { weight: 9, arbitrary: fc.constant({}) },
        { weight: 1, arbitrary: fc.dictionary(fc.constantFrom(...NAMES, 'nope'), scalar, { maxKeys: 2 }) },
      ),
    )
    .map(([good, more]) =>
      Object.entries({ ...good, ...more })
        .map(
          ([name, given]) => `${name}=${escaped(typeof given === 'string' ? given : JSON.stringify(given))}`,
        )
        .join('&'),
    );
}

function escaped(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : '%ed%a0%80';
}

const pathKey = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(`k${TOKEN}`, 'shared', `a/b/k${TOKEN}`, 'put', 'get', 'del') },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 10 }).map(escaped) },
  { weight: 1, arbitrary: fc.constantFrom('', '%', '%ff', '..', 'a//b', 'k'.repeat(4097)) },
);

const header = fc.dictionary(
  fc.constantFrom('If-Match', 'If-None-Match', 'KV-Session', 'Last-Event-ID', 'Content-Type', 'Accept'),
  fc.constantFrom(
    '"5"',
    '*',
    '5',
    '1/1/1',
    '7.1',
    'application/octet-stream',
    'application/json',
    'W/"1"',
    '',
  ),
  { maxKeys: 2 },
);
const headers = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  { weight: 3, arbitrary: header },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      { 'Sec-Fetch-Site': 'cross-site' },
      { Origin: 'http://evil.example' },
      { 'Content-Encoding': 'gzip' },
      { 'X-Request-Id': 'mine' },
    ),
  },
);

const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS'];

function requestOf(operation: Operation): fc.Arbitrary<FuzzRequest> {
  const method = operation.method.toUpperCase();
  return fc
    .record({
      method: fc.oneof(
        { weight: 19, arbitrary: fc.constant(method) },
        { weight: 1, arbitrary: fc.constantFrom(...METHODS) },
      ),
      key: pathKey,
      id: idOf(operation),
      query: queryOf(operation),
      headers,
      body: bodyOf(operation),
    })
    .map(({ method, key: name, id, query, headers: given, body }) => {
      const path = operation.path.replace('{key}', () => name).replace('{id}', () => id);
      const target = `${path}${query === '' ? '' : `?${query}`}`;
      // What is refused before it is parsed has a body, whatever its method.
      const sent = target.length > 8000 && method === 'HEAD' ? 'GET' : method;
      return { listener: 'http' as const, method: sent, target, headers: given, body };
    });
}

const stray: fc.Arbitrary<FuzzRequest> = fc.record({
  listener: fc.constantFrom('http' as const, 'rpc' as const, 'raft' as const),
  method: fc.constantFrom(...METHODS),
  target: fc.oneof(
    fc.webPath().map((path) => (path === '' ? '/' : path)),
    fc.constantFrom('/set/', '/KV/a', '/kv', '/rpc', '//', '/%2e%2e'),
  ),
  headers,
  body: fc.option(anyBytes, { nil: undefined }),
});

const RPC_METHODS = [
  ...['preVote', 'requestVote', 'appendEntries', 'heartbeat', 'installSnapshot', 'timeoutNow', 'hello'].map(
    (name) => `raft.${name}`,
  ),
  ...Object.values(CLUSTER_METHODS),
  ...['kv.propose', 'kv.readIndex', 'cluster.status', 'nope', 'constructor', '__proto__'],
];
const number = fc.oneof(fc.integer(), fc.constantFrom(2 ** 53, -1, 1.5, '1', null));

/** Params that no correct peer sends: each lacks something that a call must have, or has it wrong. */
function rpcRequest({ cluster, clusterId, id }: ClusterNames): fc.Arbitrary<FuzzRequest> {
  const identity = objectOrJunk({ id: fc.constantFrom(id, 'other'), incarnation: fc.constantFrom('x', '') });
  const params = mostly(
    fc.record(
      {
        cluster: mostly(fc.constantFrom(cluster, 'another')),
        clusterId: mostly(fc.constantFrom(clusterId, 'another')),
        from: identity,
        to: identity,
        term: number,
        prevIndex: number,
        entries: junk,
        commands: junk,
        groups: junk,
        timeoutMs: number,
        lease: junk,
      },
      { requiredKeys: ['cluster', 'clusterId', 'from', 'to'] },
    ),
  );
  const call = mostly(
    fc.record(
      {
        jsonrpc: mostly(fc.constant('2.0')),
        id: mostly(fc.constantFrom(1, 'a')),
        method: mostly(fc.constantFrom(...RPC_METHODS)),
        params,
      },
      { requiredKeys: ['jsonrpc', 'method'] },
    ),
  );
  const payload = fc.oneof(
    { weight: 5, arbitrary: call },
    { weight: 1, arbitrary: fc.array(call, { maxLength: 120 }) },
  );
  return fc
    .record({
      listener: fc.constantFrom('rpc' as const, 'raft' as const),
      body: fc.oneof({ weight: 9, arbitrary: payload.map(toJson) }, { weight: 1, arbitrary: anyBytes }),
    })
    .map(({ listener, body }) => ({ listener, method: 'POST', target: '/rpc', headers: {}, body }));
}

function objectOrJunk(shape: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  return mostly(fc.record(shape));
}

/** What a call between nodes must name. */
export interface ClusterNames {
  readonly cluster: string;
  readonly clusterId: string;
  readonly id: string;
}

/** Nothing is wrong with it: so that there is something to be spoilt. */
const GOOD_SET: FuzzRequest = {
  listener: 'http',
  method: 'POST',
  target: PATHS.set,
  headers: {},
  body: Buffer.from(JSON.stringify({ key: `good${TOKEN}`, value: `v${TOKEN}` })),
};

/** Any request there is. */
export function anyRequest(names: ClusterNames): fc.Arbitrary<FuzzRequest> {
  return fc.oneof(
    ...OPERATIONS.map((operation) => ({
      weight: operation.method === 'get' ? 2 : 4,
      arbitrary: requestOf(operation),
    })),
    { weight: 8, arbitrary: fc.constant(GOOD_SET) },
    { weight: 3, arbitrary: stray },
    { weight: 12, arbitrary: rpcRequest(names) },
  );
}
