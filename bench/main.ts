/** `npm run bench`: a fresh three-node cluster with the shipped defaults, fsync on, and what it does per second. */

import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { ROOT, startCluster, type Cluster } from './cluster.js';
import { watchCpu } from './cpu.js';
import { loadTool, preload, runLoad, type Tool } from './load.js';
import { isSound, machine, table, warnings, type Row } from './report.js';
import { randomValue, WORKLOADS, type Data, type Workload } from './workloads.js';

const NODES = 3;
const VALUE_BYTES = 256;

interface Options {
  readonly seconds: number;
  readonly connections: readonly number[];
  readonly workloads: readonly Workload[];
  readonly target: 'leader' | 'all';
  readonly keys: number;
  readonly dir: string;
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 up.');
  return Number(text);
}

function workloadList(text: string): Workload[] {
  return text.split(',').map((name) => {
    const known = WORKLOADS.find((workload) => workload === name);
    if (known === undefined) throw new InvalidArgumentError(`The workloads are ${WORKLOADS.join(', ')}.`);
    return known;
  });
}

function parseOptions(): Options {
  return new Command('npm run bench --')
    .description(`Measures a fresh cluster of ${NODES} nodes on this machine: shipped defaults, fsync on.`)
    .option('--seconds <n>', 'how long each run takes', positive, 10)
    .option(
      '--connections <list>',
      'keep-alive connections, a run for each',
      (text) => text.split(',').map(positive),
      [1, 16, 64, 256],
    )
    .option('--workloads <list>', `of ${WORKLOADS.join(', ')}`, workloadList, [...WORKLOADS])
    .addOption(
      new Option('--target <who>', 'the leader alone, or all nodes in equal shares')
        .choices(['leader', 'all'])
        .default('leader'),
    )
    .option('--keys <n>', 'keys that are loaded first, and drawn from', positive, 100_000)
    .option('--dir <path>', 'where the data is kept meanwhile; on a real disk', path.join(ROOT, 'data'))
    .parse()
    .opts<Options>();
}

async function measure(
  cluster: Cluster,
  tool: Tool,
  data: Data,
  { target, seconds }: Options,
  workload: Workload,
  connections: number,
  signal: AbortSignal,
): Promise<Row> {
  const leader = await cluster.leader();
  const targets = target === 'leader' ? [leader.http] : cluster.nodes.map((node) => node.http);
  const endCpu = watchCpu(cluster.nodes.flatMap((node) => node.process.pid ?? []));
  const measured = await runLoad(tool, { workload, data, targets, connections, seconds }, signal);
  const cpu = endCpu();
  const leaderChanged = (await cluster.leader()).id !== leader.id;
  return { workload, connections, measured, cpu, leaderChanged };
}

async function bench(options: Options, signal: AbortSignal): Promise<boolean> {
  const tool = loadTool();
  console.log(machine(tool));
  const data = { keys: options.keys, value: randomValue(VALUE_BYTES) };
  const cluster = await startCluster(NODES, options.dir, signal);
  const rows: Row[] = [];
  try {
    console.log(`Loading ${data.keys} keys of ${VALUE_BYTES} B ...`);
    await preload((await cluster.leader()).http, data, signal);
    for (const workload of options.workloads) {
      for (const connections of options.connections) {
        console.log(`${workload}, ${connections} connections, ${options.seconds} s ...`);
        rows.push(await measure(cluster, tool, data, options, workload, connections, signal));
      }
    }
  } finally {
    await cluster.stop();
  }
  console.log(table(rows));
  for (const line of warnings(rows)) console.log(line);
  return isSound(rows);
}

async function main(): Promise<number> {
  const options = parseOptions();
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // The first one ends the run in order, the second one at once.
      if (interrupt.signal.aborted) process.exit(130);
      console.log('Stopping ...');
      interrupt.abort();
    });
  }
  try {
    return (await bench(options, interrupt.signal)) ? 0 : 1;
  } catch (error) {
    if (interrupt.signal.aborted) return 130;
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

process.exit(await main());
