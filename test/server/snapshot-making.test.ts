/** When nodes make their snapshots by themselves. */

import test from 'ava';
import { RARE_SNAPSHOTS } from './memory-snapshots.js';
import { startCluster } from './cluster.js';
import { write } from './requests.js';

test('nodes that began together do not make their snapshots together', async (t) => {
  const intervalMs = 30_000;
  const making = { ...RARE_SNAPSHOTS.making, intervalMs, trailingLogBytes: 0 };
  const cluster = await startCluster({ snapshots: { ...RARE_SNAPSHOTS, making } });
  const leader = await cluster.leader();
  const startMs = cluster.clock.nowMs();
  await write(cluster, leader, 'key', 'v'.repeat(2 * making.thresholdBytes));
  const madeMs = new Map<string, number>();
  await cluster.clock.when(
    () => {
      for (const { id, node } of cluster.nodes)
        if (!madeMs.has(id) && node.state.log.base.index > 1) madeMs.set(id, cluster.clock.nowMs() - startMs);
      return madeMs.size === cluster.nodes.length;
    },
    'every node makes one',
    2 * intervalMs,
  );
  const times = [...madeMs.values()].sort((a, b) => a - b);
  t.true(
    times.every((ms) => ms > 0.7 * intervalMs && ms < 1.3 * intervalMs),
    times.join(),
  );
  for (const [at, ms] of times.slice(1).entries()) t.true(ms - times[at]! > 500, times.join());
});
