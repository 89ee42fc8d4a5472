/** Whether a node has nothing yet. */

import type { Identity } from '../persistence/identity.js';
import type { Storage } from '../persistence/storage.js';
import { NOTHING_APPLIED } from '../persistence/state-store.js';
import { isFresh } from './recovery.js';
import type { Backup } from './restore-backup.js';

/** A restore that a crash has interrupted counts as nothing: the log, which is written last, is still empty. */
export function isFirstStart(
  { log, state }: Pick<Storage, 'log' | 'state'>,
  identity: Identity,
  backup: Backup | undefined,
): boolean {
  const { recovered } = log;
  if (isFresh(recovered, state.recovered)) return true;
  return backup !== undefined && identity.clusterId === null && isFresh(recovered, NOTHING_APPLIED);
}
