/** SCENARIOS.md, "Clients and the network": whatever is sent, nothing of it is proposed. */

import test from 'ava';

import type { ErrorCode } from '../../../api/errors.js';
import { VALUE_BYTES_MAX, assertProblem, startNode } from './harness.js';

type Case = readonly [body: string | Uint8Array, status: number, code: ErrorCode, field: string];

const set = (rest: string): string => `{"key":"k","value":"v",${rest}}`;

const BODIES: readonly Case[] = [
  ['', 400, 'bad-json', 'body'],
  ['{', 400, 'bad-json', 'body'],
  ['{"key":"k","value":"v"} x', 400, 'bad-json', 'body'],
  ["{'key':'k'}", 400, 'bad-json', 'body'],
  ['null', 400, 'bad-json', 'body'],
  ['[]', 400, 'bad-json', 'body'],
  ['"text"', 400, 'bad-json', 'body'],
  ['['.repeat(10_000), 400, 'bad-json', 'body'],
  [`{"key":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 400, 'bad-json', 'body'],
  ['{"a":'.repeat(10_000) + '1' + '}'.repeat(10_000), 400, 'bad-json', 'body'],
  [Buffer.from([0x22, 0xff, 0x22]), 400, 'bad-json', 'body'],
  [Buffer.from('{"key":"k","value":"\xe9"}', 'latin1'), 400, 'bad-json', 'body'],
  [Buffer.from('{"key":"k","value":"v"}', 'utf16le'), 400, 'bad-json', 'body'],
  ['{"key":"k","value":"v","value":"w"}', 400, 'bad-json', 'value'],
  ['{"key":"k","value":"v","\\u006bey":"w"}', 400, 'bad-json', 'key'],
  [set('"__proto__":{"ifAbsent":true}'), 400, 'bad-request', '__proto__'],
  [set('"constructor":1'), 400, 'bad-request', 'constructor'],
  [set('"ttl":1'), 400, 'bad-request', 'ttl'],
  [set('"\\ud800":1'), 400, 'bad-request', '\ufffd'],
  [set('"ttlMs":0'), 400, 'bad-request', 'ttlMs'],
  [set('"ttlMs":-1'), 400, 'bad-request', 'ttlMs'],
  [set('"ttlMs":1.5'), 400, 'bad-request', 'ttlMs'],
  [set('"ttlMs":"1000"'), 400, 'bad-request', 'ttlMs'],
  [set('"ttlMs":null'), 400, 'bad-request', 'ttlMs'],
  [set('"ttlMs":3153600000001'), 400, 'bad-request', 'ttlMs'],
  ['{"key":1,"value":"v"}', 400, 'bad-request', 'key'],
  ['{"key":null,"value":"v"}', 400, 'bad-request', 'key'],
  ['{"value":"v"}', 400, 'bad-request', 'key'],
  ['{"key":"","value":"v"}', 400, 'bad-request', 'key'],
  [`{"key":"${'k'.repeat(4097)}","value":"v"}`, 400, 'bad-request', 'key'],
  [`{"key":"${'é'.repeat(2049)}","value":"v"}`, 400, 'bad-request', 'key'],
  ['{"key":"a\\ud800","value":"v"}', 400, 'bad-request', 'key'],
  ['{"key":"k"}', 400, 'bad-request', 'value'],
  ['{"key":"k","value":1}', 400, 'bad-request', 'value'],
  ['{"key":"k","value":null}', 400, 'bad-request', 'value'],
  ['{"key":"k","value":{"a":1}}', 400, 'bad-request', 'value'],
  ['{"key":"k","value":"\\udc00"}', 400, 'bad-request', 'value'],
  ['{"key":"k","value":"v","valueBase64":"dg=="}', 400, 'bad-request', 'valueBase64'],
  ['{"key":"k","valueBase64":"!"}', 400, 'bad-request', 'valueBase64'],
  ['{"key":"k","valueBase64":"dg"}', 400, 'bad-request', 'valueBase64'],
  ['{"key":"k","valueBase64":7}', 400, 'bad-request', 'valueBase64'],
  [set('"ifRevision":2'), 400, 'bad-request', 'ifRevision'],
  [set('"ifRevision":"0"'), 400, 'bad-request', 'ifRevision'],
  [set('"ifRevision":"01"'), 400, 'bad-request', 'ifRevision'],
  [set('"ifRevision":"-1"'), 400, 'bad-request', 'ifRevision'],
  [set('"ifRevision":"9007199254740993"'), 400, 'bad-request', 'ifRevision'],
  [set('"ifRevision":"99999999999999999999"'), 400, 'bad-request', 'ifRevision'],
  [set('"ifAbsent":"true"'), 400, 'bad-request', 'ifAbsent'],
  [set('"ifRevision":"1","ifAbsent":true'), 400, 'bad-request', 'ifRevision'],
  [`{"key":"k","value":"${'v'.repeat(VALUE_BYTES_MAX + 1)}"}`, 413, 'too-large', 'value'],
  [
    `{"key":"k","valueBase64":"${Buffer.alloc(VALUE_BYTES_MAX + 1).toString('base64')}"}`,
    413,
    'too-large',
    'valueBase64',
  ],
  [`{"key":"k","value":"${'v'.repeat(200_000)}"}`, 413, 'too-large', 'body'],
];

test('bad bodies of /set', async (t) => {
  const { url, service } = await startNode(t);
  for (const [body, status, code, field] of BODIES) {
    const response = await fetch(`${url}/set`, { method: 'POST', body });
    const problem = await assertProblem(t, response, status, code, field);
    t.is(problem.outcome, 'not-applied');
    t.is(problem.retryable, false);
  }
  t.deepEqual(service.proposed, []);
  t.is(service.store.size, 0);
});

test('the longest key and value are taken, escaped or not', async (t) => {
  const { url, service } = await startNode(t);
  const key = 'k'.repeat(4096);
  const escaped = `"${'\\u0000'.repeat(VALUE_BYTES_MAX)}"`;
  const response = await fetch(`${url}/set`, { method: 'POST', body: `{"key":"${key}","value":${escaped}}` });
  t.is(response.status, 200, await response.text());
  t.is(service.store.get(key)?.value.length, VALUE_BYTES_MAX);
  t.is((await fetch(`${url}/kv/${'%6b'.repeat(4096)}`)).status, 200);
});

test('bad bodies of /kv/<key>', async (t) => {
  const { url, service } = await startNode(t);
  const cases: Case[] = [
    ['{"value":"v","ttlMs":0}', 400, 'bad-request', 'ttlMs'],
    ['{"value":"v","ifRevision":"1"}', 400, 'bad-request', 'ifRevision'],
    ['{"value":"v","key":"k"}', 400, 'bad-request', 'key'],
    ['{}', 400, 'bad-request', 'value'],
    ['', 400, 'bad-json', 'body'],
  ];
  for (const [body, status, code, field] of cases) {
    for (const method of ['PUT', 'POST']) {
      await assertProblem(t, await fetch(`${url}/kv/a`, { method, body }), status, code, field);
    }
  }
  t.deepEqual(service.proposed, []);
});

test('bad parameters and paths are named', async (t) => {
  const { url, service } = await startNode(t);
  const cases: [method: string, path: string, field: string][] = [
    ['GET', '/get', 'key'],
    ['GET', '/get?key=', 'key'],
    ['GET', '/get?key=k&key=k', 'key'],
    ['GET', '/get?key=k&%6bey=k', 'key'],
    ['GET', '/get?key=k&foo=1', 'foo'],
    ['GET', '/get?key=k&redirect=true', 'redirect'],
    ['GET', '/get?key=%', 'key'],
    ['GET', '/get?key=%zz', 'key'],
    ['GET', '/get?key=%c3', 'key'],
    ['GET', '/get?key=%ed%a0%80', 'key'],
    ['GET', `/get?key=${'k'.repeat(4097)}`, 'key'],
    ['GET', '/get?key=k&consistency=', 'consistency'],
    ['GET', '/get?key=k&consistency=Stale', 'consistency'],
    ['GET', '/kv/%', 'key'],
    ['GET', '/kv/a%2', 'key'],
    ['GET', '/kv/%ff', 'key'],
    ['GET', '/kv/', 'key'],
    ['PUT', '/kv/', 'key'],
    ['DELETE', '/kv/', 'key'],
    ['DELETE', '/kv/a?ifRevision=1', 'ifRevision'],
    ['DELETE', '/delete', 'key'],
    ['DELETE', '/delete?key=k&ifRevision=', 'ifRevision'],
    ['DELETE', '/delete?key=k&ifRevision=0', 'ifRevision'],
    ['DELETE', '/delete?key=k&ifRevision=1e3', 'ifRevision'],
    ['DELETE', '/delete?key=k&ifRevision=9999999999999999999', 'ifRevision'],
    ['DELETE', '/delete?key=k&redirect=maybe', 'redirect'],
    ['GET', '/status?x', 'x'],
    ['GET', '/readyz?verbose=2', 'verbose'],
    ['GET', '/livez?verbose', 'verbose'],
  ];
  for (const [method, path, field] of cases) {
    await assertProblem(t, await fetch(url + path, { method }), 400, 'bad-request', field);
  }
  t.deepEqual(service.proposed, []);
});

test('contradictory and malformed conditions', async (t) => {
  const { url, service } = await startNode(t);
  const body = '{"key":"k","value":"v","ifAbsent":true}';
  const cases: [
    method: string,
    path: string,
    headers: Record<string, string>,
    body: string | null,
    field: string,
  ][] = [
    ['PUT', '/kv/k', { 'If-Match': '"1"', 'If-None-Match': '*' }, '{"value":"v"}', 'If-Match'],
    ['PUT', '/kv/k', { 'If-Match': '1' }, '{"value":"v"}', 'If-Match'],
    ['PUT', '/kv/k', { 'If-Match': '*', 'If-None-Match': '*' }, '{"value":"v"}', 'If-Match'],
    ['POST', '/set', { 'If-Match': '*' }, '{"key":"k","value":"v","ifAbsent":true}', 'If-Match'],
    ['PUT', '/kv/k', { 'If-Match': 'W/"1"' }, '{"value":"v"}', 'If-Match'],
    ['PUT', '/kv/k', { 'If-Match': '"1", "2"' }, '{"value":"v"}', 'If-Match'],
    ['PUT', '/kv/k', { 'If-Match': '"0"' }, '{"value":"v"}', 'If-Match'],
    ['PUT', '/kv/k', { 'If-Match': '' }, '{"value":"v"}', 'If-Match'],
    ['PUT', '/kv/k', { 'If-None-Match': '"1"' }, '{"value":"v"}', 'If-None-Match'],
    ['DELETE', '/kv/k', { 'If-None-Match': '*' }, null, 'If-None-Match'],
    ['POST', '/set', { 'If-Match': '"1"' }, body, 'If-Match'],
    ['POST', '/set', { 'If-None-Match': '*' }, body, 'If-None-Match'],
    ['DELETE', '/delete?key=k&ifRevision=1', { 'If-Match': '"1"' }, null, 'If-Match'],
    ['DELETE', '/delete?key=k', {}, '{"ifRevision":"1"}', 'body'],
    ['DELETE', '/kv/k', {}, '{"ifRevision":"1"}', 'body'],
  ];
  for (const [method, path, headers, sent, field] of cases) {
    const response = await fetch(url + path, { method, headers, body: sent });
    await assertProblem(t, response, 400, 'bad-request', field);
  }
  t.deepEqual(service.proposed, []);
});

test('unknown routes and wrong methods', async (t) => {
  const { url } = await startNode(t);
  for (const path of [
    '/',
    '/nope',
    '/set/',
    '/GET',
    '/kvx',
    '/txn/',
    '/rpc',
    '//get',
    '/watches?key=k',
    '/pipelines',
  ]) {
    await assertProblem(t, await fetch(url + path), 404, 'no-such-route');
  }
  const cases: [method: string, path: string, allow: string][] = [
    ['GET', '/set', 'POST'],
    ['POST', '/get?key=k', 'HEAD, GET'],
    ['GET', '/delete?key=k', 'DELETE'],
    ['PATCH', '/kv/a', 'HEAD, GET, PUT, POST, DELETE'],
    ['OPTIONS', '/kv/a', 'HEAD, GET, PUT, POST, DELETE'],
    ['PUT', '/kv?prefix=a', 'HEAD, GET, DELETE'],
    ['GET', '/txn', 'POST'],
    ['PUT', '/pipeline', 'POST'],
    ['POST', '/cluster/log', 'HEAD, GET'],
    ['POST', '/status', 'HEAD, GET'],
    ['PUT', '/livez', 'HEAD, GET'],
  ];
  for (const [method, path, allow] of cases) {
    const response = await fetch(url + path, { method });
    await assertProblem(t, response, 405, 'method-not-allowed');
    t.is(response.headers.get('allow'), allow, path);
  }
});

test('an encoded body is refused', async (t) => {
  const { url } = await startNode(t);
  for (const encoding of ['gzip', 'br', 'nonsense']) {
    const headers = { 'Content-Encoding': encoding };
    const response = await fetch(`${url}/set`, { method: 'POST', body: '{"key":"k","value":"v"}', headers });
    await assertProblem(t, response, 415, 'unsupported-media-type', 'Content-Encoding');
  }
});
