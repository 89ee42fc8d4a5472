/** Copies of the compiled product in which one rule is broken. */

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Mutant } from './mutants.js';
import { COMPILED } from './seed-runner.js';

/** What the simulator imports, by rooms. */
const ROOMS = ['api', 'configs', 'kv', 'membership', 'persistence', 'raft', 'server', 'snapshot', 'test'];

export interface MutatedCopy {
  readonly root: string;
  remove(): void;
}

/** @throws Error when the mutant's text is not in its file exactly once. */
export function copyWith(mutant: Mutant): MutatedCopy {
  // Beside `dist`, so that it is within the package, and finds node_modules.
  const root = mkdtempSync(path.join(path.dirname(COMPILED), 'dist-mutant-'));
  const remove = (): void => rmSync(root, { recursive: true, force: true });
  try {
    for (const room of ROOMS) cpSync(path.join(COMPILED, room), path.join(root, room), { recursive: true });
    const parts = partsOf(root, mutant);
    const fault = faultOf(mutant, parts);
    if (fault !== undefined) throw new Error(fault);
    writeFileSync(path.join(root, mutant.file), parts.join(mutant.replacement));
  } catch (error) {
    remove();
    throw error;
  }
  return { root, remove };
}

/** Which mutants do not fit the product any more, a line for each. */
export function outOfDate(mutants: readonly Mutant[]): string[] {
  return mutants.flatMap((mutant) => faultOf(mutant, partsOf(COMPILED, mutant)) ?? []);
}

/** What its text leaves of its file: two parts when it stands there once. */
function partsOf(root: string, { file, original }: Mutant): string[] {
  return readFileSync(path.join(root, file), 'utf8').split(original);
}

function faultOf({ name, file }: Mutant, parts: readonly string[]): string | undefined {
  if (parts.length === 2) return undefined;
  return `mutant ${name} is out of date: its text stands ${parts.length - 1} times in ${file}, not once`;
}
