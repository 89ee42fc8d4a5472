/**
 * A directory of snapshots in memory, for the simulator: every completion goes through the injected `defer`, and what was not
 * synced is lost in a crash. A task that never runs is an operation that never happened.
 */

import type { FileEntry, SnapshotDirectory } from '../directory.js';
import type { Done } from '../outcome.js';
import { SnapshotError, attempt } from '../outcome.js';

interface MemoryFile {
  data: Buffer;
  /** What a crash leaves for certain. */
  syncedBytes: number;
}

/** What survives a restart. Only the directory that is open on it may change it. */
export interface MemorySnapshotDisk {
  readonly files: Map<string, MemoryFile>;
  /** While it is set, writing fails with it: a full disk, say. */
  writeFault: string | undefined;
}

export function memorySnapshotDisk(): MemorySnapshotDisk {
  return { files: new Map(), writeFault: undefined };
}

/**
 * The power is gone.
 *
 * @param keep how many of the last unsynced bytes of a file are there afterwards: 0 to `unsyncedBytes`
 */
export function crashSnapshotDisk(disk: MemorySnapshotDisk, keep: (unsyncedBytes: number) => number): void {
  for (const file of disk.files.values()) {
    const bytes = file.syncedBytes + keep(file.data.length - file.syncedBytes);
    file.data = file.data.subarray(0, bytes);
    file.syncedBytes = bytes;
  }
}

export interface MemorySnapshotDirectoryOptions {
  readonly disk: MemorySnapshotDisk;
  /** Runs a task later, never within the call, and tasks in the order they came. */
  readonly defer: (task: () => void) => void;
}

export function openMemorySnapshotDirectory(options: MemorySnapshotDirectoryOptions): SnapshotDirectory {
  const { disk, defer } = options;
  let inFlight = 0;
  let idle: (() => void) | undefined;

  function run<T>(work: () => T, done: Done<T>): void {
    inFlight += 1;
    defer(() => {
      inFlight -= 1;
      try {
        done(attempt(work));
      } finally {
        if (inFlight === 0) idle?.();
      }
    });
  }
  const write = (change: () => void, done: Done<undefined>): void =>
    run(() => {
      if (disk.writeFault !== undefined) throw new SnapshotError('io', disk.writeFault);
      change();
      return undefined;
    }, done);
  const fileOf = (name: string): MemoryFile => {
    const file = disk.files.get(name);
    if (file === undefined) throw new SnapshotError('io', `there is no ${name}`);
    return file;
  };

  return {
    list: (done) =>
      run(
        (): readonly FileEntry[] => [...disk.files].map(([name, { data }]) => ({ name, bytes: data.length })),
        done,
      ),
    append: (name, data, done) =>
      write(() => {
        const file = disk.files.get(name) ?? { data: Buffer.alloc(0), syncedBytes: 0 };
        file.data = Buffer.concat([file.data, data]);
        disk.files.set(name, file);
      }, done),
    sync: (name, done) =>
      write(() => {
        const file = fileOf(name);
        file.syncedBytes = file.data.length;
      }, done),
    truncate: (name, bytes, done) =>
      write(() => {
        const file = fileOf(name);
        file.data = file.data.subarray(0, bytes);
        file.syncedBytes = Math.min(file.syncedBytes, bytes);
      }, done),
    rename: (from, to, done) =>
      write(() => {
        disk.files.set(to, fileOf(from));
        disk.files.delete(from);
      }, done),
    remove: (name, done) => run(() => void disk.files.delete(name), done),
    read: (name, offset, bytes, done) =>
      run(() => Buffer.from(fileOf(name).data.subarray(offset, offset + bytes)), done),
    close: () =>
      new Promise((resolve) => {
        if (inFlight === 0) resolve();
        else idle = resolve;
      }),
  };
}
