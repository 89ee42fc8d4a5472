/**
 * `npm run bench:scale`: how throughput and p99 change with one dimension at a time, the others held: nodes, keys, the size of values, and
 * connections. Each point is a fresh cluster.
 */

import { readFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { begin, commandLine, keepResults, messageOf, RESULTS } from './begin.js';
import { loadTool, type Tool } from './load.js';
import { machine } from './machine.js';
import { DIRECTORY, list, positive, workloadList, type Options } from './options.js';
import { runAll } from './runs.js';
import { scaleMarkdown, type Dimension, type Point, type Scaled, type ScaleResults } from './scale-report.js';
import { PEERS } from './systems.js';
import type { Workload } from './workloads.js';

/** What is measured unless `--only` says otherwise. */
const POINTS: Readonly<Record<Dimension, readonly number[]>> = {
  nodes: [1, 3, 5, 7],
  keys: [1_000, 10_000, 100_000, 1_000_000],
  values: [16, 256, 1_024, 16_384, 65_536, 262_144, 1_048_576],
  connections: [1, 10, 100, 500, 1_000, 2_000],
};

const DIMENSIONS = Object.keys(POINTS) as Dimension[];

/** Keys times values, at most: large values are loaded under fewer keys. Keys that are asked for as a dimension are not cut down. */
const LOADED_BYTES_MAX = 256 * 2 ** 20;

export interface ScaleOptions {
  readonly peer?: (typeof PEERS)[number];
  readonly dimension: readonly Dimension[];
  readonly only?: readonly number[];
  readonly workloads: readonly Workload[];
  readonly nodes: number;
  readonly keys: number;
  readonly size: number;
  readonly connections: number;
  readonly target: 'leader' | 'all';
  readonly seconds: number;
  readonly rounds: number;
  readonly save: boolean;
  readonly dir: string;
  readonly limit: number;
}

function dimensionList(text: string): Dimension[] {
  return text.split(',').map((name) => {
    const known = DIMENSIONS.find((one) => one === name);
    if (known === undefined) throw new InvalidArgumentError(`There are ${DIMENSIONS.join(', ')}.`);
    return known;
  });
}

export function scaleOptions(args: readonly string[]): ScaleOptions {
  const program = new Command('npm run bench:scale --')
    .description('Throughput and p99 along one dimension at a time: shipped defaults, real disk, fsync on.')
    .option('--dimension <list>', `of ${DIMENSIONS.join(', ')}`, dimensionList, DIMENSIONS)
    .option('--only <list>', 'these points of the one dimension, as --dimension keys --only 5000000', list)
    .addOption(new Option('--peer <name>', 'the same work on this system, in turns').choices(PEERS))
    .option('--workloads <list>', 'as of npm run bench', workloadList, ['put', 'get'])
    .option('--nodes <n>', 'where that is not the dimension', positive, 3)
    .option('--keys <n>', 'where that is not the dimension', positive, 10_000)
    .option('--size <n>', 'bytes of a value, where that is not the dimension', positive, 256)
    .option('--connections <n>', 'where that is not the dimension', positive, 64)
    .addOption(
      new Option('--target <who>', 'the leader alone, or all nodes in equal shares')
        .choices(['leader', 'all'])
        .default('leader'),
    )
    .option('--seconds <n>', 'how long each run takes', positive, 5)
    .option('--rounds <n>', 'runs of each kind', positive, 3)
    .option('--no-save', 'leaves bench/results/ as it is')
    .option('--dir <path>', 'where the data is kept meanwhile; on a real disk', DIRECTORY)
    .option('--limit <minutes>', 'it is ended after so long', positive, 120)
    .parse(args, { from: 'user' });
  const options = program.opts<ScaleOptions>();
  if (options.only !== undefined && options.dimension.length !== 1)
    program.error('--only is of one dimension: say which by --dimension');
  return options;
}

/** Every point of one dimension. One that can't be measured has the reason; those after it are measured all the same. */
export async function measureDimension(
  dimension: Dimension,
  options: ScaleOptions,
  tool: Tool,
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<Point[]> {
  const points: Point[] = [];
  const values = options.only ?? POINTS[dimension];
  for (const value of values) {
    signal.throwIfAborted();
    tell(`${dimension}: ${value}`);
    const point = { value, keys: keysAt(dimension, value, options) };
    try {
      points.push({ ...point, runs: await runAll(optionsAt(dimension, value, options), tool, signal, tell) });
    } catch (error) {
      signal.throwIfAborted();
      tell(`${dimension} ${value}: ${messageOf(error)}`);
      points.push({ ...point, runs: [], fault: messageOf(error) });
    }
  }
  return points;
}

function keysAt(dimension: Dimension, value: number, { keys, size }: ScaleOptions): number {
  if (dimension === 'keys') return value;
  const valueBytes = dimension === 'values' ? value : size;
  return Math.max(1, Math.min(keys, Math.floor(LOADED_BYTES_MAX / valueBytes)));
}

/** Those of `npm run bench` for one point. */
function optionsAt(dimension: Dimension, value: number, options: ScaleOptions): Options {
  const { peer, workloads, nodes, size, connections, target, seconds, rounds, save, dir, limit } = options;
  return {
    ...{ workloads, target, seconds, rounds, save, dir, limit },
    ...(peer !== undefined && { peer }),
    connections: [dimension === 'connections' ? value : connections],
    sizes: [dimension === 'values' ? value : size],
    nodes: dimension === 'nodes' ? value : nodes,
    keys: keysAt(dimension, value, options),
  };
}

/** Those of other dimensions stay as they were. */
function keep(scaled: readonly Scaled[]): void {
  const file = path.join(RESULTS, 'scale.json');
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as ScaleResults) : [];
  const all = DIMENSIONS.flatMap((name) => {
    return [...scaled, ...before].find(({ dimension }) => dimension === name) ?? [];
  });
  keepResults('scale', scaleMarkdown(all), all);
}

async function main(args: readonly string[], options: ScaleOptions, signal: AbortSignal): Promise<number> {
  const tool = loadTool();
  const described = machine(tool, options.peer === 'etcd');
  console.log(described);
  const scaled: Scaled[] = [];
  for (const dimension of options.dimension) {
    const points = await measureDimension(dimension, options, tool, signal, (line) => console.log(line));
    const { nodes, keys, size, connections, target, seconds, rounds, peer } = options;
    const one: Scaled = {
      ...{ dimension, points, machine: described, command: commandLine('bench:scale', args) },
      ...{ date: new Date().toISOString(), nodes, keys, size, connections, target, seconds, rounds },
      ...(peer !== undefined && { peer }),
    };
    scaled.push(one);
    console.log(`\n${scaleMarkdown([one])}`);
    // After each: what comes later may be interrupted.
    if (options.save) keep(scaled);
  }
  return scaled.every(({ points }) => points.every(({ fault }) => fault === undefined)) ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) {
  const args = process.argv.slice(2);
  const options = scaleOptions(args);
  await begin(options.limit, (signal) => main(args, options, signal));
}
