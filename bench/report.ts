/** What the results look like to people. */

import { compare, type Compared, type Spread, type SystemFigures } from './compare.js';
import type { Run } from './runs.js';
import { stagesTable, type WriteTimes } from './stages.js';
import { TITLES } from './workloads.js';

/** Below this, others disturb less than one run differs from the next. */
const DISTURBED_SHARE = 0.05;

export interface Results {
  readonly machine: string;
  /** As it was typed. */
  readonly command: string;
  /** ISO 8601. */
  readonly date: string;
  readonly nodes: number;
  readonly keys: number;
  readonly target: string;
  readonly seconds: number;
  readonly peer: string | undefined;
  readonly runs: readonly Run[];
}

/** Without fractions, with commas. */
export const whole = (value: number): string => Math.round(value).toLocaleString('en');

/** The smallest and the largest, where they differ. */
export const between = ({ min, max }: Spread, digits: (value: number) => string): string =>
  min === max ? '' : ` (${digits(min)} to ${digits(max)})`;

function figures(of: SystemFigures | undefined): string[] {
  if (of === undefined) return ['', '', '', ''];
  return [
    `${whole(of.perSecond.median)}${between(of.perSecond, whole)}`,
    of.p50Ms.median.toFixed(2),
    of.p99Ms.median.toFixed(2),
    of.cpuMsPerRequest?.median.toFixed(3) ?? '?',
  ];
}

/** A ratio with its spread; the median stands out. */
export function times(spread: Spread | undefined): string {
  if (spread === undefined) return '';
  const digits = (value: number): string => value.toFixed(2);
  return `**${digits(spread.median)}**${between(spread, digits)}`;
}

function row(compared: Compared, peer: string | undefined): string {
  const { workload, valueBytes, connections, systems, ratio, p99Ratio, others } = compared;
  const cells = [
    ...[TITLES[workload], `${valueBytes}`, `${connections}`],
    ...figures(systems.quorumkv),
    ...(peer === undefined ? [] : [...figures(systems.etcd), times(ratio), times(p99Ratio)]),
    others === undefined ? '?' : `${(100 * others).toFixed(0)} %`,
  ];
  return `| ${cells.join(' | ')} |`;
}

function head(peer: string | undefined): string[] {
  const of = (name: string): string[] => [
    `${name} per second`,
    'p50 ms',
    'p99 ms',
    'CPU ms of the servers per request',
  ];
  const names = [
    ...['workload', 'value bytes', 'connections'],
    ...of('quorumkv'),
    ...(peer === undefined ? [] : [...of(peer), 'ratio', 'ratio of p99']),
    'others on the CPU, at most',
  ];
  return [`| ${names.join(' | ')} |`, `|${' --- |'.repeat(names.length)}`];
}

/** The contents of `latest.md`. */
export function markdown(results: Results): string {
  const { command, date, machine, peer, nodes, keys, target, seconds, runs } = results;
  const compared = compare(runs);
  const rounds = Math.max(1, ...compared.map((one) => one.rounds));
  return [
    '# Latest results',
    '',
    `Written by \`${command}\` on ${date}.`,
    '',
    `${machine}.`,
    '',
    `${nodes} nodes with their defaults, fsync on; ${whole(keys)} keys, drawn at random; ${target === 'leader' ? 'requests to the leader alone' : 'requests to all nodes'};`,
    `runs of ${seconds} s, ${rounds} of each kind${peer === undefined ? '' : `, quorumkv and ${peer} (its HTTP JSON gateway) in turns`}. Figures are medians, with the smallest and the largest.`,
    'An answer that is wrong, or none, ends the benchmark with an error.',
    '',
    ...head(peer),
    ...compared.map((one) => row(one, peer)),
    '',
    ...warnings(runs).flatMap((line) => [line, '']),
    ...writesInTime(runs),
  ].join('\n');
}

/** A table for each kind of put: of the run in the middle, by what the server's part of a request took. */
function writesInTime(runs: readonly Run[]): string[] {
  const kinds = new Map<string, WriteTimes[]>();
  for (const { valueBytes, connections, writeTimes } of runs) {
    if (writeTimes === undefined) continue;
    const name = `put of ${valueBytes} B at ${connections} connections`;
    kinds.set(name, [...(kinds.get(name) ?? []), writeTimes]);
  }
  if (kinds.size === 0) return [];
  return [
    '## Where the time of a write goes',
    '',
    'On the leader, by its own histograms, which follow one write at a time; of each kind the run in the middle.',
    '',
    ...[...kinds].flatMap(([name, all]) => {
      const sorted = all.toSorted((a, b) => a.request.meanMs - b.request.meanMs);
      const middle = sorted[Math.floor((sorted.length - 1) / 2)];
      return middle === undefined ? [] : [`${name}:`, '', ...stagesTable(middle), ''];
    }),
  ];
}

/** What makes the figures worth less than they look; a line each. */
export function warnings(runs: readonly Pick<Run, 'cpu' | 'leaderChanged'>[]): string[] {
  const lines: string[] = [];
  const disturbed = runs.filter(({ cpu }) => cpu !== undefined && cpu.others > DISTURBED_SHARE);
  if (disturbed.length > 0) {
    const most = Math.max(...disturbed.map(({ cpu }) => cpu?.others ?? 0));
    lines.push(
      `Warning: something else used the CPU during ${disturbed.length} of ${runs.length} runs (up to ${(100 * most).toFixed(0)} % of all cores): the figures are too low.`,
    );
  }
  const changed = runs.filter((run) => run.leaderChanged).length;
  if (changed > 0) lines.push(`Warning: the leader changed during ${changed} of ${runs.length} runs.`);
  return lines;
}
