/**
 * Faults that the simulator must find: each breaks one rule of the compiled product, by replacing one piece of its text.
 * `npm run simulate -- --mutants` shows that it finds them (docs/SIMULATION.md).
 */

import { FOUND_AT_SEED } from './mutants-found.js';
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
  /** Of one that is not known to be found: so many seeds are worth a try. */
  readonly seedsMax?: number;
}

/** A change of the product moves what the seeds find, so each may take some more than it was measured with. */
const BOUND_MIN = 100;
const BOUND_FACTOR = 6;
const BOUND_STEP = 50;

/** It is found with one of the seeds from 1 to this one. */
export function boundOf({ name, seedsMax = BOUND_MIN }: Mutant): number {
  const seed = FOUND_AT_SEED[name];
  return seed === undefined ? seedsMax : boundFor(seed);
}

/** What is promised of a mutant that was found with `seed` first. */
export function boundFor(seed: number): number {
  return Math.max(BOUND_MIN, BOUND_STEP * Math.ceil((BOUND_FACTOR * seed) / BOUND_STEP));
}

export const MUTANTS: readonly Mutant[] = [
  ...CORE_MUTANTS,
  ...SERVER_MUTANTS,
  ...SNAPSHOT_AND_KEY_MUTANTS,
  ...MEMBER_MUTANTS,
];
