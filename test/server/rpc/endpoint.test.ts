import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createEndpoint } from '../../../server/rpc/endpoint.js';
import { RpcError } from '../../../server/rpc/errors.js';
import { ServiceError } from '../../../server/service.js';
import { recorder } from './fixtures.js';

const called: unknown[] = [];
const { logger, lines } = recorder();

const endpoint = createEndpoint(
  {
    subtract: (params) => {
      if (Array.isArray(params)) return Number(params[0]) - Number(params[1]);
      const { minuend, subtrahend } = params as { minuend: number; subtrahend: number };
      return minuend - subtrahend;
    },
    sum: (params) => (params as number[]).reduce((a, b) => a + b, 0),
    get_data: () => ['hello', 5],
    update: (params) => void called.push(params),
    notify_hello: (params) => void called.push(params),
    own: () => {
      throw new RpcError('not you', -32001, { field: 'cluster' });
    },
    service: () =>
      Promise.reject(new ServiceError('no-leader', 'an election runs', { retryAfterSeconds: 1 })),
    broken: () => {
      throw new Error('a secret');
    },
    bigint: () => 1n,
  },
  logger,
  1024 * 1024,
);

async function post(body: string | Buffer): Promise<unknown> {
  const answer = await endpoint(Buffer.from(body));
  return answer === undefined ? undefined : JSON.parse(answer.toString());
}

/** Only what the specification fixes: the code, and no result. */
function isError(t: ExecutionContext, response: unknown, code: number, id: unknown = null): void {
  const { error, ...rest } = response as { error: { code: number; message: string } };
  t.is(error.code, code);
  t.is(typeof error.message, 'string');
  t.deepEqual(rest as unknown, { jsonrpc: '2.0', id });
}

test('the examples of the specification: positional and named parameters', async (t) => {
  const ask = (params: string): Promise<unknown> =>
    post(`{"jsonrpc": "2.0", "method": "subtract", "params": ${params}, "id": 1}`);
  t.deepEqual(await ask('[42, 23]'), { jsonrpc: '2.0', result: 19, id: 1 });
  t.deepEqual(await ask('[23, 42]'), { jsonrpc: '2.0', result: -19, id: 1 });
  t.deepEqual(await ask('{"subtrahend": 23, "minuend": 42}'), { jsonrpc: '2.0', result: 19, id: 1 });
  t.deepEqual(await ask('{"minuend": 42, "subtrahend": 23}'), { jsonrpc: '2.0', result: 19, id: 1 });
});

test.serial('the examples of the specification: notifications', async (t) => {
  called.length = 0;
  t.is(await post('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}'), undefined);
  t.deepEqual(called, [[1, 2, 3, 4, 5]]);
  t.is(await post('{"jsonrpc": "2.0", "method": "foobar"}'), undefined);
  t.is(await post('{"jsonrpc": "2.0", "method": "broken"}'), undefined);
});

test('the examples of the specification: errors', async (t) => {
  const unknown = await post('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}');
  t.deepEqual(unknown, { jsonrpc: '2.0', error: { code: -32601, message: 'Method not found' }, id: '1' });
  isError(t, await post('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]'), -32700);
  isError(t, await post('{"jsonrpc": "2.0", "method": 1, "params": "bar"}'), -32600);
  isError(
    t,
    await post(
      '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method"]',
    ),
    -32700,
  );
  isError(t, await post('[]'), -32600);
});

test('the examples of the specification: batches of what is no request', async (t) => {
  const one = (await post('[1]')) as unknown[];
  t.is(one.length, 1);
  isError(t, one[0], -32600);
  const three = (await post('[1,2,3]')) as unknown[];
  t.is(three.length, 3);
  for (const response of three) isError(t, response, -32600);
});

test('the examples of the specification: a mixed batch, and one of notifications', async (t) => {
  const answers = (await post(`[
    {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
    {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
    {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
    {"foo": "boo"},
    {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
    {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
  ]`)) as unknown[];
  t.is(answers.length, 5);
  t.deepEqual(answers[0], { jsonrpc: '2.0', result: 7, id: '1' });
  t.deepEqual(answers[1], { jsonrpc: '2.0', result: 19, id: '2' });
  isError(t, answers[2], -32600);
  isError(t, answers[3], -32601, '5');
  t.deepEqual(answers[4], { jsonrpc: '2.0', result: ['hello', 5], id: '9' });
  t.is(
    await post(
      '[{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}, {"jsonrpc": "2.0", "method": "update"}]',
    ),
    undefined,
  );
});

test('a batch with one answer keeps its brackets', async (t) => {
  const answer = await post('[{"jsonrpc": "2.0", "method": "sum", "params": [1], "id": 1}]');
  t.deepEqual(answer, [{ jsonrpc: '2.0', result: 1, id: 1 }]);
});

test('JSON that is no request is an invalid request, not a parse error', async (t) => {
  for (const body of ['null', 'false', '0', '"x"', '{}', '{"jsonrpc":"1.0","method":"sum","id":1}']) {
    const response = (await post(body)) as { error: { code: number } };
    t.is(response.error.code, -32600, body);
  }
});

test('params and ids of the wrong kind are refused', async (t) => {
  for (const params of ['null', '1', '"x"', 'true']) {
    isError(t, await post(`{"jsonrpc":"2.0","method":"sum","params":${params},"id":3}`), -32600, 3);
  }
  for (const id of ['{}', '[]', 'true']) {
    isError(t, await post(`{"jsonrpc":"2.0","method":"sum","params":[],"id":${id}}`), -32600);
  }
  const nullId = await post('{"jsonrpc":"2.0","method":"sum","params":[1],"id":null}');
  t.deepEqual(nullId, { jsonrpc: '2.0', result: 1, id: null });
});

test('names that every object has are no methods', async (t) => {
  for (const name of ['constructor', '__proto__', 'toString', 'rpc.x']) {
    isError(t, await post(`{"jsonrpc":"2.0","method":"${name}","id":1}`), -32601, 1);
  }
});

test('errors of methods: own codes, service errors with their outcome, nothing of the inside', async (t) => {
  const error = async (method: string): Promise<unknown> =>
    ((await post(`{"jsonrpc":"2.0","method":"${method}","id":1}`)) as { error: unknown }).error;
  t.deepEqual(await error('own'), { code: -32001, message: 'not you', data: { field: 'cluster' } });
  t.deepEqual(await error('service'), {
    code: -32010,
    message: 'an election runs',
    data: { code: 'no-leader', outcome: 'not-applied', retryAfterSeconds: 1 },
  });
  t.deepEqual(await error('broken'), { code: -32603, message: 'Internal error' });
  t.deepEqual(await error('bigint'), { code: -32603, message: 'Internal error' });
  t.true(lines.some(({ level }) => level === 'error'));
});

test.serial('a batch of 10,000 is refused as a whole', async (t) => {
  called.length = 0;
  const batch = Array.from({ length: 10_000 }, (_, id) => ({
    jsonrpc: '2.0',
    method: 'update',
    params: [],
    id,
  }));
  isError(t, await post(JSON.stringify(batch)), -32600);
  t.deepEqual(called, []);
  const full = batch.slice(0, 100).map((call) => ({ ...call, method: 'get_data' }));
  t.is(((await post(JSON.stringify(full))) as unknown[]).length, 100);
});

test('deep, long and broken bodies', async (t) => {
  const deep = `{"jsonrpc":"2.0","method":"sum","id":1,"params":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
  isError(t, await post(deep), -32600);
  isError(t, await post(' '.repeat(1024 * 1024 + 1)), -32600);
  isError(t, await post(''), -32700);
  isError(t, await post(Buffer.from([0x22, 0xff, 0xfe, 0x22])), -32700);
});
