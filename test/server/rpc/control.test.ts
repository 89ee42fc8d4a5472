import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createControlClient } from '../../../server/rpc/control.js';
import type { ControlClient } from '../../../server/rpc/control.js';
import type { Methods } from '../../../server/rpc/dispatch.js';
import { ChannelError, outcomeOf, RpcError } from '../../../server/rpc/errors.js';
import { identifiedMethod } from '../../../server/rpc/identity.js';
import { ServiceError } from '../../../server/service.js';
import { envelope, rejection, rosterOf, serve, silent, until } from './fixtures.js';
import type { Served } from './fixtures.js';

function clientOf(t: ExecutionContext, resolve: (id: string) => string | undefined): ControlClient {
  const client = createControlClient({ roster: rosterOf('n2'), resolve, logger: silent });
  t.teardown(() => client.close());
  return client;
}

async function node(
  t: ExecutionContext,
  methods: Methods,
): Promise<{ served: Served; client: ControlClient }> {
  const served = await serve(methods);
  t.teardown(served.close);
  return { served, client: clientOf(t, (id) => (id === 'n1' ? served.address : undefined)) };
}

test('calls carry the envelope and share one connection', async (t) => {
  const { served, client } = await node(t, { 'cluster.status': (params) => params });
  const numbers = Array.from({ length: 50 }, (_, n) => n);
  const results = await Promise.all(numbers.map((n) => client.call('n1', 'cluster.status', { n }, 1000)));
  t.deepEqual(
    results,
    numbers.map((n) => ({ ...envelope(), n })),
  );
  t.is(served.sockets.length, 1);
});

test('a method with an envelope is reached by its members only', async (t) => {
  const roster = rosterOf('n1');
  const { served, client } = await node(t, {
    'kv.readIndex': identifiedMethod(roster, {}, () => ({ index: 7 })),
  });
  t.deepEqual(await client.call('n1', 'kv.readIndex', {}, 1000), { index: 7 });
  const extra = await rejection(t, client.call('n1', 'kv.readIndex', { more: 1 }, 1000));
  t.true(extra instanceof RpcError && extra.code === -32602);
  t.is(outcomeOf(extra), 'not-applied');
  const bare = await rejection(t, client.callAddress(served.address, 'kv.readIndex', {}, 1000));
  t.true(bare instanceof RpcError && bare.code === -32004);
});

test('service errors come through with code, outcome and the time to retry', async (t) => {
  const { client } = await node(t, {
    'kv.propose': () => Promise.reject(new ServiceError('overloaded', 'too much', { retryAfterSeconds: 2 })),
    'kv.lost': () => Promise.reject(new ServiceError('leadership-lost', 'gone')),
    'kv.bug': () => Promise.reject(new Error('bug')),
  });
  const error = await rejection(t, client.call('n1', 'kv.propose', {}, 1000));
  t.true(error instanceof ServiceError);
  const { code, message, outcome, retryAfterSeconds } = error as ServiceError;
  t.deepEqual([code, message, outcome, retryAfterSeconds], ['overloaded', 'too much', 'not-applied', 2]);
  t.is(outcomeOf(await rejection(t, client.call('n1', 'kv.lost', {}, 1000))), 'unknown');
  t.is(outcomeOf(await rejection(t, client.call('n1', 'kv.bug', {}, 1000))), 'unknown');
});

test('a node that is not there, or not known, was never sent anything', async (t) => {
  const { served, client } = await node(t, {});
  await served.close();
  for (const id of ['n1', 'n9']) {
    const error = await rejection(t, client.call(id, 'kv.propose', {}, 1000));
    t.true(error instanceof ChannelError && error.fault === 'never-sent', String(error));
    t.is(outcomeOf(error), 'not-applied');
  }
});

test('a call whose connection breaks is lost; the next one connects anew', async (t) => {
  let calls = 0;
  const { served, client } = await node(t, {
    'kv.propose': () => {
      calls += 1;
      return new Promise(() => undefined);
    },
    'cluster.status': () => 'here',
  });
  const lost = rejection(t, client.call('n1', 'kv.propose', {}, 10_000));
  await until(() => calls === 1, 'the call arrives');
  for (const socket of served.sockets) socket.destroy();
  const error = await lost;
  t.true(error instanceof ChannelError && error.fault === 'lost');
  t.is(outcomeOf(error), 'unknown');
  t.is(await client.call('n1', 'cluster.status', {}, 1000), 'here');
  t.is(served.sockets.length, 2);
});

test('a call that is not answered in time has an unknown outcome', async (t) => {
  const { client } = await node(t, {
    'kv.propose': () => new Promise(() => undefined),
    'cluster.status': () => 'here',
  });
  // The connection stands before the time is short: else nothing would have been sent.
  t.is(await client.call('n1', 'cluster.status', {}, 1000), 'here');
  const error = await rejection(t, client.call('n1', 'kv.propose', {}, 30));
  t.true(error instanceof ChannelError && error.fault === 'timed-out');
  t.is(outcomeOf(error), 'unknown');
});

test('names are resolved, and a changed address is followed', async (t) => {
  const first = await serve({ where: () => 'first' });
  const second = await serve({ where: () => 'second' });
  t.teardown(first.close);
  t.teardown(second.close);
  let address = `localhost:${first.port}`;
  const client = clientOf(t, () => address);
  t.is(await client.call('n1', 'where', {}, 2000), 'first');
  address = second.address;
  t.is(await client.call('n1', 'where', {}, 2000), 'second');
});

test('a closed client calls nobody', async (t) => {
  const { client } = await node(t, { 'cluster.status': () => 'here' });
  t.is(await client.call('n1', 'cluster.status', {}, 1000), 'here');
  client.close();
  const error = await rejection(t, client.call('n1', 'cluster.status', {}, 1000));
  t.true(error instanceof ChannelError && error.fault === 'never-sent');
});
