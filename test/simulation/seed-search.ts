/** Searches new seeds on all cores, until the time is over or one fails. */

import { guarded } from './cleanup.js';
import type { RunReport } from './run.js';
import { SimulationFailure, describeFailure, shrink, simulate } from './run.js';
import { COMPILED, SeedRunner } from './seed-runner.js';
import { Total, minutes } from './total.js';

/** A line that says how far it is. */
const PROGRESS_EVERY_MS = 30_000;
/** Of a failure that is shrunk. */
const SHRINK_RUNS_MAX = 200;
const LOG_LINES_MAX = 400;

export interface SeedSearchOptions {
  readonly from: number;
  readonly minutes: number;
  /** So many at once. */
  readonly jobs: number;
  readonly say: (line: string) => void;
}

/** Tries seed after seed, and reports; false when one failed. */
export async function searchSeeds(options: SeedSearchOptions): Promise<boolean> {
  const { from, jobs, say } = options;
  const startMs = performance.now();
  const endMs = startMs + options.minutes * 60_000;
  const runners = Array.from({ length: jobs }, () => new SeedRunner(COMPILED));
  const total = new Total();
  let next = from;
  let failed: { readonly seed: number; readonly message: string } | undefined;
  const end = (): void => runners.forEach((runner) => runner.end());
  const work = async (runner: SeedRunner): Promise<void> => {
    while (failed === undefined && performance.now() < endMs) {
      const seed = next;
      next += 1;
      const outcome = await runner.run(seed);
      if (outcome.type === 'passed') total.add(outcome.run);
      else failed ??= { seed, message: outcome.message };
    }
  };
  const cpuMs = (): number => runners.reduce((sum, runner) => sum + runner.cpuMs, 0);
  const progress = setInterval(
    () => say(`${minutes(performance.now() - startMs)}: ${total.headline()}, ${minutes(cpuMs())} of CPU`),
    PROGRESS_EVERY_MS,
  );
  await guarded(end, () => Promise.all(runners.map(work))).finally(() => {
    clearInterval(progress);
    end();
  });
  if (failed !== undefined) {
    say(await explain(failed.seed, failed.message));
    return false;
  }
  say(total.report({ tookMs: performance.now() - startMs, cpuMs: cpuMs() }));
  say(`seeds ${from} to ${next - 1}`);
  return true;
}

/** Runs it again, here, for its log and the faults that it needs. What ends a process is not tried again. */
async function explain(seed: number, message: string): Promise<string> {
  if (!message.startsWith(`seed ${seed}: `)) return `seed ${seed}: ${message}`;
  const failure = await runOne(seed);
  return failure instanceof SimulationFailure
    ? describeFailure(await shrink(failure, SHRINK_RUNS_MAX), LOG_LINES_MAX)
    : `${message}\nit does not fail again: something in it hangs on more than its seed`;
}

/** What a run comes to: its report, or its failure. */
export async function runOne(
  seed: number,
  traceTo?: (line: string) => void,
): Promise<RunReport | SimulationFailure> {
  try {
    return await simulate({ seed, ...(traceTo && { traceTo }) });
  } catch (error) {
    if (error instanceof SimulationFailure) return error;
    throw error;
  }
}

/** One seed, in this process; false when it failed. */
export async function replaySeed(
  seed: number,
  say: (line: string) => void,
  traceTo?: (line: string) => void,
): Promise<boolean> {
  const startMs = performance.now();
  const run = await runOne(seed, traceTo);
  if (run instanceof SimulationFailure) {
    say(describeFailure(await shrink(run, SHRINK_RUNS_MAX), LOG_LINES_MAX));
    return false;
  }
  const total = new Total();
  total.add(run);
  const { user, system } = process.cpuUsage();
  say(total.report({ tookMs: performance.now() - startMs, cpuMs: (user + system) / 1000 }));
  return true;
}
