/**
 * A small file beside the state that says that the state is not to be used any more. What is damaged may be found long after the state was opened,
 * where only reading the very row tells; the next start has to know of it.
 *
 * - `damaged`: something in it is not what was written.
 * - `diverged`: it is sound, but another one than that of the majority; so may be the snapshots that were made of it.
 * - `suspect`: applying what was committed up to `index` failed, be it because of the state or because of what was to be applied. It is used all the same.
 * - `disputed`: the states of the nodes differ, and no majority says which one is right.
 */

import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { StorageError } from './errors.js';
import { errorCode, syncDirectory } from './files.js';

export const STATE_MARK_FILE = 'state.unusable';

const markSchema = z.union([
  z.object({ kind: z.enum(['damaged', 'diverged', 'disputed']), what: z.string() }),
  z.object({ kind: z.literal('suspect'), what: z.string(), index: z.int() }),
]);
export type StateMark = z.infer<typeof markSchema>;

/** Synchronously, since the process ends behind it. When it can't be written, the fault is found again instead. */
export function markState(dataDir: string, mark: StateMark): void {
  try {
    const file = openSync(path.join(dataDir, STATE_MARK_FILE), 'w');
    try {
      writeSync(file, `${JSON.stringify(mark)}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    const directory = openSync(dataDir, 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  } catch {
    // The disk has failed as well; the process ends anyhow.
  }
}

/** Undefined when there is none. One that can't be read, as after a crash while it was written, is as good as any. */
export function readStateMark(dataDir: string): StateMark | undefined {
  const file = path.join(dataDir, STATE_MARK_FILE);
  try {
    const parsed = markSchema.safeParse(parse(readFileSync(file, 'utf8')));
    return parsed.success ? parsed.data : { kind: 'diverged', what: 'it was found to be unusable' };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new StorageError('unusable', `${file} cannot be read: ${String(error)}`, error, 'state');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export async function removeStateMark(dataDir: string): Promise<void> {
  await rm(path.join(dataDir, STATE_MARK_FILE), { force: true });
  await syncDirectory(dataDir);
}
