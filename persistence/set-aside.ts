/**
 * Puts the content of a data directory aside whose promises can't be trusted, so that the node starts with an empty one and rejoins. Nothing is
 * deleted. A note tells, until the cluster has taken the node in, that it must not begin a cluster of its own.
 */

import { mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { errorCode, replaceFile, syncDirectory } from './files.js';

const NOTE = 'rejoin.json';
const FOLDER = 'set-aside';

const noteSchema = z.strictObject({
  /** Where everything goes. */
  folder: z.string(),
  /** RPC addresses of members, as the old data knew them. */
  places: z.array(z.string()),
});

/** Returns the folder in which everything is from now on. */
export async function setAside(dataDir: string, places: readonly string[]): Promise<string> {
  const before = await readdir(dataDir);
  let number = 1;
  while (before.includes(`${FOLDER}-${number}`)) number += 1;
  const folder = `${FOLDER}-${number}`;
  await replaceFile(path.join(dataDir, NOTE), JSON.stringify({ folder, places }));
  await mkdir(path.join(dataDir, folder));
  await moveAll(dataDir, folder);
  return path.join(dataDir, folder);
}

async function moveAll(dataDir: string, folder: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (name === NOTE || name === 'lost+found' || name.startsWith(`${FOLDER}-`)) continue;
    await rename(path.join(dataDir, name), path.join(dataDir, folder, name));
  }
  await syncDirectory(path.join(dataDir, folder));
  await syncDirectory(dataDir);
}

/**
 * Where to ask when the node has to rejoin; undefined when it has not. A move that was cut off, which leaves data without its identity, is
 * finished first.
 */
export async function pendingRejoin(dataDir: string): Promise<readonly string[] | undefined> {
  let text: string;
  try {
    text = await readFile(path.join(dataDir, NOTE), 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
  const { folder, places } = noteSchema.parse(JSON.parse(text));
  const [there, moved] = await Promise.all([readdir(dataDir), namesIn(path.join(dataDir, folder))]);
  // Everything new has an identity of its own.
  const isCutOff = !(there.includes('identity.json') && moved.includes('identity.json'));
  if (isCutOff && there.length > 0) {
    await mkdir(path.join(dataDir, folder), { recursive: true });
    await moveAll(dataDir, folder);
  }
  return places;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** The cluster has taken the node in. */
export async function endRejoin(dataDir: string): Promise<void> {
  await rm(path.join(dataDir, NOTE), { force: true });
  await syncDirectory(dataDir);
}
