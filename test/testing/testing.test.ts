import test from 'ava';
import { ConflictError, KVError } from 'quorumkv-client';
import type { SimulatedKV } from '../../testing/index.js';
import { simulateCluster } from '../../testing/index.js';

/** An application, as its author might write it: it counts up under a key, with the revision as its guard. */
async function increment(kv: SimulatedKV, key: string): Promise<void> {
  for (;;) {
    const entry = await kv.getEntry(key);
    const next = String(Number(entry?.value ?? 0) + 1);
    try {
      await kv.set(key, next, entry === undefined ? { ifAbsent: true } : { ifRevision: entry.revision });
      return;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
}

test('an application counts right while leaders crash and links are cut', async (t) => {
  const cluster = simulateCluster({ seed: 7, faults: ['crash-leader', 'partition', 'flaky-network'] });
  let certain = 0;
  let doubtful = 0;
  const worker = async (): Promise<void> => {
    const kv = cluster.client();
    for (let turn = 0; turn < 20; turn += 1) {
      try {
        await increment(kv, 'visits');
        certain += 1;
      } catch (error) {
        if (!(error instanceof KVError)) throw error;
        if (error.outcome === 'unknown') doubtful += 1;
      }
    }
  };
  await cluster.until(() => Promise.all([worker(), worker(), worker()]), 600_000);
  cluster.heal();
  const visits = Number(await cluster.until(() => cluster.client().get('visits')));
  t.true(visits >= certain && visits <= certain + doubtful, `${visits}: ${certain} and ${doubtful}`);
  t.true(certain > 30);
  t.true(cluster.log().some((line) => line.includes('***')));
});

test('the same seed gives the same run, another one another', async (t) => {
  const runOf = async (seed: number): Promise<string> => {
    const cluster = simulateCluster({ seed, faults: ['crash', 'pause-leader'], faultsEveryMs: 100 });
    const kv = cluster.client();
    await cluster.until(async () => {
      for (let at = 0; at < 20; at += 1) await kv.set('k', String(at));
    });
    return `${cluster.nowMs} ${cluster.log().join('\n')}`;
  };
  t.is(await runOf(1), await runOf(1));
  t.not(await runOf(1), await runOf(2));
});

test('nodes crash, stand still and are cut off as told', async (t) => {
  const cluster = simulateCluster({ seed: 3, nodes: 3 });
  const kv = cluster.client();
  await cluster.until(() => kv.set('a', '1'));
  const old = cluster.leader ?? '';
  cluster.partition(
    [old],
    cluster.nodes.filter((id) => id !== old),
  );
  await cluster.run(2000);
  t.not(cluster.leader, old);
  t.is(await cluster.until(() => kv.get('a')), '1');
  cluster.heal();
  for (const id of cluster.nodes) cluster.crash(id);
  const error = await cluster.until(() => t.throwsAsync(kv.set('a', '2', { timeoutMs: 500 })));
  t.true(error instanceof KVError && error.outcome === 'not-applied');
  for (const id of cluster.nodes) cluster.restart(id);
  t.deepEqual(await cluster.until(() => kv.getMany(['a', 'b'])), ['1', undefined]);
  cluster.pause(cluster.leader ?? 'n1', 3000);
  await cluster.until(() => kv.set('a', '3'));
  t.is(await cluster.until(() => kv.get('a')), '3');
});

test('everything that the client offers', async (t) => {
  const cluster = simulateCluster({ seed: 1 });
  const kv = cluster.client();
  await cluster.until(async () => {
    const { revision } = await kv.set('a/1', 'x');
    t.deepEqual(await kv.getEntry('a/1'), { key: 'a/1', value: 'x', revision });
    const { currentRevision } = await t.throwsAsync(kv.set('a/1', 'y', { ifAbsent: true }), {
      instanceOf: ConflictError,
    });
    t.is(currentRevision, revision);
    t.true((await kv.atomic().check('a/1', revision).set('a/2', 'z').delete('a/1').commit()).ok);
    t.deepEqual(await kv.atomic().check('a/2', '1').set('a/3', 'z').commit(), { ok: false, failed: ['a/2'] });
    t.false(await kv.has('a/1'));
    t.is(await kv.deletePrefix('a/'), 1);
    t.false(await kv.delete('a/2'));
    await kv.set('short', 'lived', { ttlMs: 100 });
    await cluster.sleep(1000);
    t.is(await kv.get('short'), undefined);
  });
});

test('what is asked for wrongly is refused, with what to do', (t) => {
  t.throws(() => simulateCluster({ seed: -1 }), { instanceOf: RangeError, message: /seed has to be/ });
  t.throws(() => simulateCluster({ seed: 1, nodes: 0 }), { message: /nodes has to be .* 1 to 9/ });
  t.throws(() => simulateCluster({ seed: 1 }).crash('n9'), { message: /no node n9; there are n1, n2, n3/ });
});

test('a task that waits for something real is told so', async (t) => {
  const cluster = simulateCluster({ seed: 1 });
  await t.throwsAsync(
    cluster.until(() => new Promise(() => undefined), 100),
    { message: /did not end within 100 simulated ms/ },
  );
});
