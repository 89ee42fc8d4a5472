/** `npm run simulate`: replays a seed, searches new ones for as long as it is given, or looks for mutants. */

import { appendFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { FOUND_AT_SEED } from './mutants-found.js';
import { RARE_MUTANTS } from './mutants-rare.js';
import type { Mutant } from './mutants.js';
import { MUTANTS, boundOf } from './mutants.js';
import type { Found } from './mutation-run.js';
import { searchAll } from './mutation-run.js';
import { writeFound } from './mutation-table.js';
import { replaySeed, searchSeeds } from './seed-search.js';

interface Options {
  readonly seed?: number;
  readonly minutes: number;
  readonly from?: number;
  readonly jobs: number;
  readonly trace?: string;
  readonly mutants?: boolean;
  readonly only?: string;
  readonly seeds?: number;
  readonly write?: boolean;
}

/** The start of a trace is a trace, and longer ones take a specification's checker too long. */
const TRACE_LINES_MAX = 2999;
/** So far a mutant is looked for when its bound is measured anew. */
const MEASURED_SEEDS_MAX = 1500;

function number(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('a number is needed, zero or more');
  return value;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('a whole number is needed, 1 or more');
  return value;
}

async function main(): Promise<boolean> {
  const program = new Command('simulate')
    .description(
      'Whole clusters in one process, on simulated clock, network and disk, from seeds that replay exactly.',
    )
    .option('--seed <n>', 'run this one seed', number)
    .option('--minutes <m>', 'search new seeds for so long', number, 1)
    .option('--from <n>', 'the first of the new seeds (default: by the clock)', number)
    .option(
      '--jobs <n>',
      'so many processes at once (default: one for each core)',
      count,
      availableParallelism(),
    )
    .option(
      '--trace <path>',
      `append what the cores of the one seed do to a file: the first ${TRACE_LINES_MAX} steps`,
    )
    .option('--mutants', 'break the product in each of the listed ways, and see that the simulator finds it')
    .option('--only <names>', 'with --mutants: these, separated by commas')
    .option('--seeds <n>', "with --mutants: so many seeds, instead of each one's bound", count)
    .option('--write', 'with --mutants: write down the seeds that find them, and the bounds that follow')
    .parse();
  const options = program.opts<Options>();
  const { seed, from = Math.floor(Date.now() / 1000) * 1000, minutes, jobs, trace } = options;
  if (options.mutants === true) return searchMutants(options);
  if (trace !== undefined && seed === undefined)
    program.error('simulate: --trace is of one run; give --seed as well');
  if (seed !== undefined) return replaySeed(seed, say, trace === undefined ? undefined : traceInto(trace));
  return searchSeeds({ from, minutes, jobs, say });
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function traceInto(path: string): (line: string) => void {
  let lines = 0;
  return (line) => {
    lines += 1;
    if (lines <= TRACE_LINES_MAX) appendFileSync(path, `${line}\n`);
  };
}

/** Whether every one was found. */
async function searchMutants({ only, seeds, write = false, jobs }: Options): Promise<boolean> {
  const names = only?.split(',');
  const known = [...MUTANTS, ...RARE_MUTANTS];
  const unknown = names?.find((name) => known.every((mutant) => mutant.name !== name));
  if (unknown !== undefined) {
    const all = known.map(({ name }) => name).join(', ');
    process.stderr.write(`there is no mutant ${unknown}; there are: ${all}\n`);
    return false;
  }
  const mutants = names === undefined ? MUTANTS : known.filter(({ name }) => names.includes(name));
  const seedsOf = (mutant: Mutant): number =>
    seeds ?? (write ? Math.max(boundOf(mutant), MEASURED_SEEDS_MAX) : boundOf(mutant));
  const results = await searchAll(mutants, { jobs, say, seedsOf });
  if (write) writeFound(MUTANTS, { ...FOUND_AT_SEED, ...seedsIn(results) });
  return [...results.values()].every(({ seed }) => seed !== undefined);
}

function seedsIn(results: ReadonlyMap<Mutant, Found>): Record<string, number> {
  const listed = [...results].filter(([mutant]) => MUTANTS.includes(mutant));
  return Object.fromEntries(
    listed.flatMap(([{ name }, { seed }]) => (seed === undefined ? [] : [[name, seed]])),
  );
}

if (!(await main())) process.exitCode = 1;
