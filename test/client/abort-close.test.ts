/** Signals and `close()`, at every stage of a call. */

import test from 'ava';
import { AbortedError, ClosedError, KVClient } from 'quorumkv-client';
import { clientOf, errorOf, QUICK } from './helpers.js';
import { broken, found, hung, problem, refusing, scripted, written } from './scripted-server.js';

test('aborted before the call: nothing is sent', async (t) => {
  const node = await scripted(t, written());
  const reason = new Error('enough');
  const error = await errorOf(
    t,
    clientOf(t, node.address).set('k', 'v', { signal: AbortSignal.abort(reason) }),
  );
  t.true(error instanceof AbortedError);
  t.is(error.outcome, 'not-applied');
  t.is(error.cause, reason);
  t.is(node.seen.length + node.openings.length, 0);
});

test('a write aborted while it waits for its answer: unknown', async (t) => {
  const node = await scripted(t, hung);
  const stop = new AbortController();
  const call = clientOf(t, node.address).set('k', 'v', { signal: stop.signal });
  await node.arrived(1);
  stop.abort();
  const error = await errorOf(t, call);
  t.true(error instanceof AbortedError);
  t.is(error.outcome, 'unknown');
});

test('a read aborted while it waits for its answer: not applied, and the node keeps its good name', async (t) => {
  const node = await scripted(t, hung, found());
  const other = await scripted(t, found('other'));
  const kv = clientOf(t, [node.address, other.address], { retry: {} });
  const stop = new AbortController();
  const call = kv.get('k', { signal: stop.signal });
  await node.arrived(1);
  stop.abort();
  t.is((await errorOf(t, call)).outcome, 'not-applied');
  t.is(other.seen.length, 0);
});

test('a write aborted in the wait between attempts: as certain as its attempts were', async (t) => {
  const node = await scripted(t, problem('no-leader', { retryAfter: 3 }));
  const stop = new AbortController();
  const kv = clientOf(t, node.address);
  const first = kv.set('k', 'v', { signal: stop.signal });
  await node.arrived(1);
  const next = await scripted(t, broken, problem('no-leader', { retryAfter: 3 }));
  const second = clientOf(t, next.address).set('k', 'v', { signal: stop.signal });
  await next.arrived(2);
  // Both answers are on their way; a read on the same client settles after them.
  node.script(found());
  next.script(found());
  await kv.get('k');
  stop.abort();
  const started = Date.now();
  t.is((await errorOf(t, first)).code, 'aborted');
  const error = await errorOf(t, second);
  t.true(error instanceof AbortedError);
  t.is(error.outcome, 'unknown');
  t.true(Date.now() - started < 1_000);
});

test('an abort after the answer changes nothing', async (t) => {
  const node = await scripted(t, written());
  const stop = new AbortController();
  const kv = clientOf(t, node.address);
  await kv.set('k', 'v', { signal: stop.signal });
  stop.abort();
  t.deepEqual(await kv.set('k', 'v'), { revision: '7' });
});

test('after close(): ClosedError, and nothing is sent', async (t) => {
  const node = await scripted(t, found());
  const kv = new KVClient(node.origin);
  await kv.get('k');
  await kv.close();
  await kv.close();
  const calls = [
    () => kv.get('k'),
    () => kv.has('k'),
    () => kv.set('k', 'v'),
    () => kv.delete('k'),
    () => kv.cluster.status(),
  ];
  for (const call of calls) {
    const error = await errorOf(t, call());
    t.true(error instanceof ClosedError);
    t.is(error.outcome, 'not-applied');
    t.false(error.retryable);
  }
  t.true((await errorOf(t, kv.list().next())) instanceof ClosedError);
  t.is(node.seen.length, 1);
  t.is(node.openings.length, 0);
});

test('close() during calls: they reject at once, with what is known', async (t) => {
  const node = await scripted(t, hung);
  const kv = new KVClient({ endpoints: node.address, autoPipeline: false });
  const refused = new KVClient({
    endpoints: await refusing(),
    retry: { ...QUICK, backoffBaseMs: 5_000, backoffMaxMs: 5_000 },
  });
  const errors = [kv.set('k', 'v'), kv.get('k'), refused.set('k', 'v')].map((call) => errorOf(t, call));
  await node.arrived(2);
  await kv.close();
  await refused.close();
  const [error, read, third] = await Promise.all(errors);
  t.true(error instanceof ClosedError);
  t.is(error!.outcome, 'unknown');
  t.is(read!.outcome, 'not-applied');
  t.true(third instanceof ClosedError);
  t.is(third!.outcome, 'not-applied');
});

test('await using closes', async (t) => {
  const node = await scripted(t, found());
  const kv = new KVClient(node.address);
  await kv[Symbol.asyncDispose]();
  t.true((await errorOf(t, kv.get('k'))) instanceof ClosedError);
});

test('a signal that outlives its calls is left without listeners', async (t) => {
  const node = await scripted(t, found());
  const kv = clientOf(t, node.address);
  let listeners = 0;
  const signal = {
    aborted: false,
    addEventListener: () => (listeners += 1),
    removeEventListener: () => (listeners -= 1),
  };
  for (let i = 0; i < 3; i += 1) await kv.get('k', { signal });
  t.is(listeners, 0);
});

test('many calls at once share a listener: Node.js warns of no leak', async (t) => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  t.teardown(() => process.off('warning', onWarning));
  const node = await scripted(t, hung);
  const stop = new AbortController();
  const kv = clientOf(t, node.address);
  const calls = Array.from({ length: 30 }, () => errorOf(t, kv.get('k', { signal: stop.signal })));
  await node.arrived(30);
  stop.abort();
  for (const error of await Promise.all(calls)) t.is(error.code, 'aborted');
  t.deepEqual(warnings, []);
});
