/** Snapshots in a directory of the file system. */

import type { FileHandle } from 'node:fs/promises';
import { open, readdir, rename, rm, stat, truncate } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectory, syncDirectory } from '../../persistence/files.js';
import type { SnapshotDirectory } from '../directory.js';
import type { Done, Outcome } from '../outcome.js';
import { SnapshotError, failure, success } from '../outcome.js';

/** Files that are open from their first append on, so that a sync tells of every write that failed. */
interface Appending {
  of(name: string): Promise<FileHandle>;
  close(name: string): Promise<void>;
  closeAll(): Promise<void>;
}

function appendingFiles(fileOf: (name: string) => string): Appending {
  const handles = new Map<string, FileHandle>();
  const close = async (name: string): Promise<void> => {
    const handle = handles.get(name);
    handles.delete(name);
    await handle?.close();
  };
  return {
    async of(name) {
      const known = handles.get(name);
      if (known !== undefined) return known;
      const handle = await open(fileOf(name), 'a');
      handles.set(name, handle);
      return handle;
    },
    close,
    async closeAll() {
      await Promise.all([...handles.keys()].map(close));
    },
  };
}

/** Makes the directory when it is missing. @throws Error of the file system */
export async function openSnapshotDirectory(directory: string): Promise<SnapshotDirectory> {
  await makeDirectory(directory);
  const fileOf = (name: string): string => path.join(directory, name);
  const appending = appendingFiles(fileOf);
  const inFlight = new Set<Promise<void>>();

  function run<T>(what: string, work: () => Promise<T>, done: Done<T>): void {
    const running = outcomeOf(`${directory}: ${what}`, work).then((outcome) => {
      inFlight.delete(running);
      done(outcome);
    });
    inFlight.add(running);
  }
  const change = (what: string, work: () => Promise<void>, done: Done<undefined>): void =>
    run(what, () => work().then(() => undefined), done);

  return {
    list: (done) => run('it cannot be read', () => listFiles(directory), done),
    append(name, data, done) {
      const work = async (): Promise<void> => (await appending.of(name)).writeFile(data);
      change(`${name} cannot be written`, work, done);
    },
    sync(name, done) {
      const work = async (): Promise<void> => (await appending.of(name)).sync();
      change(`${name} cannot be synced`, work, done);
    },
    truncate(name, bytes, done) {
      const work = async (): Promise<void> => {
        await appending.close(name);
        await truncate(fileOf(name), bytes);
      };
      change(`${name} cannot be cut`, work, done);
    },
    rename(from, to, done) {
      const work = async (): Promise<void> => {
        await appending.close(from);
        await rename(fileOf(from), fileOf(to));
        await syncDirectory(directory);
      };
      change(`${from} cannot be renamed`, work, done);
    },
    remove(name, done) {
      const work = async (): Promise<void> => {
        await appending.close(name);
        await rm(fileOf(name), { force: true });
      };
      change(`${name} cannot be removed`, work, done);
    },
    read: (name, offset, bytes, done) =>
      run(`${name} cannot be read`, () => readPart(fileOf(name), offset, bytes), done),
    async close() {
      while (inFlight.size > 0) await Promise.all(inFlight);
      await appending.closeAll();
    },
  };
}

async function outcomeOf<T>(what: string, work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return success(await work());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return failure(new SnapshotError('io', `${what}: ${reason}`, { cause: error }));
  }
}

async function listFiles(directory: string): Promise<{ name: string; bytes: number }[]> {
  const names = (await readdir(directory, { withFileTypes: true })).filter((entry) => entry.isFile());
  return Promise.all(
    names.map(async ({ name }) => ({ name, bytes: (await stat(path.join(directory, name))).size })),
  );
}

async function readPart(file: string, offset: number, bytes: number): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.allocUnsafe(bytes);
    let filled = 0;
    while (filled < bytes) {
      const { bytesRead } = await handle.read(buffer, filled, bytes - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  } finally {
    await handle.close();
  }
}
