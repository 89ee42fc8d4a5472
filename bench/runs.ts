/** The runs of one benchmark: every workload on every system, in turns. */

import { setTimeout as delay } from 'node:timers/promises';
import { startProduct, type Cluster } from './cluster.js';
import { watchCpu, type CpuUse } from './cpu.js';
import { preload, runLoad, type Measured, type Tool } from './load.js';
import type { Options } from './options.js';
import { profiled, PROFILER_FLAGS } from './profile.js';
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
}

interface Running {
  readonly system: System;
  readonly cluster: Cluster;
}

/** What one run left to be done (compactions, trailing applies) is not to be another's. */
const PAUSE_MS = 300;

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
  for (const workload of options.workloads) {
    for (const connections of options.connections) {
      const cell = { workload, valueBytes: data.value.length, connections };
      for (let round = 1; round <= options.rounds; round += 1) {
        for (const one of running) {
          if (one.system.get(workload) === undefined) continue;
          await delay(PAUSE_MS, undefined, { signal });
          const others = running.filter((other) => other !== one);
          took({ ...cell, ...(await measure(one, others, cell, data, options, tool, signal)), round });
        }
      }
    }
  }
}

const pidsOf = ({ cluster }: Running): number[] => cluster.nodes.flatMap((node) => node.process.pid ?? []);

async function measure(
  one: Running,
  others: readonly Running[],
  { workload, connections }: Cell,
  data: Data,
  { target, seconds, profile }: Options,
  tool: Tool,
  signal: AbortSignal,
): Promise<Pick<Run, 'system' | 'measured' | 'cpu' | 'leaderChanged'>> {
  const { system, cluster } = one;
  const leader = await cluster.leader();
  const targets = target === 'leader' ? [leader] : cluster.nodes;
  const load = { system, workload, data, targets, connections, seconds };
  const endCpu = watchCpu(pidsOf(one), others.flatMap(pidsOf));
  const run = (): Promise<Measured> => runLoad(tool, load, signal);
  const measured =
    profile === undefined || system.name !== 'quorumkv'
      ? await run()
      : await profiled(cluster, leader, profile, `${workload}-${connections}`, run);
  const cpu = endCpu();
  const leaderChanged = (await cluster.leader()).id !== leader.id;
  return { system: system.name, measured, cpu, leaderChanged };
}

function lineOf({ system, workload, valueBytes, connections, round, measured, cpu }: Run): string {
  const { requests, seconds, p50Ms, p99Ms } = measured;
  const others = cpu === undefined ? '?' : `${(100 * cpu.others).toFixed(0)} %`;
  const perSecond = Math.round(requests / seconds).toLocaleString('en');
  return `${workload} ${valueBytes} B x ${connections}, round ${round}, ${system}: ${perSecond}/s, p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms; others on the CPU: ${others}`;
}
