/** `npm run simulate`: replays a seed, or searches new ones for as long as it is given. */

import { appendFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { RARE_MUTANTS } from './mutants-rare.js';
import { MUTANTS } from './mutants.js';
import { searchAll } from './mutation-run.js';
import type { RunReport } from './run.js';
import { SimulationFailure, describeFailure, shrink, simulate } from './run.js';

interface Options {
  readonly seed?: number;
  readonly minutes?: number;
  readonly from?: number;
  readonly trace?: string;
  readonly mutants?: boolean;
  readonly only?: string;
  readonly seeds?: number;
}

/** The start of a trace is a trace, and longer ones take a specification's checker too long. */
const TRACE_LINES_MAX = 2999;

function number(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('a number is needed, zero or more');
  return value;
}

async function main(): Promise<void> {
  const program = new Command('simulate')
    .description(
      'Whole clusters in one process, on simulated clock, network and disk, from seeds that replay exactly.',
    )
    .option('--seed <n>', 'run this one seed', number)
    .option('--minutes <m>', 'search new seeds for so long (default: 1)', number)
    .option('--from <n>', 'the first of the new seeds (default: by the clock)', number)
    .option(
      '--trace <path>',
      `append what the cores of the one seed do to a file: the first ${TRACE_LINES_MAX} steps`,
    )
    .option('--mutants', 'break the product in each of the listed ways, and see that the simulator finds it')
    .option('--only <name>', 'with --mutants: this one')
    .option('--seeds <n>', "with --mutants: so many seeds, instead of each one's bound", number)
    .parse();
  const options = program.opts<Options>();
  if (options.mutants === true) {
    if (!(await searchMutants(options))) process.exitCode = 1;
    return;
  }
  if (options.trace !== undefined && options.seed === undefined)
    program.error('simulate: --trace is of one run; give --seed as well');
  const traceTo = options.trace === undefined ? undefined : traceInto(options.trace);
  const total = newTotal();
  const startMs = performance.now();
  const endMs = startMs + (options.minutes ?? 1) * 60_000;
  let seed = options.seed ?? options.from ?? Math.floor(Date.now() / 1000) * 1000;
  do {
    try {
      add(total, await simulate({ seed, ...(traceTo && { traceTo }) }));
    } catch (error) {
      if (!(error instanceof SimulationFailure)) throw error;
      process.stdout.write(`${describeFailure(await shrink(error, 200), 400)}\n`);
      process.exitCode = 1;
      return;
    }
    seed += 1;
  } while (options.seed === undefined && performance.now() < endMs);
  report(total, (performance.now() - startMs) / 1000);
}

function traceInto(path: string): (line: string) => void {
  let lines = 0;
  return (line) => {
    lines += 1;
    if (lines <= TRACE_LINES_MAX) appendFileSync(path, `${line}\n`);
  };
}

async function searchMutants({ only, seeds }: Options): Promise<boolean> {
  const mutants =
    only === undefined ? MUTANTS : [...MUTANTS, ...RARE_MUTANTS].filter(({ name }) => name === only);
  if (mutants.length === 0) {
    process.stderr.write(
      `there is no mutant ${only ?? ''}; there are: ${MUTANTS.map(({ name }) => name).join(', ')}\n`,
    );
    return false;
  }
  return searchAll(mutants, (line) => void process.stdout.write(`${line}\n`), seeds);
}

interface Total {
  seeds: number;
  steps: number;
  simulatedMs: number;
  operations: number;
  acknowledged: number;
  readonly faults: Map<string, number>;
}

function newTotal(): Total {
  return { seeds: 0, steps: 0, simulatedMs: 0, operations: 0, acknowledged: 0, faults: new Map() };
}

function add(total: Total, run: RunReport): void {
  total.seeds += 1;
  total.steps += run.steps;
  total.simulatedMs += run.simulatedMs;
  total.operations += run.operations;
  total.acknowledged += run.acknowledged;
  for (const [kind, count] of run.faults) total.faults.set(kind, (total.faults.get(kind) ?? 0) + count);
}

function report(total: Total, seconds: number): void {
  const lines = [
    `${total.seeds} seeds, ${total.steps} steps, ${(total.simulatedMs / 60_000).toFixed(1)} simulated minutes in ${seconds.toFixed(1)} s, ${cpuMinutes()} minutes of CPU`,
    `${total.operations} operations, ${total.acknowledged} with a definite answer; every history linearizable`,
    ...[...total.faults]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, count]) => `  ${kind.padEnd(18)} ${count}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function cpuMinutes(): string {
  const { user, system } = process.cpuUsage();
  return ((user + system) / 60e6).toFixed(1);
}

await main();
