/** `npm run bench:report`: draws `bench/results/latest.json` as plots beside it. */

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './cluster.js';
import { compare, type Compared, type Spread, type SystemFigures } from './compare.js';
import { barChart, type Bar } from './plot.js';
import type { Results } from './report.js';
import type { SystemName } from './systems.js';
import { TITLES } from './workloads.js';

/** One chart a workload and size, a group of bars for each number of connections. Name of the file to SVG. */
export function charts({ runs, peer }: Pick<Results, 'runs' | 'peer'>): Map<string, string> {
  const compared = compare(runs);
  const series: SystemName[] = peer === undefined ? ['quorumkv'] : ['quorumkv', 'etcd'];
  const drawn = new Map<string, string>();
  for (const kind of new Set(compared.map(kindOf))) {
    const cells = compared.filter((one) => kindOf(one) === kind);
    const [first] = cells;
    if (first === undefined) continue;
    const chart = (unit: string, of: (figures: SystemFigures) => Spread): string =>
      barChart({
        title: `${TITLES[first.workload]}, ${first.valueBytes} B`,
        unit,
        series,
        groups: cells.map(({ connections, systems }) => ({
          label: `${connections}`,
          bars: series.map((name) => barOf(systems[name], of)),
        })),
      });
    drawn.set(
      `${kind}-per-second.svg`,
      chart('per second by connections', ({ perSecond }) => perSecond),
    );
    drawn.set(
      `${kind}-p99.svg`,
      chart('p99 in ms by connections', ({ p99Ms }) => p99Ms),
    );
  }
  return drawn;
}

const kindOf = ({ workload, valueBytes }: Compared): string => `${workload}-${valueBytes}`;

function barOf(figures: SystemFigures | undefined, of: (figures: SystemFigures) => Spread): Bar | undefined {
  if (figures === undefined) return undefined;
  const { median, min, max } = of(figures);
  return { label: median.toLocaleString('en'), value: median, min, max };
}

/** Reads the results in `directory` and writes the plots there; their names. */
export function draw(directory: string): string[] {
  const results = JSON.parse(readFileSync(path.join(directory, 'latest.json'), 'utf8')) as Results;
  const all = charts(results);
  for (const [name, svg] of all) writeFileSync(path.join(directory, name), svg);
  return [...all.keys()];
}

if (process.argv[1] === import.meta.filename) {
  for (const name of draw(path.join(ROOT, 'bench/results'))) console.log(`bench/results/${name}`);
}
