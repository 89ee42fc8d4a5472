/** Locks. What no test waits for is the time: expiry is what the server double is told. */

import test from 'ava';
import { ConflictError, KVClient } from 'quorumkv-client';
import { createStore } from '../cli/store-server.js';
import { clientOf, errorOf, QUICK } from './helpers.js';
import { broken, hung, problem, scripted, type Step } from './scripted-server.js';

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve());
  });

test('a lock: taken, held, released; its token is a revision', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address);
  const lock = await kv.lock('job', { ttlMs: 60_000 });
  t.true(lock.isHeld());
  t.is(lock.token, '1');
  t.is(store.entries.get('job')!.ttlMs, 60_000);
  t.true(await lock.release());
  t.false(lock.isHeld());
  t.false(lock.signal.aborted);
  t.false(store.entries.has('job'));
  t.false(await lock.release());
});

test('somebody else holds it: ConflictError at once, or after waitMs', async (t) => {
  const node = await scripted(t, createStore().step);
  const kv = clientOf(t, node.address);
  const lock = await kv.lock('job');
  const other = clientOf(t, node.address);
  t.true((await errorOf(t, other.lock('job', { waitMs: 0 }))) instanceof ConflictError);
  const error = await errorOf(t, other.lock('job', { waitMs: 100 }));
  t.regex(error.message, /held by somebody else/);
  t.is(error.outcome, 'not-applied');
  await lock.release();
});

test('whoever waits has it as soon as it is released, with a larger token', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address);
  const first = await kv.lock('job');
  const second = clientOf(t, node.address).lock('job', { waitMs: 20_000 });
  while (store.watches.length === 0) await new Promise(setImmediate);
  await first.release();
  const lock = await second;
  t.true(Number(lock.token) > Number(first.token));
  await lock.release();
});

test('without watches it is found by looking again', async (t) => {
  const store = createStore();
  const node = await scripted(t, (response, seen, socket) => {
    const step = seen.path === '/watch' ? problem('no-such-route') : store.step;
    step(response, seen, socket);
  });
  const kv = clientOf(t, node.address);
  const first = await kv.lock('job');
  const second = clientOf(t, node.address).lock('job', { waitMs: 20_000 });
  await node.arrived(3);
  await first.release();
  await (await second).release();
  t.pass();
});

test('it is kept alive, and its token stays', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const lock = await clientOf(t, node.address).lock('job', { ttlMs: 2_000 });
  // Longer than it would have lived by itself.
  await node.arrived(5);
  t.true(lock.isHeld());
  t.is(lock.token, '1');
  t.true(store.entries.get('job')!.revision > 1);
  t.true(await lock.release());
});

test('a lock that somebody took is lost', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const lock = await clientOf(t, node.address).lock('job', { ttlMs: 300 });
  store.expire('job');
  await aborted(lock.signal);
  t.false(lock.isHeld());
  t.regex(String(lock.signal.reason), /the lock "job" is lost/);
  t.false(await lock.release());
});

test('a lock that can’t be kept alive is lost before it expires', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address);
  const started = performance.now();
  const lock = await kv.lock('job', { ttlMs: 2_000 });
  node.script(hung);
  await aborted(lock.signal);
  t.true(performance.now() - started < 2_000);
  t.false(lock.isHeld());
});

test('a grant that comes too late is none: it is given back, and asked for again', async (t) => {
  const store = createStore();
  let late = true;
  const node = await scripted(t, (response, seen, socket) => {
    const delayMs = late && seen.path === '/set' ? 150 : 0;
    if (delayMs > 0) late = false;
    setTimeout(() => store.step(response, seen, socket), delayMs);
  });
  const lock = await clientOf(t, node.address).lock('job', { ttlMs: 100 });
  t.true(Number(lock.token) > 1);
  await lock.release();
});

test('a renewal whose answer was lost, under another revision: the lock is still ours', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address, { retry: { ...QUICK, attemptsMax: 1 } });
  const lock = await kv.lock('job', { ttlMs: 1_000 });
  let lost = 1;
  const flaky: Step = (response, seen, socket) => {
    if (seen.path === '/set' && (lost -= 1) >= 0) {
      store.step(
        { writeHead: () => undefined, end: () => undefined } as unknown as typeof response,
        seen,
        socket,
      );
      socket.destroy();
    } else store.step(response, seen, socket);
  };
  const before = node.seen.length;
  node.script(flaky);
  await node.arrived(before + 3);
  t.true(lock.isHeld());
  t.true(await lock.release());
  t.is(store.entries.size, 0);
});

test('an uncertain acquisition is given back', async (t) => {
  const store = createStore();
  const node = await scripted(t, (response, seen, socket) => {
    if (seen.path === '/set') {
      store.step(
        { writeHead: () => undefined, end: () => undefined } as unknown as typeof response,
        seen,
        socket,
      );
      broken(response, seen, socket);
    } else store.step(response, seen, socket);
  });
  const kv = clientOf(t, node.address, { retry: { ...QUICK, attemptsMax: 1 } });
  t.is((await errorOf(t, kv.lock('job'))).outcome, 'unknown');
  while (store.entries.size > 0) await new Promise(setImmediate);
  t.is(store.entries.size, 0);
});

test('close() loses the locks at once; await using releases', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = new KVClient(node.address);
  const lock = await kv.lock('a');
  const other = await kv.namespace('n/').lock('b');
  t.true(store.entries.has('n/b'));
  await other[Symbol.asyncDispose]();
  t.false(store.entries.has('n/b'));
  await kv.close();
  t.true(lock.signal.aborted);
  t.false(lock.isHeld());
});

test('a signal ends the wait', async (t) => {
  const node = await scripted(t, createStore().step);
  const kv = clientOf(t, node.address);
  const lock = await kv.lock('job');
  const stop = new AbortController();
  const waiting = errorOf(t, clientOf(t, node.address).lock('job', { signal: stop.signal }));
  await node.arrived(2);
  stop.abort();
  t.is((await waiting).code, 'aborted');
  await lock.release();
});

test('arguments', async (t) => {
  const kv = clientOf(t, 'localhost:1');
  for (const options of [{ ttlMs: 50 }, { ttlMs: 100.5 }, { waitMs: -1 }, { wait: 1 }]) {
    t.is((await errorOf(t, kv.lock('k', options))).code, 'invalid-argument');
  }
});
