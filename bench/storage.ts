/**
 * What storage costs: `npm run bench:storage -- [--keys N] [--seconds S] [--rounds R] [--dir D]`. A cluster of three with the shipped defaults is loaded with N keys of 256 B (default
 * 1,000,000); then writes are measured at 16 connections, R times (default 3) in turn quietly, while a snapshot is made, quietly, and while one is sent to a node with an
 * empty disk; then a restart, and the disk use of overwrites of 1,000 keys for S seconds (default 600).
 */

import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { PATHS } from '../api/paths.js';
import type { Cluster, ClusterNode } from './cluster.js';
import { ROOT, startCluster } from './cluster.js';

const CONNECTIONS = 16;
const LOAD_BATCH = 200;
const VALUE = 'v'.repeat(256);
const OVERWRITTEN = 1000;
const QUIET_MS = 10_000;
const DISK_LOOK_MS = 5000;
const DISK_TELL_MS = 60_000;

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

interface Answer {
  readonly status: number;
  readonly text: string;
}

function post(node: ClusterNode, route: string, body: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`http://${node.http}${route}`, { method: 'POST', agent }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (part: string) => (text += part));
      incoming.once('end', () => resolve({ status: incoming.statusCode ?? 0, text }));
    });
    outgoing.once('error', reject);
    outgoing.end(JSON.stringify(body));
  });
}

async function load(node: ClusterNode, keys: number): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < keys) {
      const from = next;
      next += LOAD_BATCH;
      const ops = Array.from({ length: Math.min(LOAD_BATCH, keys - from) }, (_, at) => ({
        op: 'set',
        key: `key${String(from + at).padStart(9, '0')}`,
        value: VALUE,
      }));
      while ((await post(node, PATHS.txn, { checks: [], ops })).status !== 200);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
}

interface Figures {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
}

/** Overwrites few keys of the node that leads now, at 16 connections, until `over`. */
async function writes(cluster: Cluster, over: Promise<unknown>): Promise<Figures> {
  const node = await cluster.leader();
  const tookMs: number[] = [];
  let failed = 0;
  let going = true;
  void over.finally(() => (going = false));
  const startMs = performance.now();
  const work = async (_: unknown, worker: number): Promise<void> => {
    for (let at = worker; going; at += CONNECTIONS) {
      const sentMs = performance.now();
      const { status, text } = await post(node, PATHS.set, { key: `hot${at % OVERWRITTEN}`, value: VALUE });
      if (status === 200) tookMs.push(performance.now() - sentMs);
      else {
        failed += 1;
        if (failed === 1) process.stdout.write(`the first write that failed, of the next period: ${text}\n`);
      }
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  await over;
  const seconds = (performance.now() - startMs) / 1000;
  tookMs.sort((a, b) => a - b);
  const quantile = (part: number): number => tookMs[Math.floor(tookMs.length * part)] ?? 0;
  return { perSecond: tookMs.length / seconds, p50Ms: quantile(0.5), p99Ms: quantile(0.99), failed };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

function diskBytes(directory: string): number {
  try {
    return Number(
      execFileSync('du', ['-sb', directory], { stdio: ['ignore', 'pipe', 'ignore'] })
        .toString()
        .split('\t')[0],
    );
  } catch {
    // A file went while it was looked at.
    return 0;
  }
}

function residentBytes(node: ClusterNode): number {
  const status = readFileSync(`/proc/${node.process.pid ?? 0}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

function tell(what: string, { perSecond, p50Ms, p99Ms, failed }: Figures): void {
  process.stdout.write(
    `${what}: ${perSecond.toFixed(0)} writes/s, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${failed} failed\n`,
  );
}

/** What else the machine does comes and goes, so the middle one of several counts. */
function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** Quiet periods and others in turn. */
async function compared(
  what: string,
  rounds: number,
  cluster: Cluster,
  work: (leader: ClusterNode) => Promise<unknown>,
): Promise<void> {
  const p99s: { quiet: number; busy: number }[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const quiet = await writes(cluster, pause(QUIET_MS));
    tell(`quiet, round ${round}`, quiet);
    const busy = await writes(cluster, work(await cluster.leader()));
    tell(`${what}, round ${round}`, busy);
    p99s.push({ quiet: quiet.p99Ms, busy: busy.p99Ms });
  }
  const quietMs = median(p99s.map(({ quiet }) => quiet));
  const busyMs = median(p99s.map(({ busy }) => busy));
  process.stdout.write(
    `${what}: p99 ${busyMs.toFixed(1)} ms, quiet ${quietMs.toFixed(1)} ms (medians of ${rounds}): ${(busyMs / quietMs).toFixed(2)} times\n`,
  );
}

function sizes(cluster: Cluster, what: string): void {
  for (const node of cluster.nodes) {
    const of = (part: string): string => mebibytes(diskBytes(path.join(cluster.directory, node.id, part)));
    process.stdout.write(
      `${what}: ${node.id} resident ${mebibytes(residentBytes(node))}, log ${of('log')}, state ${of('state')}, snapshots ${of('snapshots')}\n`,
    );
  }
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work();
  process.stdout.write(`${what}: ${((performance.now() - startMs) / 1000).toFixed(1)} s\n`);
  return result;
}

/** Until a node has every key again, read from its own state. */
async function transferred(node: ClusterNode): Promise<void> {
  for (;;) {
    const { status } = await fetch(`http://${node.http}${PATHS.readyz}`).catch(() => ({ status: 0 }));
    if (status === 200) return;
    await pause(50);
  }
}

interface Amounts {
  readonly keys: number;
  readonly seconds: number;
  readonly rounds: number;
}

async function measure(cluster: Cluster, { keys, seconds, rounds }: Amounts): Promise<void> {
  const first = await cluster.leader();
  await timed(`load of ${keys} keys of 256 B`, () => load(first, keys));
  sizes(cluster, 'loaded');
  await timed('one snapshot', () => post(first, PATHS.snapshot, undefined));
  await compared('while a snapshot is made', rounds, cluster, (leader) =>
    post(leader, PATHS.snapshot, undefined),
  );
  await compared('while one is sent and restored', rounds, cluster, async (leader) => {
    const follower = followerOf(cluster, leader);
    await cluster.kill(follower);
    rmSync(path.join(cluster.directory, follower.id), { recursive: true, force: true });
    await timed('full transfer to an empty disk', async () => {
      await cluster.restart(follower);
      await transferred(follower);
    });
  });
  const follower = followerOf(cluster, await cluster.leader());
  await cluster.kill(follower);
  await timed('restart to ready', () => cluster.restart(follower));
  sizes(cluster, 'restarted');
  if (seconds > 0) await overwrite(cluster, seconds);
}

function followerOf(cluster: Cluster, leader: ClusterNode): ClusterNode {
  const follower = cluster.nodes.find(({ id }) => id !== leader.id);
  if (follower === undefined) throw new Error('there is no follower');
  return follower;
}

async function overwrite(cluster: Cluster, seconds: number): Promise<void> {
  const directory = path.join(cluster.directory, (await cluster.leader()).id);
  const most = { log: 0, all: 0 };
  const startMs = performance.now();
  let toldMs = 0;
  const look = (): void => {
    const [log, all] = [diskBytes(path.join(directory, 'log')), diskBytes(directory)];
    most.log = Math.max(most.log, log);
    most.all = Math.max(most.all, all);
    const nowMs = performance.now() - startMs;
    if (nowMs - toldMs < DISK_TELL_MS) return;
    toldMs = nowMs;
    process.stdout.write(
      `after ${(nowMs / 1000).toFixed(0)} s: log ${mebibytes(log)}, all ${mebibytes(all)}\n`,
    );
  };
  const looking = setInterval(look, Math.min(DISK_LOOK_MS, seconds * 100));
  tell(`${seconds} s of overwrites of ${OVERWRITTEN} keys`, await writes(cluster, pause(seconds * 1000)));
  clearInterval(looking);
  look();
  process.stdout.write(
    `most on the leader's disk meanwhile: log ${mebibytes(most.log)}, all ${mebibytes(most.all)}\n`,
  );
  sizes(cluster, 'overwritten');
}

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '600' },
    rounds: { type: 'string', default: '3' },
    dir: { type: 'string', default: path.join(ROOT, '.bench') },
  },
});
const cluster = await startCluster(3, values.dir);
try {
  const { keys, seconds, rounds } = values;
  await measure(cluster, { keys: Number(keys), seconds: Number(seconds), rounds: Number(rounds) });
} finally {
  agent.destroy();
  await cluster.stop();
}
