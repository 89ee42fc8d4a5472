/** The runs of one benchmark: every workload on every system, in turns. */

import { setTimeout as delay } from 'node:timers/promises';
import { isRunning, startProduct, type Cluster } from './cluster.js';
import { watchCpu, type CpuUse } from './cpu.js';
import { preload, runLoad, type Measured, type Tool } from './load.js';
import type { Options } from './options.js';
import { profiled, PROFILER_FLAGS } from './profile.js';
import { watchStages, type WriteTimes } from './stages.js';
import { systemNamed, type System, type SystemName } from './systems.js';
import { randomValue, type Data, type Workload } from './workloads.js';

/** What is the same for the runs that are compared. */
export interface Cell {
  readonly workload: Workload;
  readonly valueBytes: number;
  readonly connections: number;
}

export interface Run extends Cell {
  readonly system: SystemName;
  readonly round: number;
  readonly measured: Measured;
  readonly cpu: CpuUse | undefined;
  /** Another node led at the end than at the beginning. */
  readonly leaderChanged: boolean;
  /** Of puts on quorumkv. */
  readonly writeTimes?: WriteTimes;
}

/** What one run tells; which cell and round it is of is the caller's. */
export type Outcome = Pick<Run, 'system' | 'measured' | 'cpu' | 'leaderChanged' | 'writeTimes'>;

export interface Running {
  readonly system: System;
  readonly cluster: Cluster;
}

/** What one run left to be done (compactions, trailing applies) is not to be another's. */
export const PAUSE_MS = 300;

/** Until code is compiled and connections are made; not counted. After two seconds V8's compilers still take a tenth of the CPU. */
const WARM_UP_SECONDS = 10;
const WARM_UP_CONNECTIONS = 64;

/** Resolves with all that was measured; `tell` hears of each run as it ends. */
export async function runAll(
  options: Options,
  tool: Tool,
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<Run[]> {
  const flags = options.profile === undefined ? [] : PROFILER_FLAGS;
  const names: SystemName[] = ['quorumkv', ...(options.peer === undefined ? [] : [options.peer])];
  const runs: Run[] = [];
  for (const valueBytes of options.sizes) {
    const data = { keys: options.keys, value: randomValue(valueBytes) };
    const running: Running[] = [];
    try {
      for (const name of names) {
        const system = systemNamed(name, flags);
        const cluster = await startProduct(system.product, options.nodes, options.dir, signal);
        running.push({ system, cluster });
        tell(`${name}: loading ${data.keys} keys of ${valueBytes} B ...`);
        await preload(system, await cluster.leader(), data, signal);
        await warmUp({ system, cluster }, data, options.seconds, tool, signal);
      }
      await inTurns(running, data, options, tool, signal, (run) => {
        runs.push(run);
        tell(lineOf(run));
      });
    } finally {
      for (const { cluster } of running) await cluster.stop();
    }
  }
  return runs;
}

async function inTurns(
  running: readonly Running[],
  data: Data,
  options: Options,
  tool: Tool,
  signal: AbortSignal,
  took: (run: Run) => void,
): Promise<void> {
  const { target, seconds, profile } = options;
  for (const workload of options.workloads) {
    for (const connections of options.connections) {
      const cell = { workload, valueBytes: data.value.length, connections };
      for (let round = 1; round <= options.rounds; round += 1) {
        for (const one of running) {
          if (one.system.get(workload) === undefined) continue;
          await delay(PAUSE_MS, undefined, { signal });
          const others = running.filter((other) => other !== one);
          const plan = {
            workload,
            data,
            connections,
            target,
            seconds,
            ...(profile !== undefined && { profile }),
          };
          took({ ...cell, ...(await measure(one, others, plan, tool, signal)), round });
        }
      }
    }
  }
}

/** One run: what is sent where, and for how long. */
export interface Plan extends Pick<Options, 'target' | 'seconds' | 'profile'> {
  readonly workload: Workload;
  readonly data: Data;
  readonly connections: number;
}

/** Puts that nobody counts: a cluster that has just begun is slower than it will be. */
export async function warmUp(
  { system, cluster }: Running,
  data: Data,
  secondsMax: number,
  tool: Tool,
  signal: AbortSignal,
): Promise<void> {
  const targets = [await cluster.leader()];
  const seconds = Math.min(3 * secondsMax, WARM_UP_SECONDS);
  const load = { system, workload: 'put', data, targets, connections: WARM_UP_CONNECTIONS, seconds } as const;
  await runLoad(tool, load, signal);
}

/** Of the nodes that run; stopped ones do. */
export const pidsOf = ({ cluster }: Running): number[] =>
  cluster.nodes.flatMap((node) => (isRunning(node.process) ? (node.process.pid ?? []) : []));

/** One load on one cluster. `others`: clusters of the benchmark that have nothing to do meanwhile. */
export async function measure(
  one: Running,
  others: readonly Running[],
  { workload, data, connections, target, seconds, profile }: Plan,
  tool: Tool,
  signal: AbortSignal,
): Promise<Outcome> {
  const { system, cluster } = one;
  const isOurs = system.name === 'quorumkv';
  const leader = await cluster.leader();
  const targets = target === 'leader' ? [leader] : cluster.nodes;
  const load = { system, workload, data, targets, connections, seconds };
  const endStages = isOurs && workload === 'put' ? await watchStages(cluster, leader) : undefined;
  const endCpu = watchCpu(pidsOf(one), others.flatMap(pidsOf));
  const run = (): Promise<Measured> => runLoad(tool, load, signal);
  const measured =
    profile === undefined || !isOurs
      ? await run()
      : await profiled(cluster, leader, profile, `${workload}-${connections}`, run);
  const cpu = endCpu();
  const writeTimes = await endStages?.();
  const leaderChanged = (await cluster.leader()).id !== leader.id;
  return {
    ...{ system: system.name, measured, cpu, leaderChanged },
    // The histograms of one that led for a part of it tell of another part.
    ...(writeTimes !== undefined && !leaderChanged && { writeTimes }),
  };
}

function lineOf({ system, workload, valueBytes, connections, round, measured, cpu }: Run): string {
  const { requests, seconds, p50Ms, p99Ms } = measured;
  const others = cpu === undefined ? '?' : `${(100 * cpu.others).toFixed(0)} %`;
  const perSecond = Math.round(requests / seconds).toLocaleString('en');
  return `${workload} ${valueBytes} B x ${connections}, round ${round}, ${system}: ${perSecond}/s, p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms; others on the CPU: ${others}`;
}
