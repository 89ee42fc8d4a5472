/** What the commands of this folder have in common: Ctrl-C and a bound in time end them in order, and results are kept. */

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './cluster.js';

export const RESULTS = path.join(ROOT, 'bench/results');

/** Nodes are stopped within this; after it they are killed. */
const GRACE_MS = 60_000;

/**
 * Runs `work` and ends the process with the exit code that it resolves with; with 130 after Ctrl-C, with 1 after an error. The second
 * Ctrl-C ends it at once. No node outlives it in any case.
 *
 * @param minutesMax `signal` is aborted after so long
 */
export async function begin(
  minutesMax: number,
  work: (signal: AbortSignal) => Promise<number>,
): Promise<never> {
  const ending = new AbortController();
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (interrupt.signal.aborted) process.exit(130);
      interrupt.abort();
      console.log('Stopping ...');
      ending.abort(new Error(`interrupted by ${name}`));
    });
  }
  const limit = setTimeout(() => {
    ending.abort(new Error(`not done after ${minutesMax} minutes; --limit gives it more`));
    setTimeout(() => process.exit(1), GRACE_MS);
  }, minutesMax * 60_000);
  let code: number;
  try {
    code = await work(ending.signal);
  } catch (error) {
    code = 1;
    if (!interrupt.signal.aborted)
      console.error(messageOf(ending.signal.aborted ? ending.signal.reason : error));
  }
  clearTimeout(limit);
  process.exit(interrupt.signal.aborted ? 130 : code);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The command as it was typed. */
export function commandLine(script: string, args: readonly string[]): string {
  return [`npm run ${script}`, ...(args.length === 0 ? [] : ['--', ...args])].join(' ');
}

/** Writes `bench/results/NAME.md` and, for programs, `NAME.json`. */
export function keepResults(name: string, markdown: string, data: unknown): void {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(path.join(RESULTS, `${name}.md`), markdown);
  writeFileSync(path.join(RESULTS, `${name}.json`), `${JSON.stringify(data)}\n`);
}
