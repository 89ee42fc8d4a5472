/** A new cluster that begins with a backup of another one: `restore.snap` in the data directory of every node, put there by `kv restore`. */

import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { isKept, rowsBehind } from '../kv/restored.js';
import type { Configuration } from '../membership/configuration.js';
import { StorageError } from '../persistence/errors.js';
import { errorCode, syncDirectory } from '../persistence/files.js';
import type { LogStore } from '../persistence/log-store.js';
import type { Applied, StateRestore, StateStore } from '../persistence/state-store.js';
import type { Codec } from '../snapshot/codec.js';
import type { Outcome } from '../snapshot/outcome.js';
import { SnapshotError, failure, success } from '../snapshot/outcome.js';
import type { ReadSnapshot, SnapshotSource } from '../snapshot/reading.js';
import { restoreSnapshot } from '../snapshot/restorer.js';
import { verifySnapshot } from '../snapshot/verify.js';
import type { Recovered } from './recovery.js';

export const RESTORE_FILE = 'restore.snap';

/**
 * How far a new cluster's revisions begin behind those of the backup. The old cluster went on behind it, nobody knows how far: at 30,000
 * writes a second it takes a year to come so far. Exact integers leave room for 9,000 restores, one after the other.
 */
export const REVISION_GAP = 1_000_000_000_000;

/** A backup that was read from end to end, and is sound. */
export interface Backup {
  /** The same on every node that begins with the same backup. */
  readonly digest: string;
  restore(first: Configuration, state: StateStore, log: Pick<LogStore, 'reset'>): Promise<Recovered>;
  close(): Promise<void>;
}

/** Undefined when there is none. @throws StorageError `unusable` for one that is damaged */
export async function openBackup(dataDir: string, codec: Codec): Promise<Backup | undefined> {
  const file = path.join(dataDir, RESTORE_FILE);
  const handle = await open(file, 'r').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw unusable(file, error);
  });
  if (handle === undefined) return undefined;
  try {
    const source = sourceOf(handle, (await handle.stat()).size);
    const verified = await outcomeOf(file, (done) => verifySnapshot(source, codec, undefined, done));
    return {
      digest: verified.digest,
      restore: (first, state, log) => restore({ file, source, codec, verified }, first, state, log),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** It was restored: from now on the cluster has gone on. */
export async function removeBackup(dataDir: string): Promise<void> {
  await rm(path.join(dataDir, RESTORE_FILE), { force: true });
  await syncDirectory(dataDir);
}

interface Verified {
  readonly file: string;
  readonly source: SnapshotSource;
  readonly codec: Codec;
  readonly verified: ReadSnapshot;
}

/** The state first: as long as the log is empty, all of it is done anew after a crash. */
async function restore(
  { file, source, codec, verified }: Verified,
  first: Configuration,
  state: StateStore,
  log: Pick<LogStore, 'reset'>,
): Promise<Recovered> {
  const { applied: old } = verified.header;
  const position = { index: old.index + REVISION_GAP, term: old.term + 1 };
  const applied: Applied = { ...position, configuration: first, configurationIndex: position.index };
  const { configurationIndex } = applied;
  const target = { beginRestore: beginRestore(state, applied) };
  const restored = await outcomeOf(file, (done) =>
    restoreSnapshot({ source, codec, state: target, identity: undefined }, done),
  );
  if (restored.digest !== verified.digest) throw unusable(file, new Error('it changed while it was read'));
  const hardState = { term: position.term, vote: undefined, commit: position.index };
  const base = { ...position, configuration: first, configurationIndex };
  await new Promise<void>((resolve) => log.reset(base, hardState, resolve));
  return {
    seed: {
      hardState,
      log: { base: position, termRuns: [], lastIndex: position.index, tail: [], applied: position.index },
      configurations: [{ index: configurationIndex, configuration: first }],
    },
    applied,
    log: { base: position.index, last: position.index, bytes: 0 },
  };
}

function beginRestore(state: StateStore, applied: Applied): StateStore['beginRestore'] {
  return (done) =>
    state.beginRestore((target) => {
      const filtered: StateRestore = {
        write: (rows, written) => target.write(rows.filter(isKept), written),
        finish: (_, finished) =>
          target.write(rowsBehind(applied.index), () => target.finish(applied, finished)),
        abandon: (ended) => target.abandon(ended),
      };
      done(filtered);
    });
}

function sourceOf(handle: FileHandle, bytes: number): SnapshotSource {
  return {
    bytes,
    read(offset, count, done) {
      handle.read(Buffer.allocUnsafe(count), 0, count, offset).then(
        ({ buffer, bytesRead }) => done(success(buffer.subarray(0, bytesRead))),
        (error: unknown) => done(failure(new SnapshotError('io', String(error), { cause: error }))),
      );
    },
  };
}

async function outcomeOf(
  file: string,
  work: (done: (outcome: Outcome<ReadSnapshot>) => void) => void,
): Promise<ReadSnapshot> {
  const outcome = await new Promise<Outcome<ReadSnapshot>>(work);
  if (outcome.ok) return outcome.value;
  throw unusable(file, outcome.error);
}

function unusable(file: string, error: unknown): StorageError {
  const why = error instanceof Error ? error.message : String(error);
  return new StorageError(
    'unusable',
    `${path.resolve(file)} cannot be restored: ${why}; take another backup, or remove it`,
    error,
  );
}
