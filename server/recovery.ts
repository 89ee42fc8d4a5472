/** Puts together what a node's disk gave back, and refuses what does not fit together. */

import path from 'node:path';
import type { Assessment } from '../persistence/assess.js';
import { StorageError } from '../persistence/errors.js';
import type { LogStore, RecoveredLog } from '../persistence/log-store.js';
import type { Configuration } from '../membership/configuration.js';
import type { Storage } from '../persistence/storage.js';
import type { Applied, StateStore } from '../persistence/state-store.js';
import { NOTHING_APPLIED } from '../persistence/state-store.js';
import type { HardState, Index, Position, Snapshot } from '../raft/entry.js';
import type { RaftSeed } from '../raft/state.js';
import type { LogExtent } from './snapshot-making.js';

/** True when nothing was ever stored: neither a promise nor data. */
export function isFresh(log: RecoveredLog, applied: Applied): boolean {
  return log.hardState === undefined && log.lastIndex === 0 && applied.index === 0;
}

/** True when the node belongs to a cluster and has received nothing of it yet: it was taken in, and ended before its first entry. */
export function isNew(log: RecoveredLog, applied: Applied, assessment: Assessment): boolean {
  const holdsNothing = log.lastIndex === 0 && applied.index === 0 && log.configurations.length === 0;
  return holdsNothing && assessment.kind === 'whole';
}

/**
 * True when a node that had received nothing has installed its first snapshot, and ended before its log followed: what is in it is acknowledged after
 * that, so that nothing is lost.
 */
function isFirstInstall(log: RecoveredLog, applied: Applied, assessment: Assessment | undefined): boolean {
  const isEmpty = log.lastIndex === 0 && log.configurations.length === 0;
  const isInstalled = applied.index > 0 && applied.configuration !== undefined;
  return log.hardState !== undefined && isEmpty && isInstalled && assessment?.kind === 'whole';
}

/**
 * Why it is not known any more what the node has promised, so that its disk is as good as a wiped one. An empty log under a directory that
 * belongs to a cluster is such a case: an engine opens without a word when its files are gone. Undefined where the promises are known, the end of
 * the log missing or not, and where the node never belonged to a cluster.
 */
export function forgottenPromise(
  dataDir: string,
  { identity, log: { recovered: log }, state, assessment }: Known,
): StorageError | undefined {
  if (identity.clusterId === null) return undefined;
  if (log.hardState !== undefined && isNew(log, state.recovered, assessment)) return undefined;
  if (isFirstInstall(log, state.recovered, assessment)) return undefined;
  if (assessment.kind === 'damaged' && assessment.mark === undefined)
    return contradiction(dataDir, assessment.what);
  if (log.lastIndex > 0 && log.hardState !== undefined) return undefined;
  const otherwise = `the log is empty, but the node belongs to the cluster ${identity.clusterId}`;
  return contradiction(dataDir, whatIsLost(assessment, otherwise));
}

/** What the core of a node starts from that was taken in, and has received nothing yet: the log, or a snapshot, will come. */
export function newcomerSeed(base: Position, configuration: Configuration, hardState: HardState): Recovered {
  return {
    seed: {
      hardState,
      log: { base, termRuns: [], lastIndex: 0, tail: [], applied: 0 },
      configurations: [{ index: 0, configuration }],
    },
    applied: NOTHING_APPLIED,
    log: { base: base.index, last: 0, bytes: 0 },
  };
}

type Known = Pick<Storage, 'identity' | 'log' | 'state' | 'assessment'>;

export interface Remains {
  readonly dataDir: string;
  readonly logStore: Pick<LogStore, 'reset'>;
  readonly log: RecoveredLog;
  readonly stateStore: Pick<StateStore, 'persist'>;
  readonly applied: Applied;
  /** What the watermark says of the log; undefined where there is none. */
  readonly assessment: Assessment | undefined;
  /** Restores the state from the newest sound snapshot that covers `atLeast`; undefined when there is none. */
  readonly restoreNewest: (atLeast: Index) => Promise<Applied | undefined>;
}

export interface Recovered {
  readonly seed: RaftSeed;
  /** What the state machine reflects. */
  readonly applied: Applied;
  readonly log: LogExtent;
}

/**
 * What the core starts from. A state that ends before the log begins is restored from a snapshot, or is left to be
 * asked of the leader; one that ends behind the log's end, or beside it, came with a snapshot, and the log is dropped.
 *
 * @throws StorageError `damaged` when log and state contradict each other
 */
export async function recoverSeed(remains: Remains): Promise<Recovered> {
  const { dataDir, log } = remains;
  if (log.hardState === undefined) throw contradiction(dataDir, 'the log has lost its term and vote');
  // The watermark may know term and vote, and the state may be whole; but what was acknowledged last, only the log knew.
  if (log.lastIndex === 0 && !isFirstInstall(log, remains.applied, remains.assessment))
    throw contradiction(
      dataDir,
      whatIsLost(remains.assessment, 'the log is empty, and nothing in it tells who the members are'),
    );
  const lostEnd = lostEndOf(remains);
  const applied = await appliedOf(remains);
  const kept = await logFor(remains, applied);
  if (kept.configurations.length === 0) {
    throw contradiction(dataDir, whatIsLost(remains.assessment, 'nothing tells who the members are'));
  }
  const { base, termRuns, lastIndex, tail, hardState = log.hardState } = kept;
  if (applied.index < base.index && isAlone(kept))
    throw contradiction(
      dataDir,
      'the state is lost, no sound snapshot covers it, and there is no other node',
    );
  const commit = Math.max(Math.min(hardState.commit, lastIndex), Math.min(applied.index, lastIndex));
  return {
    seed: {
      hardState: { ...hardState, commit },
      log: { base, termRuns, lastIndex, tail, applied: applied.index },
      configurations: kept.configurations,
      ...(lostEnd && { lostEnd }),
    },
    applied,
    log: { base: base.index, last: lastIndex, bytes: kept.bytes },
  };
}

function lostEndOf({ dataDir, assessment }: Remains): Position | undefined {
  if (assessment === undefined || assessment.kind === 'whole') return undefined;
  // Nobody knows what it has promised.
  if (assessment.mark === undefined) throw contradiction(dataDir, assessment.what);
  return assessment.mark.last;
}

/** The state, made anew where the log can't bring it on. */
async function appliedOf({ log, applied, restoreNewest }: Remains): Promise<Applied> {
  if (applied.index >= log.base.index) return applied;
  return (await restoreNewest(log.base.index)) ?? applied;
}

/** The log, emptied where the state comes from elsewhere. */
async function logFor(
  { logStore, log, stateStore, applied: found }: Remains,
  applied: Applied,
): Promise<RecoveredLog> {
  if (applied.index < log.base.index || termAt(log, applied.index) === applied.term) return log;
  const base = snapshotOf(applied);
  if (base === undefined) return { ...log, configurations: [] };
  // Nothing else tells of what it reflects from here on.
  if (found.index === applied.index) await new Promise((resolve) => stateStore.persist(resolve));
  const { index, term, configuration, configurationIndex } = base;
  // The snapshot may be on disk before the term in which it came. Without a vote, a later term promises nothing.
  const isBehind = log.hardState !== undefined && log.hardState.term < term;
  const raised = isBehind ? { term, vote: undefined, commit: index } : undefined;
  await new Promise<void>((resolve) => logStore.reset(base, raised, resolve));
  return {
    ...log,
    ...(raised && { hardState: raised }),
    base: { index, term },
    termRuns: [],
    lastIndex: index,
    tail: [],
    configurations: [{ index: configurationIndex, configuration }],
    bytes: 0,
  };
}

function whatIsLost(assessment: Assessment | undefined, otherwise: string): string {
  return assessment?.kind === 'damaged' ? assessment.what : otherwise;
}

function isAlone({ configurations }: RecoveredLog): boolean {
  return configurations.at(-1)?.configuration.members.length === 1;
}

function snapshotOf({ configuration, ...rest }: Applied): Snapshot | undefined {
  return configuration && { ...rest, configuration };
}

function termAt({ base, termRuns, lastIndex }: RecoveredLog, index: Index): number | undefined {
  if (index === base.index) return base.term;
  if (index < base.index || index > lastIndex) return undefined;
  return termRuns.findLast((run) => run.index <= index)?.term;
}

function contradiction(dataDir: string, what: string): StorageError {
  const remedy = 'restore the directory as a whole; the other nodes go on without this one';
  return new StorageError('damaged', `${path.resolve(dataDir)} is damaged: ${what}; ${remedy}`);
}
