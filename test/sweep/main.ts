/** `npm run sweep -- --flips 200 --cuts 200` */

import Table from 'cli-table3';
import { Command, InvalidArgumentError } from 'commander';
import { sweep } from './sweep.js';
import type { SweepTable } from './sweep.js';

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('a whole number is needed');
  return value;
}

interface Options {
  readonly flips: number;
  readonly cuts: number;
  readonly seed: number;
  readonly engine: string;
}

const options = new Command('sweep')
  .description(
    "Flips bits in, and cuts off, the files of a stopped node's data directory, one at a time: it repairs itself or refuses, and nothing that is read is wrong.",
  )
  .option('--flips <n>', 'bits to flip', count, 200)
  .option('--cuts <n>', 'files to cut off', count, 200)
  .option('--seed <n>', 'of what is drawn', count, Math.floor(Date.now() / 1000))
  .option('--engine <name>', 'storage.engine of the cluster', 'rocksdb')
  .parse()
  .opts<Options>();

function tableOf(table: SweepTable): string {
  const names = [...new Set([...table.values()].flatMap((row) => [...row.keys()]))].sort();
  const drawn = new Table({ head: ['file', ...names], style: { head: [], border: [], compact: true } });
  for (const [group, row] of [...table].sort(([a], [b]) => (a < b ? -1 : 1)))
    drawn.push([group, ...names.map((name) => row.get(name) ?? 0)]);
  return drawn.toString();
}

const startMs = performance.now();
try {
  console.log(`seed ${options.seed}`);
  const report = await sweep({ ...options, tell: (line) => console.log(line) });
  console.log(tableOf(report.table));
  for (const [outcome, times] of Object.entries(report.outcomes).sort()) console.log(`${outcome}: ${times}`);
  const seconds = Math.round((performance.now() - startMs) / 1000);
  console.log(`${report.earlyReads} listings while it started, all right; ${seconds} s`);
} catch (error) {
  console.error(`seed ${options.seed}: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
