/** The load of one run through the SDK: so many loops over one client, each of which calls anew when it has its answer. */

import { readFileSync } from 'node:fs';
import { KVClient } from 'quorumkv-client';
import { loadFile } from './load.js';
import { randomKey } from './workloads.js';

/** Not counted: connections are made, and code is compiled. */
const WARM_UP_MS = 500;

const load = loadFile.parse(JSON.parse(readFileSync(process.env['BENCH_LOAD'] ?? '', 'utf8')));
const kv = new KVClient({ endpoints: load.targets, timeoutMs: 30_000 });
const startMs = performance.now() + WARM_UP_MS;
const endMs = startMs + load.seconds * 1000;
const tookMs: number[] = [];
let errors = 0;

async function call(): Promise<boolean> {
  const key = randomKey(load);
  try {
    if (Math.random() * 100 < load.readPercent) return (await kv.get(key)) === load.value;
    return (await kv.set(key, load.value)).revision !== '';
  } catch {
    return false;
  }
}

async function loop(): Promise<void> {
  for (;;) {
    const sentMs = performance.now();
    if (sentMs >= endMs) return;
    if (!(await call())) errors += 1;
    else if (sentMs >= startMs) tookMs.push(performance.now() - sentMs);
  }
}

await Promise.all(Array.from({ length: load.connections }, loop));
await kv.close();
const sorted = Float64Array.from(tookMs).sort();
const quantile = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
const measured = {
  requests: sorted.length,
  seconds: load.seconds,
  p50Ms: quantile(0.5),
  p99Ms: quantile(0.99),
  errors,
  // Every value was looked at.
  bytes: sorted.length * load.value.length,
};
process.stdout.write(`${JSON.stringify(measured)}\n`);
