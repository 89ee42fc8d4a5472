/** What the results of `npm run bench:scale` look like to people: a table a dimension. */

import { compare, type Compared, type SystemFigures } from './compare.js';
import { between, times, warnings, whole } from './report.js';
import type { Run } from './runs.js';
import type { SystemName } from './systems.js';
import { TITLES } from './workloads.js';

export type Dimension = 'nodes' | 'keys' | 'values' | 'connections';

export interface Point {
  readonly value: number;
  readonly keys: number;
  readonly runs: readonly Run[];
  /** Why there are no runs. */
  readonly fault?: string;
}

/** One dimension; what is said of the others is what they were held at. */
export interface Scaled {
  readonly dimension: Dimension;
  readonly points: readonly Point[];
  readonly machine: string;
  readonly command: string;
  /** ISO 8601. */
  readonly date: string;
  readonly nodes: number;
  readonly keys: number;
  readonly size: number;
  readonly connections: number;
  readonly target: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly peer?: SystemName;
}

/** What `scale.json` holds. */
export type ScaleResults = readonly Scaled[];

const HEADS: Readonly<Record<Dimension, string>> = {
  nodes: 'nodes',
  keys: 'keys',
  values: 'value bytes',
  connections: 'connections',
};

/** The contents of `scale.md`. */
export function scaleMarkdown(all: ScaleResults): string {
  return ['# One dimension at a time', '', ...all.flatMap(section)].join('\n');
}

function section(scaled: Scaled): string[] {
  const { dimension, points, peer, machine, command, date, target, seconds, rounds } = scaled;
  const runs = points.flatMap((point) => point.runs);
  const of = (name: string): string[] => [`${name} per second`, 'p50 ms', 'p99 ms', 'CPU ms per request'];
  const names = [
    ...[
      HEADS[dimension],
      ...(dimension === 'values' ? ['keys'] : []),
      'workload',
      ...of('quorumkv'),
      'to the first',
    ],
    ...(peer === undefined ? [] : [...of(peer), 'ratio']),
    'others on the CPU, at most',
    'runs in which the leader changed',
  ];
  return [
    `## By ${HEADS[dimension]}`,
    '',
    `Written by \`${command}\` on ${date}.`,
    '',
    `${machine}.`,
    '',
    `Fresh clusters with their defaults, fsync on${held(scaled)}; requests to ${target === 'leader' ? 'the leader alone' : 'all nodes'};`,
    `runs of ${seconds} s, ${rounds} of each kind. Figures are medians, with the smallest and the largest.`,
    '',
    `| ${names.join(' | ')} |`,
    `|${' --- |'.repeat(names.length)}`,
    ...rows(scaled),
    '',
    ...warnings(runs).flatMap((line) => [line, '']),
  ];
}

function held({ dimension, nodes, keys, size, connections }: Scaled): string {
  const parts = {
    nodes: `${nodes} nodes`,
    keys: `${whole(keys)} keys${dimension === 'values' ? ' or less' : ''}`,
    values: `values of ${size} B`,
    connections: `${connections} connections`,
  };
  return Object.entries(parts)
    .filter(([name]) => name !== dimension)
    .map(([, part]) => `; ${part}`)
    .join('');
}

function rows({ dimension, points, peer }: Scaled): string[] {
  const firsts = new Map<string, number>();
  return points.flatMap(({ value, keys, runs, fault }) => {
    const point = [whole(value), ...(dimension === 'values' ? [whole(keys)] : [])];
    if (fault !== undefined)
      return [`| ${[...point, `not measured: ${fault.replaceAll('|', '/')}`].join(' | ')} |`];
    return compare(runs).map((compared) => {
      const perSecond = compared.systems.quorumkv?.perSecond.median ?? 0;
      const first = firsts.get(compared.workload) ?? perSecond;
      firsts.set(compared.workload, first);
      const changes = runs.filter((run) => run.workload === compared.workload && run.leaderChanged).length;
      return `| ${[...point, ...cells(compared, perSecond / first, peer), `${changes}`].join(' | ')} |`;
    });
  });
}

function cells(
  { workload, systems, ratio, others }: Compared,
  toFirst: number,
  peer: SystemName | undefined,
): string[] {
  return [
    ...[TITLES[workload], ...figures(systems.quorumkv), toFirst.toFixed(2)],
    ...(peer === undefined ? [] : [...figures(systems[peer]), times(ratio)]),
    others === undefined ? '?' : `${(100 * others).toFixed(0)} %`,
  ];
}

function figures(of: SystemFigures | undefined): string[] {
  if (of === undefined) return ['', '', '', ''];
  const { perSecond, p50Ms, p99Ms, cpuMsPerRequest } = of;
  return [
    `${whole(perSecond.median)}${between(perSecond, whole)}`,
    ...[p50Ms.median.toFixed(2), p99Ms.median.toFixed(2), cpuMsPerRequest?.median.toFixed(3) ?? '?'],
  ];
}
