import test from 'ava';
import { Registry } from 'prom-client';
import { writeStages } from '../../../server/metrics/write-stages.js';

async function sums(registry: Registry): Promise<Record<string, number>> {
  const [metric] = await registry.getMetricsAsJSON();
  const values = (metric?.values ?? []) as {
    metricName?: string;
    labels: { stage?: string };
    value: number;
  }[];
  return Object.fromEntries(
    values
      .filter(({ metricName }) => metricName?.endsWith('_sum') === true)
      .map(({ labels, value }) => [labels.stage ?? '', Math.round(value * 1000)]),
  );
}

test('one write is followed through its stages, whichever of disk and majority comes first', async (t) => {
  const registry = new Registry();
  let nowMs = 100;
  const stages = writeStages(registry, () => nowMs);
  stages.proposed(7, 0);
  nowMs += 1;
  stages.proposed(8, 0);
  stages.handedOut(6);
  stages.handedOut(8);
  nowMs += 10;
  stages.committed(8);
  nowMs += 20;
  stages.durable(8);
  nowMs += 100;
  stages.applied(8);
  t.deepEqual(await sums(registry), { queue: 1, sync: 30, replicate: 10, apply: 120 });
  // Behind its last stage nothing is observed before another is followed.
  stages.durable(9);
  stages.applied(9);
  t.deepEqual(await sums(registry), { queue: 1, sync: 30, replicate: 10, apply: 120 });
});

test('a write that never gets through is given up', async (t) => {
  const registry = new Registry();
  let nowMs = 0;
  const stages = writeStages(registry, () => nowMs);
  stages.proposed(7, 0);
  stages.handedOut(7);
  nowMs = 6000;
  stages.proposed(9, 0);
  nowMs = 6002;
  stages.handedOut(9);
  t.is((await sums(registry))['queue'], 2);
});
