/** The command line of `npm run bench`. */

import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { ROOT } from './cluster.js';
import { PEERS, type SystemName } from './systems.js';
import { WORKLOADS, type Workload } from './workloads.js';

export const DIRECTORY = path.join(ROOT, 'data');

export interface Options {
  readonly peer?: Exclude<SystemName, 'quorumkv'>;
  readonly workloads: readonly Workload[];
  readonly connections: readonly number[];
  readonly sizes: readonly number[];
  readonly keys: number;
  readonly nodes: number;
  readonly target: 'leader' | 'all';
  readonly seconds: number;
  readonly rounds: number;
  readonly profile?: string;
  readonly save: boolean;
  readonly dir: string;
  readonly limit: number;
}

/** Alternations with a peer: a median of fewer says little. */
const ROUNDS_WITH_PEER = 5;

export function positive(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 up.');
  return Number(text);
}

export const list = (text: string): number[] => text.split(',').map(positive);

export function workload(name: string): Workload {
  const known = WORKLOADS.find((one) => one === name);
  if (known === undefined) throw new InvalidArgumentError(`The workloads are ${WORKLOADS.join(', ')}.`);
  return known;
}

export const workloadList = (text: string): Workload[] => text.split(',').map(workload);

export function parseOptions(args: readonly string[]): Options {
  const given = new Command('npm run bench --')
    .description('Measures a fresh cluster on this machine: shipped defaults, real disk, fsync on.')
    .addOption(
      new Option('--peer <name>', 'the same work on this system, in turns with quorumkv').choices(PEERS),
    )
    .option('--workloads <list>', `of ${WORKLOADS.join(', ')}`, workloadList, ['put', 'get', 'mix'])
    .option(
      '--connections <list>',
      'keep-alive connections, each with one request at a time',
      list,
      [1, 64, 256],
    )
    .option('--sizes <list>', 'bytes of a value', list, [256])
    .option('--keys <n>', 'keys that are loaded first, and drawn from', positive, 100_000)
    .option('--nodes <n>', 'of the cluster', positive, 3)
    .addOption(
      new Option('--target <who>', 'the leader alone, or all nodes in equal shares')
        .choices(['leader', 'all'])
        .default('leader'),
    )
    .option('--seconds <n>', 'how long each run takes', positive, 3)
    .option('--rounds <n>', `runs of each kind; default: 1, with a peer ${ROUNDS_WITH_PEER}`, positive)
    .option('--profile <directory>', 'writes CPU profiles of the leader and of a follower there')
    .option('--no-save', 'leaves bench/results/ as it is')
    .option('--dir <path>', 'where the data is kept meanwhile; on a real disk', DIRECTORY)
    .option('--limit <minutes>', 'it is ended after so long', positive, 120)
    .parse(args, { from: 'user' })
    .opts<Omit<Options, 'rounds'> & { rounds?: number }>();
  return { ...given, rounds: given.rounds ?? (given.peer === undefined ? 1 : ROUNDS_WITH_PEER) };
}
