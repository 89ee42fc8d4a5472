/** Runs the simulator on a broken copy of the compiled product. */

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Mutant } from './mutants.js';
import type { SearchLine } from './seed-search.js';

/** Of compiled files: `dist`, or a copy of it. */
const COMPILED = path.resolve(import.meta.dirname, '../..');
/** What the simulator imports, by rooms. */
const ROOMS = ['api', 'configs', 'kv', 'membership', 'persistence', 'raft', 'server', 'snapshot', 'test'];
/** A seed takes far less than a second, even on a busy machine: one that goes on for so long never ends. */
const SEED_MS_MAX = 120_000;

export interface Found {
  /** Undefined: it was not found. */
  readonly seed: number | undefined;
  /** The first line of the failure. */
  readonly message: string;
}

/** Ends what is under way, and removes the copies, when this process is told to end. */
const cleanups = new Set<() => void>();
function onSignal(signal: NodeJS.Signals): void {
  for (const cleanup of cleanups) cleanup();
  process.exit(signal === 'SIGINT' ? 130 : 143);
}

/**
 * Tries the seeds from 1 to `seedsMax` on the mutant until one fails.
 *
 * @throws Error when the mutant's text is not in its file exactly once.
 */
export async function search(mutant: Mutant, seedsMax = mutant.seedsMax): Promise<Found> {
  // Beside `dist`, so that it is within the package, and finds node_modules.
  const copy = mkdtempSync(path.join(path.dirname(COMPILED), 'dist-mutant-'));
  let child: ChildProcess | undefined;
  const cleanup = (): void => {
    child?.kill('SIGKILL');
    rmSync(copy, { recursive: true, force: true });
  };
  if (cleanups.size === 0) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  cleanups.add(cleanup);
  try {
    for (const room of ROOMS) cpSync(path.join(COMPILED, room), path.join(copy, room), { recursive: true });
    mutate(copy, mutant);
    child = spawn(
      process.execPath,
      [path.join(copy, 'test/simulation/seed-search.js'), '1', String(seedsMax)],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    return await outcomeOf(child);
  } finally {
    cleanup();
    cleanups.delete(cleanup);
    if (cleanups.size === 0)
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
  }
}

function mutate(root: string, mutant: Mutant): void {
  const parts = partsOf(root, mutant);
  const fault = faultOf(mutant, parts);
  if (fault !== undefined) throw new Error(fault);
  writeFileSync(path.join(root, mutant.file), parts.join(mutant.replacement));
}

/** What its text leaves of its file: two parts when it stands there once. */
function partsOf(root: string, { file, original }: Mutant): string[] {
  return readFileSync(path.join(root, file), 'utf8').split(original);
}

function faultOf({ name, file }: Mutant, parts: readonly string[]): string | undefined {
  if (parts.length === 2) return undefined;
  return `mutant ${name} is out of date: its text stands ${parts.length - 1} times in ${file}, not once`;
}

/** Which mutants do not fit the product any more, a line for each. */
export function outOfDate(mutants: readonly Mutant[]): string[] {
  return mutants.flatMap((mutant) => faultOf(mutant, partsOf(COMPILED, mutant)) ?? []);
}

function outcomeOf(child: ChildProcess): Promise<Found> {
  return new Promise((resolve, reject) => {
    let seed = 0;
    let found: Found | undefined;
    let watchdog: NodeJS.Timeout | undefined;
    const { stdout } = child;
    if (stdout === null) throw new Error('the search has an output');
    const lines = createInterface({ input: stdout });
    lines.on('line', (text) => {
      const line = JSON.parse(text) as SearchLine;
      clearTimeout(watchdog);
      switch (line.type) {
        case 'running':
          ({ seed } = line);
          watchdog = setTimeout(() => {
            // It proves nothing: the machine may stand still as well.
            found = { seed: undefined, message: `seed ${seed} does not end` };
            child.kill('SIGKILL');
          }, SEED_MS_MAX);
          return;
        case 'failed':
          found = { seed, message: line.message.split('\n', 1)[0] ?? '' };
          return;
        case 'passed':
          found = { seed: undefined, message: `not found in ${seed} seeds` };
          return;
      }
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(watchdog);
      if (found !== undefined) resolve(found);
      else if (seed > 0) resolve({ seed, message: `the process ended (${String(code ?? signal)})` });
      else reject(new Error(`the search did not start (${String(code ?? signal)})`));
    });
  });
}

/** Tries each mutant, one after the other, and reports a line for each; false when one was not found within its bound. */
export async function searchAll(
  mutants: readonly Mutant[],
  say: (line: string) => void,
  seedsMax?: number,
): Promise<boolean> {
  const faults = outOfDate(mutants);
  faults.forEach(say);
  if (faults.length > 0) return false;
  const width = Math.max(...mutants.map(({ name }) => name.length));
  let missed = 0;
  for (const mutant of mutants) {
    const { seed, message } = await search(mutant, seedsMax);
    if (seed === undefined) missed += 1;
    const result = seed === undefined ? 'NOT FOUND' : `seed ${seed} of ${mutant.seedsMax}`;
    say(`${mutant.name.padEnd(width)}  ${result.padEnd(16)}  ${message}`);
  }
  say(`${mutants.length} mutants, ${missed} of them not found`);
  return missed === 0;
}
