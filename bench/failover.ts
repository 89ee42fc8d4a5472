/**
 * `npm run bench:failover`: for how long no write succeeds when the leader is killed with `kill -9` under write load.
 * From the last success before to the first one after, whichever of the writers had them.
 */

import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { begin, commandLine, keepResults } from './begin.js';
import { startProduct, type Cluster, type ClusterNode } from './cluster.js';
import { machine } from './machine.js';
import { DIRECTORY, positive } from './options.js';
import { PEERS, fill, systemNamed, type System, type SystemName } from './systems.js';

const NODES = 3;
const WRITERS = 8;
const ATTEMPT_TIMEOUT_MS = 2000;
/** Writes go well for so long before each kill. */
const QUIET_MS = 700;
/** No write for so long is no failover any more. */
const GAP_MS_MAX = 30_000;

interface Options {
  readonly peer?: (typeof PEERS)[number];
  readonly kills: number;
  readonly save: boolean;
  readonly dir: string;
  readonly limit: number;
}

export function failoverOptions(args: readonly string[]): Options {
  return new Command('npm run bench:failover --')
    .description(
      `Kills the leader of ${NODES} nodes under the load of ${WRITERS} writers: shipped defaults, fsync on.`,
    )
    .addOption(new Option('--peer <name>', 'the same with this system').choices(PEERS))
    .option('--kills <n>', 'how often', positive, 30)
    .option('--no-save', 'leaves bench/results/ as it is')
    .option('--dir <path>', 'where the data is kept meanwhile; on a real disk', DIRECTORY)
    .option('--limit <minutes>', 'it is ended after so long', positive, 60)
    .parse(args, { from: 'user' })
    .opts<Options>();
}

/** When the last write succeeded, and what the longest wait for one was since `reset`. */
class Successes {
  lastMs = performance.now();
  longestGapMs = 0;

  note(): void {
    const nowMs = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastMs);
    this.lastMs = nowMs;
  }

  reset(): void {
    this.longestGapMs = 0;
  }
}

/** Writes one after the other; goes to the next node whenever one does not take it. */
async function writer(
  system: System,
  name: string,
  nodes: readonly ClusterNode[],
  successes: Successes,
  stop: AbortSignal,
): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  let at = 0;
  for (let count = 0; !stop.aborted; count += 1) {
    const node = nodes[at % nodes.length];
    if (node === undefined) return;
    const form = system.put({ keys: 1, value: `${count}` });
    const { path: where, body = '' } = fill(system, form, `${name}-${String(count % 1e9).padStart(9, '0')}`);
    if (await put(agent, `${node.http}${where}`, body)) successes.note();
    else {
      at += 1;
      await delay(5);
    }
  }
  agent.destroy();
}

function put(agent: Agent, address: string, body: string): Promise<boolean> {
  return new Promise((resolve) => {
    const sending = request(`http://${address}`, {
      method: 'POST',
      agent,
      timeout: ATTEMPT_TIMEOUT_MS,
    });
    sending.on('timeout', () => sending.destroy());
    sending.on('error', () => resolve(false));
    sending.on('response', (response) => {
      response.resume();
      response.on('error', () => resolve(false));
      response.on('end', () => resolve(response.statusCode === 200));
    });
    sending.end(body);
  });
}

async function failover(cluster: Cluster, successes: Successes): Promise<number> {
  await delay(QUIET_MS);
  const leader = await cluster.leader();
  successes.reset();
  await cluster.kill(leader);
  const killedMs = performance.now();
  while (successes.lastMs < killedMs && performance.now() - killedMs < GAP_MS_MAX) await delay(5);
  // Another wait, once the first writer is through, would belong to it, too.
  await delay(QUIET_MS);
  const gapMs = successes.longestGapMs;
  await cluster.restart(leader);
  return gapMs;
}

interface Running {
  readonly cluster: Cluster;
  readonly successes: Successes;
  readonly gapsMs: number[];
  stop(): Promise<void>;
}

/** A cluster under the load of its writers. */
async function start(name: SystemName, dir: string, signal: AbortSignal): Promise<Running> {
  const system = systemNamed(name);
  const cluster = await startProduct(system.product, NODES, dir, signal);
  const stopWriting = new AbortController();
  const successes = new Successes();
  const writers = Array.from({ length: WRITERS }, (_, at) => {
    const nodes = cluster.nodes
      .map((__, from) => cluster.nodes[(from + at) % NODES])
      .filter((node) => node !== undefined);
    return writer(system, `w${at}`, nodes, successes, stopWriting.signal);
  });
  return {
    ...{ cluster, successes, gapsMs: [] },
    async stop() {
      stopWriting.abort();
      await Promise.all(writers);
      await cluster.stop();
    },
  };
}

/** Without a successful write, in milliseconds, kill after kill. */
export interface Gaps {
  readonly system: SystemName;
  readonly gapsMs: readonly number[];
}

/** One after the other, each alone on the machine. */
export async function measureFailovers(
  { kills, dir, peer }: Options,
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<Gaps[]> {
  const all: Gaps[] = [];
  for (const name of ['quorumkv', ...(peer === undefined ? [] : [peer])] as const) {
    const running = await start(name, dir, signal);
    const { cluster, successes, gapsMs } = running;
    try {
      for (let kill = 1; kill <= kills; kill += 1) {
        signal.throwIfAborted();
        gapsMs.push(await failover(cluster, successes));
        tell(`${name}, kill ${kill}: ${Math.round(gapsMs.at(-1) ?? 0)} ms without a write`);
      }
    } finally {
      await running.stop();
    }
    all.push({ system: name, gapsMs });
  }
  return all;
}

/** A table that can be pasted. */
export function failoverTable(all: readonly Gaps[]): string[] {
  const at = (gapsMs: readonly number[], share: number): number =>
    Math.round(gapsMs.toSorted((a, b) => a - b)[Math.floor(share * (gapsMs.length - 1))] ?? 0);
  const [ours, theirs] = all.map(({ gapsMs }) => at(gapsMs, 0.5));
  return [
    '| system | kills | median ms without a write | 90th percentile | worst |',
    '| --- | --- | --- | --- | --- |',
    ...all.map(({ system, gapsMs }) => {
      const cells = [system, gapsMs.length, ...[0.5, 0.9, 1].map((share) => at(gapsMs, share))];
      return `| ${cells.join(' | ')} |`;
    }),
    '',
    ...(ours === undefined || theirs === undefined
      ? []
      : [`Ratio of medians: ${(ours / theirs).toFixed(2)}.`, '']),
  ];
}

async function main(args: readonly string[], options: Options, signal: AbortSignal): Promise<number> {
  const described = machine(undefined, options.peer === 'etcd');
  console.log(described);
  const all = await measureFailovers(options, signal, (line) => console.log(line));
  const command = commandLine('bench:failover', args);
  const date = new Date().toISOString();
  const text = [
    '# Without a leader',
    '',
    `Written by \`${command}\` on ${date}.`,
    '',
    `${described}.`,
    '',
    `${NODES} nodes with their defaults, fsync on, under ${WRITERS} writers; the leader is killed with \`kill -9\`, and comes back before the next kill.`,
    '',
    ...failoverTable(all),
  ].join('\n');
  console.log(`\n${text}`);
  if (options.save) keepResults('failover', text, { machine: described, command, date, all });
  return 0;
}

if (process.argv[1] === import.meta.filename) {
  const args = process.argv.slice(2);
  const options = failoverOptions(args);
  await begin(options.limit, (signal) => main(args, options, signal));
}
