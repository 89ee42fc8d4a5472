/**
 * `npm run bench:readme`: writes `latest.md`, and the table of the README between its markers, anew from `bench/results/latest.json`.
 * `npm run bench` does it, too, whenever it keeps its results.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { keepResults, RESULTS } from './begin.js';
import { ROOT } from './cluster.js';
import { compare, type Compared, type SystemFigures } from './compare.js';
import { markdown, times, whole, type Results } from './report.js';
import { TITLES } from './workloads.js';

/** Prettier leaves alone what is between. */
export const MARKERS = ['<!-- prettier-ignore-start -->\n', '<!-- prettier-ignore-end -->'] as const;

const README = path.join(ROOT, 'README.md');

export function latestResults(): Results {
  return JSON.parse(readFileSync(path.join(RESULTS, 'latest.json'), 'utf8')) as Results;
}

/** What stands between the markers: the figures that one looks for, and where they are from. */
export function readmeBlock({ runs, peer, machine, command, date, nodes, keys }: Results): string {
  const of = (name: string): string[] => [`${name}/s`, 'p99 ms'];
  const names = [
    ...['', 'value', 'connections', ...of('quorumkv')],
    ...(peer === undefined ? [] : [...of(peer), 'ratio', 'ratio of p99']),
  ];
  return [
    '',
    `\`${command}\`, ${date.slice(0, 10)}: ${nodes} nodes, ${whole(keys)} keys, fsync on; ${machine}.`,
    '',
    `| ${names.join(' | ')} |`,
    `|${' --- |'.repeat(names.length)}`,
    ...compare(runs).map((one) => row(one, peer)),
    '',
    '',
  ].join('\n');
}

function row(
  { workload, valueBytes, connections, systems, ratio, p99Ratio }: Compared,
  peer?: string,
): string {
  const figures = (of: SystemFigures | undefined): string[] =>
    of === undefined ? ['', ''] : [whole(of.perSecond.median), of.p99Ms.median.toFixed(1)];
  const cells = [
    ...[TITLES[workload], `${valueBytes} B`, `${connections}`, ...figures(systems.quorumkv)],
    ...(peer === undefined ? [] : [...figures(systems.etcd), times(ratio), times(p99Ratio)]),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** The text between the markers of `readme`; throws unless they are there once. */
export function blockIn(readme: string): string {
  const [begin, end] = MARKERS;
  const [, rest = '', ...more] = readme.split(begin);
  const [block = '', ...after] = rest.split(end);
  if (more.length > 0 || after.length !== 1) throw new Error('the README does not have the markers once');
  return block;
}

/** The README with `block` between its markers. */
export function withBlock(readme: string, block: string): string {
  const [begin, end] = MARKERS;
  return readme.replace(`${begin}${blockIn(readme)}${end}`, () => `${begin}${block}${end}`);
}

/** From the results that were kept last. */
export function updateReadme(): void {
  const results = latestResults();
  keepResults('latest', markdown(results), results);
  writeFileSync(README, withBlock(readFileSync(README, 'utf8'), readmeBlock(results)));
}

if (process.argv[1] === import.meta.filename) {
  updateReadme();
  console.log('bench/results/latest.md and README.md agree with bench/results/latest.json');
}
