/**
 * Opens a state, or an empty one where it is damaged. Log and vote are sound without it: whatever it held is in the snapshots, in the
 * log and on the other nodes, so it is made anew. The damaged one is set aside until that is done.
 */

import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { StorageError } from './errors.js';
import { errorCode, syncDirectory } from './files.js';
import { readStateMark, removeStateMark } from './state-mark.js';
import type { StateStore } from './state-store.js';

const SET_ASIDE = 'state.damaged';

export interface OpenedState {
  readonly state: StateStore;
  /** Why it is empty, in a few words; undefined: it is as it was left. */
  readonly removed: string | undefined;
}

/** @throws StorageError, also for a state that only an operator can decide about */
export async function openSoundState(
  dataDir: string,
  open: (directory: string) => Promise<StateStore>,
): Promise<OpenedState> {
  const directory = path.join(dataDir, 'state');
  const mark = readStateMark(dataDir);
  if (mark?.kind === 'disputed') throw disputed(dataDir, mark.what);
  if (mark !== undefined && mark.kind !== 'suspect') {
    // Both are removed before the mark is: a crash in between finds it again.
    if (mark.kind === 'diverged') await clearing(dataDir, 'snapshots', () => remove(dataDir, 'snapshots'));
    await clearing(dataDir, 'state', () => setAside(dataDir));
    const state = await open(directory);
    await removeStateMark(dataDir);
    return { state, removed: mark.what };
  }
  try {
    return { state: await open(directory), removed: undefined };
  } catch (error) {
    if (!(error instanceof StorageError) || error.fault !== 'damaged') throw error;
    await clearing(dataDir, 'state', () => setAside(dataDir));
    return { state: await open(directory), removed: error.message };
  }
}

/** For when the state is whole again. */
export function removeSetAside(dataDir: string): Promise<void> {
  return remove(dataDir, SET_ASIDE);
}

/** One at a time: a disk holds the state twice at most. */
async function setAside(dataDir: string): Promise<void> {
  await remove(dataDir, SET_ASIDE);
  try {
    await rename(path.join(dataDir, 'state'), path.join(dataDir, SET_ASIDE));
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  await syncDirectory(dataDir);
}

async function remove(dataDir: string, name: string): Promise<void> {
  await rm(path.join(dataDir, name), { recursive: true, force: true });
  await syncDirectory(dataDir);
}

async function clearing(dataDir: string, name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const directory = path.join(dataDir, name);
    throw new StorageError('write', `${directory} is damaged and cannot be set aside: ${why}`, error);
  }
}

function disputed(dataDir: string, what: string): StorageError {
  const remedy =
    'choose the node that is right; on every other one remove state, snapshots and state.unusable, there state.unusable alone';
  return new StorageError('damaged', `${path.resolve(dataDir)}: ${what}: ${remedy}`, undefined, 'state');
}
