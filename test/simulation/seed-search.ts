/**
 * `node seed-search.js <from> <to>`: runs seeds until one fails, and says where it is, a line of JSON each time. A program of its
 * own, since what it runs may be broken in any way: it may hang, or end the process.
 */

import { writeSync } from 'node:fs';
import { simulate } from './run.js';

/** `running` before each seed; then `failed`, or `passed` at the end. */
export type SearchLine =
  | { readonly type: 'running'; readonly seed: number }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'passed' };

/** Written at once: a hanging process would send nothing later. */
function say(line: SearchLine): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function fail(error: unknown): never {
  say({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
  process.exit(0);
}

process.on('uncaughtException', fail);

const [from = 1, to = from] = process.argv.slice(2).map(Number);
for (let seed = from; seed <= to; seed += 1) {
  say({ type: 'running', seed });
  await simulate({ seed }).catch(fail);
}
say({ type: 'passed' });
