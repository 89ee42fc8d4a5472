/** Runs put together: medians and spreads of each cell, and the ratios of neighbouring runs. */

import type { Cell, Run } from './runs.js';
import type { SystemName } from './systems.js';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface SystemFigures {
  readonly perSecond: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  /** Of the servers together. */
  readonly cpuMsPerRequest: Spread | undefined;
}

export interface Compared extends Cell {
  readonly rounds: number;
  readonly systems: Readonly<Partial<Record<SystemName, SystemFigures>>>;
  /** quorumkv's to the peer's in the same round. */
  readonly ratio: Spread | undefined;
  readonly p99Ratio: Spread | undefined;
  /** The most that others used of the machine, 0 to 1. */
  readonly others: number | undefined;
}

export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) return undefined;
  const middle = (sorted.length - 1) / 2;
  const [low = min, high = min] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  return { median: (low + high) / 2, min, max };
}

export const rateOf = ({ measured }: Pick<Run, 'measured'>): number => measured.requests / measured.seconds;

/** One for each cell, in the order in which they were first run. */
export function compare(runs: readonly Run[]): Compared[] {
  const cells = new Map<string, Run[]>();
  for (const run of runs) {
    const name = `${run.workload} ${run.valueBytes} ${run.connections}`;
    const cell = cells.get(name) ?? [];
    cell.push(run);
    cells.set(name, cell);
  }
  return [...cells.values()].flatMap((all) => comparedOf(all) ?? []);
}

function comparedOf(runs: readonly Run[]): Compared | undefined {
  const [first] = runs;
  if (first === undefined) return undefined;
  const { workload, valueBytes, connections } = first;
  const names = [...new Set(runs.map(({ system }) => system))];
  const systems = Object.fromEntries(
    names.map((name) => [name, figuresOf(runs.filter(({ system }) => system === name))]),
  );
  const ratios = (of: (run: Run) => number): Spread | undefined =>
    spreadOf(
      runs.flatMap((run) => {
        if (run.system !== 'quorumkv') return [];
        const peer = runs.find(({ system, round }) => system !== 'quorumkv' && round === run.round);
        return peer === undefined ? [] : [of(run) / of(peer)];
      }),
    );
  return {
    ...{ workload, valueBytes, connections, systems },
    rounds: Math.max(...runs.map(({ round }) => round)),
    ratio: ratios(rateOf),
    p99Ratio: ratios(({ measured }) => measured.p99Ms),
    others: spreadOf(runs.flatMap(({ cpu }) => cpu?.others ?? []))?.max,
  };
}

const NOTHING: Spread = { median: 0, min: 0, max: 0 };

function figuresOf(runs: readonly Run[]): SystemFigures {
  const spread = (of: (run: Run) => number): Spread => spreadOf(runs.map(of)) ?? NOTHING;
  return {
    perSecond: spread(rateOf),
    p50Ms: spread(({ measured }) => measured.p50Ms),
    p99Ms: spread(({ measured }) => measured.p99Ms),
    cpuMsPerRequest: spreadOf(
      runs.flatMap(({ cpu, measured }) =>
        cpu === undefined ? [] : [(1000 * cpu.servers * cpu.seconds) / Math.max(1, measured.requests)],
      ),
    ),
  };
}
