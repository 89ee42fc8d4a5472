import test from 'ava';
import { startCluster } from './cluster.js';
import { loadFaults, startLoad } from './load.js';

test.serial('every acknowledged write survives kill -9 of all nodes under load', async (t) => {
  t.timeout(60_000);
  const cluster = await startCluster(t);
  const load = startLoad(t, cluster, 24);
  for (let round = 1; round <= 2; round += 1) {
    const before = load.acknowledged();
    await cluster.waitFor('the load is on its way', () => load.acknowledged() > before + 300, 10_000);
    await Promise.all(cluster.ids.map((id) => cluster.kill9(id)));
    cluster.startAll();
    await cluster.ready();
  }
  const before = load.acknowledged();
  await cluster.waitFor('writes are acknowledged again', () => load.acknowledged() > before + 100, 10_000);
  await load.stop();

  await cluster.caughtUp();
  for (const id of cluster.ids) {
    t.deepEqual(await loadFaults(cluster, load, id, 'linearizable'), [], `linearizable, asked of ${id}`);
    t.deepEqual(await loadFaults(cluster, load, id, 'stale'), [], `as ${id} itself has it`);
  }
});
