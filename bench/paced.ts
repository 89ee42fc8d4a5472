/**
 * The load of one run at a steady rate, in a process of its own: what the file that BENCH_LOAD names says. A request is due at its time
 * whatever became of those before it, and its latency counts from there, so that a stall is measured by all that it held up.
 */

import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { loadFile, send } from './load.js';
import { fill } from './systems.js';
import { randomKey } from './workloads.js';

const PULSE_MS = 1;
/** What still waits at the end is given so long; then it is an error. */
const PATIENCE_MS = 10_000;

const load = loadFile.parse(JSON.parse(readFileSync(process.env['BENCH_LOAD'] ?? '', 'utf8')));
const agent = new Agent({ keepAlive: true, maxSockets: Math.ceil(load.connections / load.targets.length) });
const total = load.seconds * (load.rate ?? 1);
const startMs = performance.now();
const dueMs = (at: number): number => startMs + (at * 1000) / (load.rate ?? 1);
const tookMs: number[] = [];
let begun = 0;
let inFlight = 0;
let errors = 0;
let bytes = 0;

async function one(at: number): Promise<void> {
  const target = load.targets[at % load.targets.length] ?? '';
  const { body, ...form } = Math.random() * 100 < load.readPercent ? load.get : load.put;
  const filled = fill(load, { ...form, ...(body !== undefined && { body }) }, randomKey(load));
  inFlight += 1;
  try {
    bytes += Buffer.byteLength(await send({ http: target }, agent, filled));
    tookMs.push(performance.now() - dueMs(at));
  } catch {
    errors += 1;
  }
  inFlight -= 1;
}

const endMs = startMs + load.seconds * 1000;
while ((begun < total || inFlight > 0) && performance.now() < endMs + PATIENCE_MS) {
  const nowMs = performance.now();
  while (begun < total && inFlight < load.connections && dueMs(begun) <= nowMs) {
    void one(begun);
    begun += 1;
  }
  await delay(PULSE_MS);
}
const seconds = Math.max(load.seconds, (performance.now() - startMs) / 1000);
const sorted = Float64Array.from(tookMs).sort();
const quantile = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
const measured = {
  ...{ requests: sorted.length, seconds, bytes },
  p50Ms: quantile(0.5),
  p99Ms: quantile(0.99),
  errors: errors + (total - begun) + inFlight,
};
process.stdout.write(`${JSON.stringify(measured)}\n`);
process.exit(0);
