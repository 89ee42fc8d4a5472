/**
 * Faults that the simulator must find: each breaks one rule of the compiled product, by replacing one piece of its text.
 * `npm run simulate -- --mutants` shows that it finds them (docs/SIMULATION.md).
 */

import { CORE_MUTANTS } from './mutants-of-core.js';
import { MEMBER_MUTANTS } from './mutants-of-members.js';
import { SERVER_MUTANTS } from './mutants-of-server.js';
import { SNAPSHOT_AND_KEY_MUTANTS } from './mutants-of-snapshots.js';

export interface Mutant {
  readonly name: string;
  /** Below the root of the compiled files. */
  readonly file: string;
  /** The rule that is broken, and where it comes from. */
  readonly breaks: string;
  /** Stands exactly once in the file; else the list is out of date, and the run fails. */
  readonly original: string;
  readonly replacement: string;
  /** It is found with one of the seeds from 1 to this one. */
  readonly seedsMax: number;
}

export const MUTANTS: readonly Mutant[] = [
  ...CORE_MUTANTS,
  ...SERVER_MUTANTS,
  ...SNAPSHOT_AND_KEY_MUTANTS,
  ...MEMBER_MUTANTS,
];
