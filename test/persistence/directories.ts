/** Directories for tests, gone afterwards whatever happens. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface TemporaryDirectory {
  readonly path: string;
  readonly remove: () => Promise<void>;
}

export async function temporaryDirectory(): Promise<TemporaryDirectory> {
  const directory = await mkdtemp(path.join(tmpdir(), 'quorumkv-'));
  return {
    path: directory,
    remove: () => rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 }),
  };
}

export async function inTemporaryDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await temporaryDirectory();
  try {
    await body(directory.path);
  } finally {
    await directory.remove();
  }
}

/** For stores that are not expected to fail: it brings the test down. */
export function unexpected(error: Error): never {
  throw error;
}
