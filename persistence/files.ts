/** Directories and small files that survive a power cut: what is written is synced, and so is the name it stands under. */

import { mkdir, open, rename } from 'node:fs/promises';
import path from 'node:path';

/** A new, removed or renamed file is durable only once its directory is synced. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a directory, with those above it that are missing, durably. An existing one is left as it is. */
export async function makeDirectory(directory: string): Promise<void> {
  const absolute = path.resolve(directory);
  const first = await mkdir(absolute, { recursive: true });
  if (first === undefined) return;
  let parent = path.dirname(absolute);
  while (parent.length >= path.dirname(first).length) {
    await syncDirectory(parent);
    if (parent === path.dirname(parent)) return;
    parent = path.dirname(parent);
  }
}

/** Writes a file and syncs it. Its name is not durable yet. */
export async function writeSynced(file: string, content: string | Uint8Array): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.writeFile(content, 'utf8');
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a file as a whole, durably: after a crash there is the old one or the new one. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const aside = `${file}.tmp`;
  await writeSynced(aside, text);
  await rename(aside, file);
  await syncDirectory(path.dirname(file));
}

/** The code that Node gives errors of the file system: `ENOENT` and its like. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
