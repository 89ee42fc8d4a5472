/**
 * Where the databases of a state lie: directories named by a number, `000001` and up, of which the highest one counts. New content is
 * built under `.part`, complete and synced before it is renamed; that rename is the moment at which it replaces the old one.
 * Whatever else a crash leaves there, lower numbers or a `.part`, is removed at the next opening.
 */

import { readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { StorageError } from '../errors.js';
import { makeDirectory, syncDirectory } from '../files.js';

/** Width of a number, so that a listing is in order; longer ones would do as well. */
const DIGITS = 6;
const PART = '.part';
const NAME = /^\d{6,15}(\.part)?$/;

export interface Generations {
  /** The one that counts; 1 when there is none yet. */
  readonly current: number;
  /** Names in the directory that are to be removed once the current one is open, and so surely nobody else's. */
  readonly leftovers: readonly string[];
}

export function generationDirectory(root: string, generation: number): string {
  return path.join(root, String(generation).padStart(DIGITS, '0'));
}

export function partDirectory(root: string, generation: number): string {
  return generationDirectory(root, generation) + PART;
}

/** @throws StorageError `unusable` for a directory with something else in it. */
export async function findGenerations(root: string): Promise<Generations> {
  await makeDirectory(root);
  const names = await readdir(root);
  const foreign = names.find((name) => !NAME.test(name));
  if (foreign !== undefined) {
    const remedy = 'move it away, or give this node a raft.dataDir of its own';
    throw new StorageError(
      'unusable',
      `${root} holds ${foreign}, which is no state of this version: ${remedy}`,
    );
  }
  const numbers = names.filter((name) => !name.endsWith(PART)).map(Number);
  const current = Math.max(1, ...numbers);
  const directory = path.basename(generationDirectory(root, current));
  return { current, leftovers: names.filter((name) => name !== directory) };
}

/** Removes directories below `root`; what is left of one after a failure is found again at the next opening. */
export async function removeAll(root: string, names: readonly string[]): Promise<void> {
  for (const name of names) await rm(path.join(root, name), { recursive: true, force: true });
  if (names.length > 0) await syncDirectory(root);
}

/** From here on `generation` is the one that counts. It must be complete, and its database closed. */
export async function putInPlace(root: string, generation: number): Promise<void> {
  await syncDirectory(partDirectory(root, generation));
  await rename(partDirectory(root, generation), generationDirectory(root, generation));
  await syncDirectory(root);
}
