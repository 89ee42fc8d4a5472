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
/** Of what is printed; the rest is in the files. */
const PRINTED_ROWS_MAX = 15;

/** The native function by which a process talks to its own profiler: starting it takes a good part of a second. */
const PROFILERS_OWN = 'dispatch';

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

/**
 * Runs `work` under profiles of the leader and of one follower, writes them and their tables into `directory`, and prints what both
 * have to say by room, package and file.
 */
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
  const columns: Column[] = [];
  for (const { role, node } of watched) {
    const text = await ended(cluster, node);
    const file = path.join(directory, `${name}-${role}`);
    writeFileSync(`${file}.cpuprofile`, text);
    const times = selfTimes(profileSchema.parse(JSON.parse(text)));
    writeFileSync(`${file}.txt`, summarize(times));
    columns.push({ role, times });
  }
  console.log(`${name}, by the profiles in ${directory}:\n${sideBySide(columns)}`);
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

/** In microseconds, by the names of what the thread was in. */
type Shares = ReadonlyMap<string, number>;

/** Of the time that the thread was not idle. */
export interface SelfTimes {
  readonly busyUs: number;
  readonly idleUs: number;
  /** A room of this product, a package, a module of Node.js, the garbage collector. */
  readonly places: Shares;
  readonly files: Shares;
  readonly functions: Shares;
}

interface Column {
  readonly role: string;
  readonly times: SelfTimes;
}

export function selfTimes({ nodes, samples, timeDeltas }: Profile): SelfTimes {
  const selfUs = new Map<number, number>();
  samples.forEach((id, at) => selfUs.set(id, (selfUs.get(id) ?? 0) + (timeDeltas[at] ?? 0)));
  const places = new Map<string, number>();
  const files = new Map<string, number>();
  const functions = new Map<string, number>();
  let busyUs = 0;
  let idleUs = 0;
  const add = (to: Map<string, number>, name: string, us: number): void =>
    void to.set(name, (to.get(name) ?? 0) + us);
  for (const { id, callFrame } of nodes) {
    const us = selfUs.get(id) ?? 0;
    const { functionName, url, lineNumber } = callFrame;
    if (functionName === '(idle)') {
      idleUs += us;
      continue;
    }
    if (functionName === PROFILERS_OWN && url === '') continue;
    busyUs += us;
    const place = placeOf(functionName, url);
    add(places, place, us);
    add(files, fileOf(place, url, functionName), us);
    const where = url === '' ? '' : ` ${path.basename(url)}:${lineNumber + 1}`;
    add(functions, `${functionName === '' ? '(anonymous)' : functionName}${where} [${place}]`, us);
  }
  return { busyUs, idleUs, places, files, functions };
}

/** Self time by room or package, by file, and by function. */
export function summarize(times: SelfTimes): string {
  const column = [{ role: 'self', times }];
  const tables = (['places', 'files', 'functions'] as const).map((part) => table(part, column, ROWS_MAX));
  return `${used(times)}\n${tables.join('\n')}\n`;
}

/** The first rows of all, in one table for places and one for files. */
export function sideBySide(columns: readonly Column[]): string {
  const heads = columns.map(({ role, times }) => `${role} ${used(times)}`);
  const tables = (['places', 'files'] as const).map((part) => table(part, columns, PRINTED_ROWS_MAX));
  return `${heads.join('; ')}\n${tables.join('\n')}\n`;
}

function used({ busyUs, idleUs }: SelfTimes): string {
  const allUs = busyUs + idleUs;
  return `busy ${((100 * busyUs) / Math.max(1, allUs)).toFixed(0)} % of ${(allUs / 1e6).toFixed(1)} s`;
}

/** What is in no file (system calls, parsing of JSON) goes by its function. */
function fileOf(place: string, url: string, functionName: string): string {
  if (url === '' && !functionName.startsWith('('))
    return `native ${functionName === '' ? '(anonymous)' : functionName}`;
  const [, inDist] = /\/dist\/(.*)$/.exec(url) ?? [];
  return url.includes('/node_modules/') || inDist === undefined ? place : inDist;
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

const TITLES = {
  places: 'room or package',
  files: 'file or native function',
  functions: 'function',
} as const;

/** The largest of any column first. */
function table(part: keyof typeof TITLES, columns: readonly Column[], rowsMax: number): string {
  const drawn = new Table({
    head: [TITLES[part], ...columns.map(({ role }) => `${role} %`)],
    colAligns: ['left', ...columns.map(() => 'right' as const)],
    style: { head: [], border: [], compact: true },
  });
  const names = new Set(columns.flatMap(({ times }) => [...times[part].keys()]));
  const rows = [...names].map((name) => {
    const shares = columns.map(
      ({ times }) => (100 * (times[part].get(name) ?? 0)) / Math.max(1, times.busyUs),
    );
    return { name, shares, most: Math.max(...shares) };
  });
  const first = rows.toSorted((a, b) => b.most - a.most).slice(0, rowsMax);
  for (const { name, shares } of first) drawn.push([name, ...shares.map((share) => share.toFixed(1))]);
  return drawn.toString();
}
