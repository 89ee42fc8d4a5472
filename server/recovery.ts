/** Puts together what a node's disk gave back, and refuses what does not fit together. */

import path from 'node:path';
import type { Configuration } from '../membership/configuration.js';
import { decodeConfiguration } from '../membership/configuration.js';
import type { Assessment } from '../persistence/assess.js';
import { StorageError } from '../persistence/errors.js';
import type { Identity } from '../persistence/identity.js';
import type { LogStore, RecoveredLog } from '../persistence/log-store.js';
import type { Applied } from '../persistence/state-store.js';
import type { Entry } from '../raft/entry.js';
import type { RaftSeed } from '../raft/state.js';

/** True when nothing was ever stored: neither a promise nor data. */
export function isFresh(log: RecoveredLog, applied: Applied): boolean {
  return log.hardState === undefined && log.lastIndex === 0 && applied.index === 0;
}

/**
 * An empty log under a directory that belongs to a cluster has lost its term, its vote and its entries: RocksDB opens
 * without a word when its write-ahead log is gone or damaged at its start.
 *
 * @throws StorageError `damaged`
 */
export function checkForgetful(dataDir: string, identity: Identity): void {
  if (identity.clusterId === null) return;
  throw contradiction(dataDir, `the log is empty, but the node belongs to the cluster ${identity.clusterId}`);
}

/**
 * A node that has forgotten what it promised must not vote or lead as if it had not.
 *
 * @throws StorageError `damaged`
 */
export function checkWhole(dataDir: string, assessment: Assessment): void {
  if (assessment.kind === 'damaged') throw contradiction(dataDir, assessment.what);
}

/** @throws StorageError `damaged` when log and state contradict each other. */
export async function recoverSeed(
  dataDir: string,
  store: LogStore,
  log: RecoveredLog,
  applied: Applied,
): Promise<RaftSeed> {
  const { hardState, base, lastIndex } = log;
  if (hardState === undefined) throw contradiction(dataDir, 'the log has lost its term and vote');
  // What is applied was durable in the log before (DESIGN: applied <= durable); a shorter log has lost entries.
  if (applied.index < base.index || applied.index > lastIndex) {
    throw contradiction(
      dataDir,
      `the state has applied entry ${applied.index}, the log holds ${base.index + 1} to ${lastIndex}`,
    );
  }
  return {
    hardState: { ...hardState, commit: Math.max(hardState.commit, applied.index) },
    log: { base, termRuns: log.termRuns, lastIndex, tail: log.tail, applied: applied.index },
    configuration: applied.configuration ?? (await firstOf(dataDir, store, lastIndex)),
  };
}

function contradiction(dataDir: string, what: string): StorageError {
  const remedy = 'restore the directory as a whole; the other nodes go on without this one';
  return new StorageError('damaged', `${path.resolve(dataDir)} is damaged: ${what}; ${remedy}`);
}

/** Nothing is applied yet: the configuration is the log's first entry. */
async function firstOf(dataDir: string, store: LogStore, lastIndex: number): Promise<Configuration> {
  if (lastIndex === 0) throw contradiction(dataDir, 'there is a term but no configuration');
  const entries = await new Promise<readonly Entry[]>((resolve) => store.read(1, 1, 1, resolve));
  const [entry] = entries;
  if (entry?.type !== 'configuration')
    throw contradiction(dataDir, 'the log does not begin with a configuration');
  return decodeConfiguration(entry.data);
}
