/**
 * The port to the one directory in which a node keeps its snapshots: what a file system does, and nothing of what a snapshot is. Operations on one
 * file are asked for one after the other. Failures are answers.
 */

import type { Done } from './outcome.js';

export interface FileEntry {
  readonly name: string;
  readonly bytes: number;
}

export interface SnapshotDirectory {
  list(done: Done<readonly FileEntry[]>): void;
  /** At the end of a file, which is made when it is missing. The Buffer is left alone until `done`. */
  append(name: string, data: Buffer, done: Done<undefined>): void;
  /** What was appended is on disk; the name need not be. */
  sync(name: string, done: Done<undefined>): void;
  truncate(name: string, bytes: number, done: Done<undefined>): void;
  /** Durably. Replaces a file of that name. */
  rename(from: string, to: string, done: Done<undefined>): void;
  /** A missing one is no failure. */
  remove(name: string, done: Done<undefined>): void;
  /** What there is from `offset` on, at most so many bytes. */
  read(name: string, offset: number, bytes: number, done: Done<Buffer>): void;
  /** Ends after what is in flight; nothing may be called afterwards. */
  close(): Promise<void>;
}
