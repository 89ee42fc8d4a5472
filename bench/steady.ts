/** `npm run bench:steady`: one load for long, a line a minute, and how far the last third is from the first. */

import path from 'node:path';
import { Command, Option } from 'commander';
import { begin, commandLine, keepResults } from './begin.js';
import { startProduct, type Cluster } from './cluster.js';
import { loadTool, preload, runLoad, type Load, type Measured, type Tool } from './load.js';
import { machine } from './machine.js';
import { DIRECTORY, positive, workload } from './options.js';
import { diskBytes, processUse } from './processes.js';
import { whole } from './report.js';
import { pidsOf, warmUp, type Running } from './runs.js';
import { driftTable, HEAD, minuteRow, type Minute } from './steady-report.js';
import { PEERS, systemNamed } from './systems.js';
import { watchCpu } from './cpu.js';
import { randomValue, TITLES, type Workload } from './workloads.js';

export interface SteadyOptions {
  readonly system: 'quorumkv' | (typeof PEERS)[number];
  readonly minutes: number;
  readonly every: number;
  readonly rate?: number;
  readonly workload: Workload;
  readonly connections: number;
  readonly keys: number;
  readonly size: number;
  readonly nodes: number;
  readonly target: 'leader' | 'all';
  readonly save: boolean;
  readonly dir: string;
  readonly limit?: number;
}

/** For start, loading, and the looks between the lines. */
const EXTRA_MINUTES = 15;

export function steadyOptions(args: readonly string[]): SteadyOptions {
  return new Command('npm run bench:steady --')
    .description(
      'One load for long on a fresh cluster: a line a minute, and the drift from the first third to the last.',
    )
    .option('--minutes <n>', 'how long', positive, 30)
    .option('--every <seconds>', 'a line after so long, instead of a minute', positive, 60)
    .option(
      '--rate <n>',
      'requests per second, sent on time; without it each connection sends when it has its answer',
      positive,
    )
    .option('--workload <name>', 'one of those of npm run bench', workload, 'put')
    .option('--connections <n>', 'keep-alive connections, each with one request at a time', positive, 64)
    .option('--keys <n>', 'keys that are loaded first, and drawn from', positive, 100_000)
    .option('--size <n>', 'bytes of a value', positive, 256)
    .option('--nodes <n>', 'of the cluster', positive, 3)
    .addOption(
      new Option('--target <who>', 'the leader alone, or all nodes in equal shares')
        .choices(['leader', 'all'])
        .default('leader'),
    )
    .addOption(
      new Option('--system <name>', 'what is measured').choices(['quorumkv', ...PEERS]).default('quorumkv'),
    )
    .option('--no-save', 'leaves bench/results/ as it is')
    .option('--dir <path>', 'where the data is kept meanwhile; on a real disk', DIRECTORY)
    .option(
      '--limit <minutes>',
      `it is ended after so long; default: ${EXTRA_MINUTES} more than --minutes`,
      positive,
    )
    .parse(args, { from: 'user' })
    .opts<SteadyOptions>();
}

/** In one line: each fails the writes that are under way, one a connection. More of them is no steady load. */
const LEADER_CHANGES_MAX = 2;

/** `tell` hears of each line as it ends, and so what was measured before an error is not lost. */
export async function measureSteadily(
  options: SteadyOptions,
  tool: Tool,
  signal: AbortSignal,
  tell: (minute: Minute) => void,
): Promise<void> {
  const { nodes, dir, keys, size, minutes, every } = options;
  const system = systemNamed(options.system);
  const data = { keys, value: randomValue(size) };
  const cluster = await startProduct(system.product, nodes, dir, signal);
  const one = { system, cluster };
  try {
    await preload(system, await cluster.leader(), data, signal);
    await warmUp(one, data, every, tool, signal);
    const lines = Math.max(1, Math.round((minutes * 60) / every));
    for (let line = 1; line <= lines; line += 1) {
      const { workload: name, connections, target, rate } = options;
      const leader = await cluster.leader();
      const load: Load = {
        ...{ system, workload: name, data, connections, seconds: every },
        targets: target === 'leader' ? [leader] : cluster.nodes,
        errorsMax: LEADER_CHANGES_MAX * connections,
        ...(rate !== undefined && { rate }),
      };
      const endCpu = watchCpu(pidsOf(one));
      const measured = await runLoad(tool, load, signal);
      tell(look(line, one, measured, endCpu()?.others));
    }
  } finally {
    await cluster.stop();
  }
}

function look(line: number, one: Running, measured: Measured, others: number | undefined): Minute {
  const { cluster } = one;
  return {
    line,
    perSecond: measured.requests / measured.seconds,
    p50Ms: measured.p50Ms,
    p99Ms: measured.p99Ms,
    errors: measured.errors,
    residentBytes: pidsOf(one).map((pid) => processUse(pid).residentBytes),
    diskBytes: disksOf(cluster),
    others,
  };
}

const disksOf = ({ nodes, directory }: Cluster): number[] =>
  nodes.map(({ id }) => diskBytes(path.join(directory, id)));

async function main(args: readonly string[], options: SteadyOptions, signal: AbortSignal): Promise<number> {
  const tool = loadTool();
  const described = machine(
    options.rate === undefined ? tool : 'Node.js at its own pace',
    options.system === 'etcd',
  );
  const minutes: Minute[] = [];
  console.log(`${described}\n\n${HEAD.join('\n')}`);
  try {
    await measureSteadily(options, tool, signal, (minute) => {
      minutes.push(minute);
      console.log(minuteRow(minute));
    });
  } finally {
    if (minutes.length > 0) conclude(args, options, described, minutes);
  }
  return 0;
}

/** Also of what was measured until an error, or Ctrl-C. */
function conclude(
  args: readonly string[],
  options: SteadyOptions,
  described: string,
  minutes: readonly Minute[],
): void {
  const { system, workload: name, rate, connections, keys, size, nodes, target, every, save } = options;
  const command = commandLine('bench:steady', args);
  const date = new Date().toISOString();
  const sent = rate === undefined ? 'as fast as they are answered' : `${whole(rate)} per second`;
  const text = [
    '# A steady load',
    '',
    `Written by \`${command}\` on ${date}.`,
    '',
    `${described}.`,
    '',
    `${system}, ${nodes} nodes with their defaults, fsync on; ${TITLES[name]}, ${sent}, ${connections} connections to ${target === 'leader' ? 'the leader' : 'all nodes'};`,
    `${whole(keys)} keys of ${size} B; a line is ${every} s. Memory and disk are in MiB, of each node. Errors are those of a change of leaders, which fails what is under way.`,
    '',
    ...HEAD,
    ...minutes.map(minuteRow),
    '',
    ...driftTable(minutes),
    '',
  ].join('\n');
  console.log(`\n${driftTable(minutes).join('\n')}`);
  if (save) keepResults('steady', text, { machine: described, command, date, minutes });
}

if (process.argv[1] === import.meta.filename) {
  const args = process.argv.slice(2);
  const options = steadyOptions(args);
  await begin(options.limit ?? options.minutes + EXTRA_MINUTES, (signal) => main(args, options, signal));
}
