/** CPU profiles of servers while a load runs, and a table of what they say. */

import { once } from 'node:events';
import { mkdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import path from 'node:path';
import Table from 'cli-table3';
import { z } from 'zod';
import { ROOT, type Cluster, type ClusterNode } from './cluster.js';

/** For the Node.js of a server: SIGUSR2 begins a profile, the next one ends it. */
export const PROFILER_FLAGS: readonly string[] = [
  '--import',
  `file://${path.join(ROOT, 'dist/bench/profiler.js')}`,
];

/** The files that a server writes into its working directory. */
export const PROFILE_NAME = (pid: number): string => `profile-${pid}.json`;

const PATIENCE_MS = 20_000;
const ROWS_MAX = 25;

const profileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string(), lineNumber: z.number() }),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

type Profile = z.infer<typeof profileSchema>;

/** Runs `work` under profiles of the leader and of one follower, and writes them and their tables into `directory`. */
export async function profiled<T>(
  cluster: Cluster,
  leader: ClusterNode,
  directory: string,
  name: string,
  work: () => Promise<T>,
): Promise<T> {
  const follower = cluster.nodes.find(({ id }) => id !== leader.id);
  const watched = [
    { role: 'leader', node: leader },
    ...(follower === undefined ? [] : [{ role: 'follower', node: follower }]),
  ];
  for (const { node } of watched) node.process.kill('SIGUSR2');
  const result = await work();
  mkdirSync(directory, { recursive: true });
  for (const { role, node } of watched) {
    const text = await ended(cluster, node);
    const file = path.join(directory, `${name}-${role}`);
    writeFileSync(`${file}.cpuprofile`, text);
    const summary = summarize(profileSchema.parse(JSON.parse(text)));
    writeFileSync(`${file}.txt`, summary);
    console.log(`${name}, ${role}:\n${summary}`);
  }
  return result;
}

async function ended(cluster: Cluster, node: ClusterNode): Promise<string> {
  const name = PROFILE_NAME(node.process.pid ?? 0);
  const watcher = watch(cluster.directory, { signal: AbortSignal.timeout(PATIENCE_MS) });
  try {
    node.process.kill('SIGUSR2');
    for (;;) {
      const [kind, file] = (await once(watcher, 'change')) as unknown[];
      // It is written under another name and renamed.
      if (kind === 'rename' && file === name) return readFileSync(path.join(cluster.directory, name), 'utf8');
    }
  } finally {
    watcher.close();
  }
}

/** Self time by room or package, and by function; shares of the time that the thread was not idle. */
export function summarize({ nodes, samples, timeDeltas }: Profile): string {
  const selfUs = new Map<number, number>();
  samples.forEach((id, at) => selfUs.set(id, (selfUs.get(id) ?? 0) + (timeDeltas[at] ?? 0)));
  const places = new Map<string, number>();
  const functions = new Map<string, number>();
  let busy = 0;
  let idle = 0;
  const add = (to: Map<string, number>, name: string, us: number): void =>
    void to.set(name, (to.get(name) ?? 0) + us);
  for (const { id, callFrame } of nodes) {
    const us = selfUs.get(id) ?? 0;
    const { functionName, url, lineNumber } = callFrame;
    if (functionName === '(idle)') {
      idle += us;
      continue;
    }
    busy += us;
    const place = placeOf(functionName, url);
    add(places, place, us);
    const file = url === '' ? '' : ` ${path.basename(url)}:${lineNumber + 1}`;
    add(functions, `${functionName === '' ? '(anonymous)' : functionName}${file} [${place}]`, us);
  }
  const used = `busy ${((100 * busy) / Math.max(1, busy + idle)).toFixed(0)} % of ${((busy + idle) / 1e6).toFixed(1)} s`;
  return `${used}\n${shares('room or package', places, busy)}\n${shares('function', functions, busy)}\n`;
}

function placeOf(functionName: string, url: string): string {
  if (functionName.startsWith('(')) return functionName;
  if (url === '') return 'V8 and bindings';
  if (url.startsWith('node:')) return `node:${url.slice(5).split('/').slice(0, 2).join('/')}`;
  const [, inPackage] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  if (inPackage !== undefined) return `npm ${inPackage}`;
  const [, inDist] = /\/dist\/(.*)\/[^/]+$/.exec(url) ?? [];
  return inDist ?? 'other';
}

function shares(what: string, by: ReadonlyMap<string, number>, total: number): string {
  const table = new Table({
    head: [what, 'self %'],
    colAligns: ['left', 'right'],
    style: { head: [], border: [], compact: true },
  });
  const sorted = [...by].toSorted(([, a], [, b]) => b - a).slice(0, ROWS_MAX);
  for (const [name, us] of sorted) table.push([name, ((100 * us) / Math.max(1, total)).toFixed(1)]);
  return table.toString();
}
