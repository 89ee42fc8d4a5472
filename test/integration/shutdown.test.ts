import test from 'ava';
import { startCluster } from './cluster.js';
import { loadFaults, startLoad } from './load.js';

const STOP_MS = 5_000;

for (const victim of ['the leader', 'a follower'] as const) {
  test.serial(`SIGTERM under load ends ${victim} with exit code 0 in time`, async (t) => {
    t.timeout(60_000);
    const cluster = await startCluster(t);
    const load = startLoad(t, cluster, 12);
    await cluster.waitFor('the load is on its way', () => load.acknowledged() > 200, 10_000);
    const leader = await cluster.leader();
    const stopped = victim === 'the leader' ? leader : cluster.ids.find((id) => id !== leader)!;

    t.is(await cluster.stop(stopped, STOP_MS), 0);

    const before = load.acknowledged();
    await cluster.waitFor('the others go on', () => load.acknowledged() > before + 100, 10_000);
    await load.stop();
    await cluster.restart(stopped);
    await cluster.caughtUp();
    t.deepEqual(await loadFaults(cluster, load, stopped, 'stale'), []);
  });
}

test.serial('SIGTERM under load ends all three nodes with exit code 0 in time', async (t) => {
  t.timeout(60_000);
  const cluster = await startCluster(t);
  const load = startLoad(t, cluster, 12);
  await cluster.waitFor('the load is on its way', () => load.acknowledged() > 200, 10_000);
  t.deepEqual(await Promise.all(cluster.ids.map((id) => cluster.stop(id, STOP_MS))), [0, 0, 0]);
  await load.stop();
  cluster.startAll();
  await cluster.ready();
  for (const id of cluster.ids) t.deepEqual(await loadFaults(cluster, load, id, 'linearizable'), []);
});
