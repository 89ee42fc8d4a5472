/** Runs the simulator on broken copies of the compiled product, one on each core. */

import { guarded } from './cleanup.js';
import type { Mutant } from './mutants.js';
import { boundOf } from './mutants.js';
import { copyWith, outOfDate } from './mutated-copy.js';
import { SeedRunner } from './seed-runner.js';
import { minutes } from './total.js';

/** A line that says how far it is, unless another one came anyway. */
const PROGRESS_EVERY_MS = 30_000;

export interface Found {
  /** Undefined: it was not found. */
  readonly seed: number | undefined;
  /** The first line of the failure. */
  readonly message: string;
  readonly cpuMs: number;
}

/**
 * Tries the seeds from 1 to `seedsMax` on the mutant until one fails.
 *
 * @param tries is told of each seed before it is tried
 * @throws Error when the mutant's text is not in its file exactly once.
 */
export async function search(
  mutant: Mutant,
  seedsMax = boundOf(mutant),
  tries: (seed: number) => void = () => undefined,
): Promise<Found> {
  const copy = copyWith(mutant);
  const runner = new SeedRunner(copy.root, 'ignore');
  const cleanup = (): void => {
    runner.end();
    copy.remove();
  };
  return guarded(cleanup, () => searchWith(runner, seedsMax, tries)).finally(cleanup);
}

async function searchWith(
  runner: SeedRunner,
  seedsMax: number,
  tries: (seed: number) => void,
): Promise<Found> {
  for (let seed = 1; seed <= seedsMax; seed += 1) {
    tries(seed);
    const outcome = await runner.run(seed);
    if (outcome.type === 'passed') continue;
    const { message, type } = outcome;
    // It proves nothing: the machine may stand still as well.
    const found = type === 'stuck' ? undefined : seed;
    return { seed: found, message: message.split('\n', 1)[0] ?? '', cpuMs: runner.cpuMs };
  }
  return { seed: undefined, message: `not found in ${seedsMax} seeds`, cpuMs: runner.cpuMs };
}

export interface SearchAllOptions {
  /** So many at once. */
  readonly jobs: number;
  /** Instead of the bound of each. */
  readonly seedsOf?: (mutant: Mutant) => number;
  readonly say: (line: string) => void;
}

/** Tries each mutant, and reports a line for each as it ends. Returns what each was found with, in the order of `mutants`. */
export async function searchAll(
  mutants: readonly Mutant[],
  { jobs, say, seedsOf = boundOf }: SearchAllOptions,
): Promise<ReadonlyMap<Mutant, Found>> {
  const faults = outOfDate(mutants);
  faults.forEach(say);
  if (faults.length > 0) throw new Error(`${faults.length} mutants do not fit the product`);
  const startMs = performance.now();
  const width = Math.max(...mutants.map(({ name }) => name.length));
  const results = new Map<Mutant, Found>();
  const underWay = new Map<Mutant, number>();
  // What may take longest begins first, so that all cores end at about the same time.
  const waiting = [...mutants].sort((a, b) => seedsOf(a) - seedsOf(b));
  const where = (): string => `[${results.size}/${mutants.length}, ${minutes(performance.now() - startMs)}]`;
  const progress = setInterval(() => {
    const now = [...underWay].map(([one, seed]) => `${one.name} at seed ${seed} of ${seedsOf(one)}`);
    say(`${where()} ${now.join('; ')}`);
  }, PROGRESS_EVERY_MS);
  const work = async (): Promise<void> => {
    for (let mutant = waiting.pop(); mutant !== undefined; mutant = waiting.pop()) {
      const one = mutant;
      const seedsMax = seedsOf(one);
      const found = await search(one, seedsMax, (seed) => underWay.set(one, seed));
      underWay.delete(one);
      results.set(one, found);
      progress.refresh();
      const result = found.seed === undefined ? 'NOT FOUND' : `seed ${found.seed} of ${seedsMax}`;
      say(`${where()} ${one.name.padEnd(width)}  ${result.padEnd(17)}  ${found.message}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, work));
  } finally {
    clearInterval(progress);
  }
  say(summary(results, performance.now() - startMs));
  return results;
}

function summary(results: ReadonlyMap<Mutant, Found>, tookMs: number): string {
  const all = [...results.values()];
  const missed = all.filter(({ seed }) => seed === undefined).length;
  const cpuMs = all.reduce((sum, one) => sum + one.cpuMs, 0);
  return `${all.length} mutants, ${missed} of them not found; ${minutes(tookMs)}, ${minutes(cpuMs)} of CPU`;
}
