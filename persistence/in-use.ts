/**
 * Whether a running process holds a database whose files look damaged. The engine's lock is taken only after the files were looked at, and
 * what another process is writing meanwhile may look like damage; its files must not be set aside under it.
 */

import { link, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Engine } from './engine.js';
import { StorageError } from './errors.js';
import { errorCode, makeDirectory } from './files.js';

const LOCK = 'LOCK';

/**
 * Opens an empty database beside it under the very lock file of the other one: locks belong to the file, not to its name. So nothing of
 * what is damaged is opened, which an engine might take for an occasion to delete files.
 *
 * @throws StorageError `unusable` when the file system lets nobody find out
 */
export async function isInUse(engine: Engine, directory: string): Promise<boolean> {
  const probe = `${directory}.probe`;
  try {
    await rm(probe, { recursive: true, force: true });
    await makeDirectory(probe);
    await link(path.join(directory, LOCK), path.join(probe, LOCK));
  } catch (error) {
    await rm(probe, { recursive: true, force: true });
    // Whoever holds it has made the file.
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false;
    const remedy = 'make sure that no process uses it, and start this one with --rejoin';
    throw new StorageError(
      'unusable',
      `${directory} is damaged, and whether it is in use can't be told: ${remedy}`,
      error,
    );
  }
  try {
    const settings = { compression: false, cacheBytes: 1024 * 1024, writeBufferBytes: 1024 * 1024 };
    await (await engine.open({ directory: probe, ...settings })).close();
    return false;
  } catch (error) {
    if (error instanceof Error && /\block\b/i.test(error.message)) return true;
    throw error;
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}
