/** Calls that share round trips. */

import test from 'ava';
import { AbortedError, ConflictError, TimeoutError, TooLargeError } from 'quorumkv-client';
import { createStore } from '../cli/store-server.js';
import { clientOf, errorOf, held, IMPATIENT } from './helpers.js';
import { broken, found, hung, ok, problem, scripted, written, type Step } from './scripted-server.js';

const PIPED = { autoPipeline: true };

interface Op {
  readonly op: string;
  readonly key: string;
  readonly value?: string;
  readonly session?: string;
}

const opsOf = ({ body }: { body: unknown }): Op[] => (body as { ops: Op[] }).ops;

/** Answers a pipeline operation by operation. */
const results =
  (answer: (op: Op) => object): Step =>
  (response, seen, socket) =>
    ok({ results: opsOf(seen).map(answer) })(response, seen, socket);

const error = (code: string, status: number, rest: object = {}) => ({
  status,
  error: { code, status, detail: code, ...rest },
});

const fine = (op: Op) => ({ status: 200, result: { success: true, key: op.key, revision: '9' } });

test('a single call is a plain request', async (t) => {
  const node = await scripted(t, written(), found());
  const kv = clientOf(t, node.address, PIPED);
  await kv.set('k', 'v');
  await kv.get('k');
  t.deepEqual(
    node.seen.map(({ path }) => path),
    ['/set', '/get'],
  );
});

test('256 calls at once take one round trip, each with its own number and result', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address, PIPED);
  const set = await Promise.all(Array.from({ length: 256 }, (_, i) => kv.set(`k${i}`, String(i))));
  t.is(new Set(set.map(({ revision }) => revision)).size, 256);
  t.is(node.seen.length, 1);
  const numbers = opsOf(node.seen[0]!).map(({ session }) => Number(session!.split('/')[1]));
  t.deepEqual(
    numbers,
    Array.from({ length: 256 }, (_, i) => i),
  );
  const got = await Promise.all(Array.from({ length: 256 }, (_, i) => kv.get(`k${i}`)));
  t.deepEqual(
    got,
    Array.from({ length: 256 }, (_, i) => String(i)),
  );
  t.is(node.seen.length, 2);
});

test('what is called while two requests are out travels together in the next one', async (t) => {
  const store = createStore();
  const first = held(store.step);
  const second = held(store.step);
  const node = await scripted(t, first.step, second.step, store.step);
  const kv = clientOf(t, node.address, PIPED);
  const calls = [kv.set('a', '1')];
  await node.arrived(1);
  calls.push(kv.set('b', '1'));
  await node.arrived(2);
  calls.push(kv.set('c', '1'), kv.set('d', '1'));
  first.release();
  second.release();
  await Promise.all(calls);
  t.deepEqual(
    opsOf(node.seen[2]!).map(({ key }) => key),
    ['c', 'd'],
  );
});

test('calls on one key are carried out in order, and none overtakes one that is under way', async (t) => {
  const store = createStore();
  const first = held(store.step);
  const node = await scripted(t, first.step, store.step);
  const kv = clientOf(t, node.address, PIPED);
  const calls: Promise<unknown>[] = [kv.set('k', '1')];
  await node.arrived(1);
  calls.push(kv.set('k', '2'), kv.get('k'), kv.delete('k'), kv.get('k'), kv.set('other', 'x'));
  await node.arrived(2);
  t.is(node.seen[1]!.path, '/set');
  first.release();
  const all = await Promise.all(calls);
  t.deepEqual(all.slice(2, 5), ['2', true, undefined]);
  t.deepEqual(
    opsOf(node.seen[2]!).map(({ op }) => op),
    ['set', 'get', 'delete', 'get'],
  );
});

test('a write that is repeated keeps its place on its key, and its number', async (t) => {
  const store = createStore();
  let refused = false;
  const flaky: Step = (response, seen, socket) => {
    if (refused || seen.path !== '/pipeline') store.step(response, seen, socket);
    else {
      refused = true;
      // The server refuses what is behind a refused operation on its key.
      results((op) =>
        op.key === 'k' ? error('no-leader', 503, { retryable: true, outcome: 'not-applied' }) : fine(op),
      )(response, seen, socket);
    }
  };
  const node = await scripted(t, flaky);
  const kv = clientOf(t, node.address, PIPED);
  const [, , value] = await Promise.all([kv.set('k', '1'), kv.set('k', '2'), kv.get('k'), kv.set('x', '1')]);
  t.is(value, '2');
  t.is(store.entries.get('k')!.value.toString(), '2');
  const sent = node.seen.flatMap((seen) =>
    seen.path === '/pipeline' ? opsOf(seen) : [{ ...(seen.body as Op), session: seen.session! }],
  );
  const first = sent.filter(({ key, value: written }) => key === 'k' && written === '1');
  t.is(first.length, 2);
  t.is(new Set(first.map(({ session }) => session!.split('/').slice(0, 2).join())).size, 1);
});

test('one call is refused: the others have their results, and one behind it on its key gets its own', async (t) => {
  const refusal = error('too-large', 413, { retryable: false, outcome: 'not-applied' });
  const node = await scripted(
    t,
    results((op) => (op.key === 'big' ? refusal : fine(op))),
    found('mine'),
  );
  const kv = clientOf(t, node.address, PIPED);
  const big = errorOf(t, kv.set('big', 'v'));
  const [behind, other] = await Promise.all([kv.get('big'), kv.set('k', 'v')]);
  t.true((await big) instanceof TooLargeError);
  t.is((await big).outcome, 'not-applied');
  t.is(behind, 'mine');
  t.deepEqual(other, { revision: '9' });
});

test('a read that was too much for one answer is asked for again', async (t) => {
  const tooMuch = error('too-large', 413, { retryable: false, outcome: 'not-applied' });
  const node = await scripted(
    t,
    results((op) =>
      op.key === 'b' ? tooMuch : { status: 200, result: { key: 'a', value: '1', revision: '1' } },
    ),
    ok({ key: 'b', value: '2', revision: '2' }),
  );
  t.deepEqual(await clientOf(t, node.address).getMany(['a', 'b']), ['1', '2']);
});

test('a condition that does not hold is the result of its own call', async (t) => {
  const node = await scripted(t, createStore().step);
  const kv = clientOf(t, node.address, PIPED);
  await kv.set('k', 'v');
  const [conflict, fresh] = await Promise.all([
    errorOf(t, kv.set('k', 'w', { ifAbsent: true })),
    kv.set('l', 'w', { ifAbsent: true }),
  ]);
  t.true(conflict instanceof ConflictError && conflict.currentRevision === '1');
  t.truthy(fresh.revision);
});

test('a batch that broke is sent again, and nothing is applied twice', async (t) => {
  const store = createStore();
  let breaks = 3;
  const node = await scripted(t, (response, seen, socket) => {
    // It was carried out, and the answer is lost.
    if (seen.path === '/pipeline' && (breaks -= 1) >= 0) {
      const silent = { writeHead: () => undefined, end: () => undefined } as unknown as typeof response;
      store.step(silent, seen, socket);
      socket.destroy();
    } else store.step(response, seen, socket);
  });
  const kv = clientOf(t, node.address, PIPED);
  const set = await Promise.all(Array.from({ length: 50 }, (_, i) => kv.set(`k${i}`, 'v')));
  t.is(store.sets(), 50);
  t.is(new Set(set.map(({ revision }) => revision)).size, 50);
});

test('aborting one call, or its time, does not disturb those that travel with it', async (t) => {
  const store = createStore();
  const batch = held(store.step);
  const node = await scripted(t, store.step, batch.step, store.step);
  const kv = clientOf(t, node.address, PIPED);
  await kv.set('session', 'is open');
  const stop = new AbortController();
  const aborted = errorOf(t, kv.set('a', '1', { signal: stop.signal }));
  const late = errorOf(t, kv.set('b', '1', { timeoutMs: 300 }));
  const read = errorOf(t, kv.get('c', { timeoutMs: 300 }));
  const good = kv.set('d', '1');
  await node.arrived(2);
  stop.abort();
  const abortion = await aborted;
  t.true(abortion instanceof AbortedError);
  t.is(abortion.outcome, 'unknown');
  t.true((await late) instanceof TimeoutError);
  t.is((await late).outcome, 'unknown');
  t.is((await read).outcome, 'not-applied');
  batch.release();
  t.truthy((await good).revision);
  t.is(node.seen.length, 2);
});

test('each call of a batch has its own time, in whatever order they end, and the others are answered', async (t) => {
  const store = createStore();
  const batch = held(store.step);
  const node = await scripted(t, store.step, batch.step, store.step);
  const kv = clientOf(t, node.address, PIPED);
  await kv.set('session', 'is open');
  const startedMs = performance.now();
  const stop = new AbortController();
  const calls = Array.from({ length: 90 }, (_, i) => {
    // Neither rising nor falling.
    const timeoutMs = 20 + ((i * 37) % 90);
    const options = [{ timeoutMs }, { signal: stop.signal }, {}][i % 3];
    const call = kv.set(`k${i}`, 'v', options).then(
      () => 'answered',
      (error: unknown) => {
        if (!(error instanceof TimeoutError))
          return error instanceof AbortedError ? 'aborted' : String(error);
        return performance.now() >= startedMs + timeoutMs ? 'timed out' : `early: ${timeoutMs} ms`;
      },
    );
    return { call, expected: ['timed out', 'aborted', 'answered'][i % 3] };
  });
  await node.arrived(2);
  stop.abort();
  await Promise.all(calls.filter((_, i) => i % 3 < 2).map(({ call }) => call));
  batch.release();
  t.deepEqual(
    await Promise.all(calls.map(({ call }) => call)),
    calls.map(({ expected }) => expected),
  );
});

test('a call that is aborted before it is sent was not applied, and is not sent', async (t) => {
  const first = held(written());
  const second = held(written());
  const node = await scripted(t, first.step, second.step, written());
  const kv = clientOf(t, node.address, PIPED);
  const calls = [kv.set('a', '1')];
  await node.arrived(1);
  calls.push(kv.set('b', '1'));
  await node.arrived(2);
  const stop = new AbortController();
  const aborted = errorOf(t, kv.set('c', '1', { signal: stop.signal }));
  await Promise.resolve();
  stop.abort();
  t.is((await aborted).outcome, 'not-applied');
  first.release();
  second.release();
  await Promise.all(calls);
  await kv.set('d', '1');
  t.is(node.seen.length, 3);
});

test('close() ends the calls of a batch: unknown', async (t) => {
  const node = await scripted(t, hung);
  const kv = clientOf(t, node.address, PIPED);
  const errors = [kv.set('a', '1'), kv.get('b')].map((call) => errorOf(t, call));
  await node.arrived(1);
  await kv.close();
  const [write, read] = await Promise.all(errors);
  t.is(write!.code, 'closed');
  t.is(write!.outcome, 'unknown');
  t.is(read!.outcome, 'not-applied');
});

test('a batch on a hung node goes to another one', async (t) => {
  const node = await scripted(t, hung);
  const store = createStore();
  const other = await scripted(t, store.step);
  const kv = clientOf(t, [node.address, other.address], { ...PIPED, retry: IMPATIENT });
  await Promise.all([kv.set('a', '1'), kv.set('b', '1')]);
  t.is(store.sets(), 2);
  t.is(node.seen.length, 1);
});

test('large values do not travel in one batch beyond its bound', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address, PIPED);
  const value = 'x'.repeat(100_000);
  await Promise.all(Array.from({ length: 10 }, (_, i) => kv.set(`k${i}`, value)));
  t.is(store.sets(), 10);
  t.true(node.seen.every((seen) => seen.path === '/set' || opsOf(seen).length <= 2));
});

test('reads of one pipeline have one consistency, and stale ones are spread over the nodes', async (t) => {
  const store = createStore();
  const nodes = await Promise.all([scripted(t, store.step), scripted(t, store.step)]);
  const kv = clientOf(
    t,
    nodes.map(({ address }) => address),
    PIPED,
  );
  const lease = { consistency: 'lease' } as const;
  await kv.set('session', 'is open');
  await Promise.all([kv.get('a'), kv.get('b'), kv.get('c', lease), kv.get('d', lease), kv.set('e', '1')]);
  const seen = nodes.flatMap((node) => node.seen);
  t.deepEqual(
    seen
      .slice(1)
      .map(({ query }) => query.get('consistency'))
      .toSorted(),
    ['lease', null],
  );
  const stale = { consistency: 'stale' } as const;
  for (let i = 0; i < 4; i += 1) await Promise.all([kv.get('a', stale), kv.get('b', stale)]);
  for (const node of nodes) {
    t.is(node.seen.filter(({ query }) => query.get('consistency') === 'stale').length, 2);
  }
});

test('getMany takes one round trip, whatever autoPipeline says', async (t) => {
  const store = createStore();
  const node = await scripted(t, store.step);
  const kv = clientOf(t, node.address);
  await kv.set('a', '1');
  await kv.set('b', '2');
  t.deepEqual(await kv.getMany(['b', 'missing', 'a', 'b']), ['2', undefined, '1', '2']);
  t.is(node.seen.length, 3);
  t.deepEqual(await kv.getMany([]), []);
  node.script(results(() => error('internal', 500, { retryable: false })));
  t.is((await errorOf(t, kv.getMany(['a', 'b']))).code, 'internal');
});

test('an answer that is no pipeline proves nothing about its writes', async (t) => {
  for (const step of [ok({}), ok({ results: [] }), ok({ results: [{ status: 200 }, 'x'] })]) {
    const node = await scripted(t, step);
    const kv = clientOf(t, node.address, PIPED);
    const errors = await Promise.all([errorOf(t, kv.set('a', '1')), errorOf(t, kv.get('b'))]);
    t.deepEqual(
      errors.map(({ code, outcome }) => [code, outcome]),
      [
        ['bad-response', 'unknown'],
        ['bad-response', 'not-applied'],
      ],
    );
  }
  const node = await scripted(t, broken);
  const kv = clientOf(t, node.address, { ...PIPED, retry: { attemptsMax: 1 } });
  const errors = await Promise.all([errorOf(t, kv.set('a', '1')), errorOf(t, kv.get('b'))]);
  t.deepEqual(
    errors.map(({ outcome }) => outcome),
    ['unknown', 'not-applied'],
  );
});

test('a problem for the whole batch is one for each of its calls', async (t) => {
  const node = await scripted(t, problem('disk-full'));
  const kv = clientOf(t, node.address, PIPED);
  for (const failure of await Promise.all([errorOf(t, kv.set('a', '1')), errorOf(t, kv.set('b', '1'))])) {
    t.is(failure.code, 'disk-full');
    t.is(failure.outcome, 'not-applied');
  }
});
