/** `npm run bench:memory`: what stays resident per node with many small keys, beside etcd where that is asked for. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { ROOT, startProduct, type ClusterNode } from './cluster.js';
import { spreadOf } from './compare.js';
import { checkSample, preload } from './load.js';
import { positive } from './options.js';
import { PEERS, systemNamed, type SystemName } from './systems.js';
import { randomValue } from './workloads.js';

const NODES = 3;
/** Until what loading left behind is written and collected. */
const SETTLE_MS = 15_000;

interface Options {
  readonly peer?: (typeof PEERS)[number];
  readonly keys: number;
  readonly size: number;
  readonly dir: string;
}

const options = new Command('npm run bench:memory --')
  .description(`Resident memory of each of ${NODES} nodes with their defaults, after loading.`)
  .addOption(new Option('--peer <name>', 'the same of this system').choices(PEERS))
  .option('--keys <n>', 'how many', positive, 1_000_000)
  .option('--size <n>', 'bytes of a value', positive, 64)
  .option('--dir <path>', 'where the data is kept meanwhile; on a real disk', path.join(ROOT, 'data'))
  .parse()
  .opts<Options>();

function residentMiB(node: ClusterNode): number {
  const status = readFileSync(`/proc/${node.process.pid ?? 0}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
}

/** In MiB, of each node. */
async function residentOf(name: SystemName): Promise<number[]> {
  const system = systemNamed(name);
  const data = { keys: options.keys, value: randomValue(options.size) };
  const cluster = await startProduct(system.product, NODES, options.dir);
  try {
    const leader = await cluster.leader();
    await preload(system, leader, data, new AbortController().signal);
    await checkSample({ system, workload: 'get', data, targets: [await cluster.leader()] });
    await delay(SETTLE_MS);
    return cluster.nodes.map(residentMiB);
  } finally {
    await cluster.stop();
  }
}

const medians: number[] = [];
for (const name of ['quorumkv', ...(options.peer === undefined ? [] : [options.peer])] as const) {
  const resident = await residentOf(name);
  medians.push(spreadOf(resident)?.median ?? Number.NaN);
  const each = resident.map((mebibytes) => mebibytes.toFixed(0)).join(', ');
  console.log(`${name}: ${options.keys} keys of ${options.size} B: ${each} MiB resident`);
}
const [ours, theirs] = medians;
if (ours !== undefined && theirs !== undefined)
  console.log(`ratio of medians: ${(ours / theirs).toFixed(2)}`);
