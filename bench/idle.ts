/** `npm run bench:idle`: what a cluster costs that nobody asks anything: processor, wake-ups, traffic between its nodes, disk, memory. */

import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { begin, commandLine, keepResults } from './begin.js';
import { startProduct, type Cluster, type ClusterNode } from './cluster.js';
import { watchCpu } from './cpu.js';
import { preload } from './load.js';
import { machine } from './machine.js';
import { DIRECTORY, positive } from './options.js';
import { processUse, type ProcessUse } from './processes.js';
import { whole } from './report.js';
import { sentBetween } from './sockets.js';
import { PEERS, systemNamed, type SystemName } from './systems.js';
import { randomValue } from './workloads.js';

export interface IdleOptions {
  readonly peer?: (typeof PEERS)[number];
  readonly nodes: number;
  readonly keys: number;
  readonly size: number;
  readonly seconds: number;
  readonly settle: number;
  readonly save: boolean;
  readonly dir: string;
  readonly limit: number;
}

/** Of one node, per second of the time watched. */
export interface IdleNode {
  readonly system: SystemName;
  readonly id: string;
  readonly role: 'leader' | 'follower';
  /** Of one core. */
  readonly cpuPercent: number;
  readonly contextSwitches: number;
  /** Sent to other nodes; undefined where `ss` can't tell. */
  readonly sentBytes: number | undefined;
  readonly sentSegments: number | undefined;
  readonly writtenBytes: number;
  /** At the end. */
  readonly residentBytes: number;
}

export function idleOptions(args: readonly string[]): IdleOptions {
  return new Command('npm run bench:idle --')
    .description('What an idle cluster with its defaults costs: needs /proc, and ss for the traffic.')
    .addOption(new Option('--peer <name>', 'the same of this system, afterwards').choices(PEERS))
    .option('--nodes <n>', 'of the cluster', positive, 3)
    .option('--keys <n>', 'keys that it holds', positive, 10_000)
    .option('--size <n>', 'bytes of a value', positive, 256)
    .option('--seconds <n>', 'for how long it is watched', positive, 30)
    .option('--settle <seconds>', 'how long what loading left behind is given before', positive, 10)
    .option('--no-save', 'leaves bench/results/ as it is')
    .option('--dir <path>', 'where the data is kept meanwhile; on a real disk', DIRECTORY)
    .option('--limit <minutes>', 'it is ended after so long', positive, 15)
    .parse(args, { from: 'user' })
    .opts<IdleOptions>();
}

interface Look {
  readonly atMs: number;
  readonly uses: readonly ProcessUse[];
  readonly sent: ReturnType<typeof sentBetween>;
}

const pidOf = (node: ClusterNode): number => node.process.pid ?? 0;

function look({ nodes }: Cluster): Look {
  return {
    atMs: performance.now(),
    uses: nodes.map((node) => processUse(pidOf(node))),
    sent: sentBetween(nodes),
  };
}

export interface Idle {
  readonly nodes: readonly IdleNode[];
  /** The most that others used of the machine; 0 to 1. */
  readonly others: number | undefined;
}

/** One cluster of its own. */
export async function watchIdle(name: SystemName, options: IdleOptions, signal: AbortSignal): Promise<Idle> {
  const system = systemNamed(name);
  const cluster = await startProduct(system.product, options.nodes, options.dir, signal);
  try {
    const leader = await cluster.leader();
    await preload(system, leader, { keys: options.keys, value: randomValue(options.size) }, signal);
    await delay(options.settle * 1000, undefined, { signal });
    const endCpu = watchCpu(cluster.nodes.map(pidOf));
    const before = look(cluster);
    await delay(options.seconds * 1000, undefined, { signal });
    const after = look(cluster);
    const cpu = endCpu();
    const leads = (await cluster.leader()).id;
    const nodes = cluster.nodes.map((node, at): IdleNode => {
      return {
        system: name,
        id: node.id,
        role: node.id === leads ? 'leader' : 'follower',
        ...between(before, after, pidOf(node), at),
      };
    });
    return { nodes, others: cpu?.others };
  } finally {
    await cluster.stop();
  }
}

function between(
  before: Look,
  after: Look,
  pid: number,
  at: number,
): Omit<IdleNode, 'system' | 'id' | 'role'> {
  const seconds = (after.atMs - before.atMs) / 1000;
  const [early, late] = [before.uses[at], after.uses[at]];
  if (early === undefined || late === undefined) throw new Error('a node was not looked at');
  const perSecond = (of: (use: ProcessUse) => number): number => (of(late) - of(early)) / seconds;
  const sent = (of: 'bytes' | 'segments'): number | undefined => {
    const now = after.sent?.get(pid)?.[of];
    return now === undefined ? undefined : (now - (before.sent?.get(pid)?.[of] ?? 0)) / seconds;
  };
  return {
    cpuPercent: 100 * perSecond(({ cpuSeconds }) => cpuSeconds),
    contextSwitches: perSecond(({ contextSwitches }) => contextSwitches),
    sentBytes: sent('bytes'),
    sentSegments: sent('segments'),
    writtenBytes: perSecond(({ writtenBytes }) => writtenBytes),
    residentBytes: late.residentBytes,
  };
}

/** A table that can be pasted. */
export function idleTable(all: readonly Idle[]): string[] {
  const or = (value: number | undefined): string => (value === undefined ? '?' : whole(value));
  const others = Math.max(0, ...all.flatMap((one) => one.others ?? []));
  return [
    '| system | node | CPU % of a core | context switches/s | bytes/s to other nodes | TCP segments/s to them | bytes/s to disk | resident MiB |',
    `|${' --- |'.repeat(8)}`,
    ...all
      .flatMap(({ nodes }) => nodes)
      .map((node) => {
        const cells = [
          ...[
            node.system,
            `${node.id}, ${node.role}`,
            node.cpuPercent.toFixed(2),
            whole(node.contextSwitches),
          ],
          ...[or(node.sentBytes), or(node.sentSegments), whole(node.writtenBytes)],
          (node.residentBytes / 2 ** 20).toFixed(0),
        ];
        return `| ${cells.join(' | ')} |`;
      }),
    '',
    `Others used up to ${(100 * others).toFixed(0)} % of all cores meanwhile.`,
    '',
  ];
}

async function main(args: readonly string[], options: IdleOptions, signal: AbortSignal): Promise<number> {
  const { peer, nodes, keys, size, seconds, save } = options;
  const described = machine(undefined, peer === 'etcd');
  console.log(described);
  const all: Idle[] = [];
  for (const name of ['quorumkv', ...(peer === undefined ? [] : [peer])] as const) {
    console.log(`${name}: ${seconds} s of nothing ...`);
    all.push(await watchIdle(name, options, signal));
  }
  const command = commandLine('bench:idle', args);
  const date = new Date().toISOString();
  const text = [
    '# An idle cluster',
    '',
    `Written by \`${command}\` on ${date}.`,
    '',
    `${described}.`,
    '',
    `${nodes} nodes with their defaults, ${whole(keys)} keys of ${size} B, watched for ${seconds} s. Bytes between nodes are those that TCP carried, without its own headers.`,
    '',
    ...idleTable(all),
  ].join('\n');
  console.log(`\n${text}`);
  if (save) keepResults('idle', text, { machine: described, command, date, all });
  return 0;
}

if (process.argv[1] === import.meta.filename) {
  const args = process.argv.slice(2);
  const options = idleOptions(args);
  await begin(options.limit, (signal) => main(args, options, signal));
}
