/**
 * `npm run bench:follower`: what puts per second are while one follower is dead or slow, beside the healthy cluster, in turns. A majority
 * needs no third node, so that throughput must not hang on it.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { begin, commandLine, keepResults } from './begin.js';
import { startProduct } from './cluster.js';
import { rateOf, spreadOf, type Spread } from './compare.js';
import { caughtUp, disturb, DISTURBANCES, DISTURBED, type Disturbance } from './disturb.js';
import { loadTool, preload, type Tool } from './load.js';
import { machine } from './machine.js';
import { DIRECTORY, positive } from './options.js';
import { times, warnings, whole } from './report.js';
import { measure, PAUSE_MS, warmUp, type Outcome, type Running } from './runs.js';
import { PEERS, systemNamed, type SystemName } from './systems.js';
import { randomValue, type Data } from './workloads.js';

/** Of what the healthy cluster does. */
const BAR = 0.9;

export interface FollowerOptions {
  readonly peer?: (typeof PEERS)[number];
  readonly only: readonly Disturbance[];
  readonly nodes: number;
  readonly connections: number;
  readonly keys: number;
  readonly size: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly save: boolean;
  readonly dir: string;
  readonly limit: number;
}

/** Two neighbouring runs. */
export interface Pair {
  readonly system: SystemName;
  readonly disturbance: Disturbance;
  readonly round: number;
  readonly healthy: Outcome;
  readonly disturbed: Outcome;
}

function disturbanceList(text: string): Disturbance[] {
  return text.split(',').map((name) => {
    const known = DISTURBANCES.find((one) => one === name);
    if (known === undefined) throw new InvalidArgumentError(`There are ${DISTURBANCES.join(', ')}.`);
    return known;
  });
}

export function followerOptions(args: readonly string[]): FollowerOptions {
  return new Command('npm run bench:follower --')
    .description(
      `Puts to the leader while one follower is disturbed, and while none is, in turns; the bar is ${BAR} times the healthy cluster.`,
    )
    .addOption(new Option('--peer <name>', 'the same with this system, in turns').choices(PEERS))
    .option('--only <list>', `of ${DISTURBANCES.join(', ')}`, disturbanceList, [...DISTURBANCES])
    .option('--nodes <n>', 'of the cluster', positive, 3)
    .option('--connections <n>', 'keep-alive connections, each with one request at a time', positive, 64)
    .option('--keys <n>', 'keys that are loaded first, and drawn from', positive, 10_000)
    .option('--size <n>', 'bytes of a value', positive, 256)
    .option('--seconds <n>', 'how long each run takes', positive, 5)
    .option('--rounds <n>', 'pairs of runs of each kind', positive, 5)
    .option('--no-save', 'leaves bench/results/ as it is')
    .option('--dir <path>', 'where the data is kept meanwhile; on a real disk', DIRECTORY)
    .option('--limit <minutes>', 'it is ended after so long', positive, 60)
    .parse(args, { from: 'user' })
    .opts<FollowerOptions>();
}

/** Every disturbance on every system, in turns; `tell` hears of each pair as it ends. */
export async function measureFollowers(
  options: FollowerOptions,
  tool: Tool,
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<Pair[]> {
  if (options.nodes < 3) throw new Error('with less than 3 nodes nothing goes on without a follower');
  const data = { keys: options.keys, value: randomValue(options.size) };
  const names: SystemName[] = ['quorumkv', ...(options.peer === undefined ? [] : [options.peer])];
  const running: Running[] = [];
  const pairs: Pair[] = [];
  try {
    for (const name of names) {
      const system = systemNamed(name);
      const cluster = await startProduct(system.product, options.nodes, options.dir, signal);
      running.push({ system, cluster });
      await preload(system, await cluster.leader(), data, signal);
      await warmUp({ system, cluster }, data, options.seconds, tool, signal);
    }
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const disturbance of options.only) {
        for (const one of running) {
          const others = running.filter((other) => other !== one);
          const runs = await pairOf(disturbance, one, others, data, options, tool, signal);
          const pair = { system: one.system.name, disturbance, round, ...runs };
          pairs.push(pair);
          tell(lineOf(pair));
        }
      }
    }
  } finally {
    for (const { cluster } of running) await cluster.stop();
  }
  return pairs;
}

async function pairOf(
  disturbance: Disturbance,
  one: Running,
  others: readonly Running[],
  data: Data,
  { connections, seconds }: FollowerOptions,
  tool: Tool,
  signal: AbortSignal,
): Promise<Pick<Pair, 'healthy' | 'disturbed'>> {
  const { cluster, system } = one;
  const plan = { workload: 'put', data, connections, target: 'leader', seconds } as const;
  await delay(PAUSE_MS, undefined, { signal });
  const healthy = await measure(one, others, plan, tool, signal);
  const leader = await cluster.leader();
  const follower = cluster.nodes.find(({ id }) => id !== leader.id);
  if (follower === undefined) throw new Error('there is no follower');
  const takeBack = await disturb(disturbance, cluster, follower);
  let disturbed: Outcome;
  try {
    disturbed = await measure(one, others, plan, tool, signal);
  } finally {
    await takeBack();
  }
  // What it missed is not to be a burden on the next run.
  await caughtUp(system, follower, await cluster.leader(), signal);
  return { healthy, disturbed };
}

const ratioOf = ({ healthy, disturbed }: Pair): number => rateOf(disturbed) / rateOf(healthy);

function lineOf(pair: Pair): string {
  const { system, disturbance, round, healthy, disturbed } = pair;
  const of = (outcome: Outcome): string =>
    `${whole(rateOf(outcome))}/s, p99 ${outcome.measured.p99Ms.toFixed(1)} ms`;
  return `${disturbance}, round ${round}, ${system}: healthy ${of(healthy)}; disturbed ${of(disturbed)}; ${ratioOf(pair).toFixed(2)} times`;
}

/** The ratios of one kind, for the table and the bar. */
interface Judged {
  readonly system: SystemName;
  readonly disturbance: Disturbance;
  readonly ratio: Spread | undefined;
}

/** One for each kind of disturbance and system. */
export function judge(pairs: readonly Pair[]): Judged[] {
  const kinds = [...new Set(pairs.map(kindOf))];
  return kinds.flatMap((kind) => {
    const all = pairs.filter((pair) => kindOf(pair) === kind);
    return all.slice(0, 1).map(({ system, disturbance }) => {
      return { system, disturbance, ratio: spreadOf(all.map(ratioOf)) };
    });
  });
}

const kindOf = ({ system, disturbance }: Pair): string => `${system} ${disturbance}`;

export const holds = ({ ratio }: Judged): boolean => ratio !== undefined && ratio.median >= BAR;

/** A table that can be pasted. */
export function followerTable(pairs: readonly Pair[]): string[] {
  const median = (kind: Judged, of: (pair: Pair) => number): number =>
    spreadOf(pairs.filter((pair) => kindOf(pair) === `${kind.system} ${kind.disturbance}`).map(of))?.median ??
    0;
  const outcomes = pairs.flatMap(({ healthy, disturbed }) => [healthy, disturbed]);
  return [
    '| system | one follower is | healthy puts/s | puts/s | ratio | healthy p99 ms | p99 ms | at least 0.9 |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...judge(pairs).map((kind) => {
      const cells = [
        ...[kind.system, DISTURBED[kind.disturbance]],
        whole(median(kind, ({ healthy }) => rateOf(healthy))),
        whole(median(kind, ({ disturbed }) => rateOf(disturbed))),
        times(kind.ratio),
        median(kind, ({ healthy }) => healthy.measured.p99Ms).toFixed(1),
        median(kind, ({ disturbed }) => disturbed.measured.p99Ms).toFixed(1),
        holds(kind) ? 'yes' : '**no**',
      ];
      return `| ${cells.join(' | ')} |`;
    }),
    '',
    ...warnings(outcomes).flatMap((line) => [line, '']),
  ];
}

async function main(args: readonly string[], options: FollowerOptions, signal: AbortSignal): Promise<number> {
  const tool = loadTool();
  const described = machine(tool, options.peer === 'etcd');
  console.log(described);
  const pairs = await measureFollowers(options, tool, signal, (line) => console.log(line));
  const command = commandLine('bench:follower', args);
  const date = new Date().toISOString();
  const { nodes, keys, size, connections, seconds, rounds, save } = options;
  const text = [
    '# With one follower less',
    '',
    `Written by \`${command}\` on ${date}.`,
    '',
    `${described}.`,
    '',
    `${nodes} nodes with their defaults, fsync on; ${whole(keys)} keys of ${size} B; ${connections} connections to the leader; ${rounds} pairs of runs`,
    `of ${seconds} s each, a healthy one and a disturbed one. Figures are medians, ratios those of the pairs, with the smallest and the largest.`,
    '',
    ...followerTable(pairs),
  ].join('\n');
  console.log(`\n${text}`);
  if (save) keepResults('follower', text, { machine: described, command, date, pairs });
  return judge(pairs).every((kind) => kind.system !== 'quorumkv' || holds(kind)) ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) {
  const args = process.argv.slice(2);
  const options = followerOptions(args);
  await begin(options.limit, (signal) => main(args, options, signal));
}
