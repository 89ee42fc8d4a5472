import {
  HISTORY_LOST_ROW,
  HISTORY_ROWS,
  decodeChanges,
  historyRow,
  revisionOfHistoryRow,
} from '../kv/history.js';
import { decodeCount } from '../kv/rows.js';
import type { Change } from '../kv/working-set.js';
import type { StateStore } from '../persistence/state-store.js';
import type { Index } from '../raft/entry.js';
import { shuttingDown } from './leadership.js';

/** What one read takes, or one revision. */
const PAGE = { limit: 256, bytesMax: 256 * 1024 };

/** What one entry changed, in order. */
export interface Revision {
  readonly revision: Index;
  readonly changes: readonly Change[];
}

export type HistoryPage =
  /** Everything that changed behind the index that was asked for, up to `through`. */
  | { readonly status: 'whole'; readonly revisions: readonly Revision[]; readonly through: Index }
  /** Some of it is not kept any more; `oldest` is the first revision from which on everything is. */
  | { readonly status: 'compacted'; readonly oldest: Index };

/** The next changes behind `after`. Rejects with `shutting-down` once the store may not be asked any more. */
export function readHistory(
  store: Pick<StateStore, 'scan' | 'getMany'>,
  after: Index,
  isStopped: () => boolean,
): Promise<HistoryPage> {
  if (isStopped()) return Promise.reject(shuttingDown());
  return new Promise((resolve, reject) => {
    store.scan({ gt: historyRow(after), lt: HISTORY_ROWS.lt, ...PAGE }, ({ entries, more, applied }) => {
      if (isStopped()) {
        reject(shuttingDown());
        return;
      }
      // Asked for behind the changes: what was lost before they were read is found to be lost here.
      store.getMany([HISTORY_LOST_ROW], ([record]) => {
        const lost = decodeCount(record);
        if (lost > after) {
          resolve({ status: 'compacted', oldest: lost + 1 });
          return;
        }
        const revisions = entries.map(([row, changes]) => ({
          revision: revisionOfHistoryRow(row),
          changes: decodeChanges(changes),
        }));
        const last = revisions.at(-1)?.revision ?? after;
        resolve({ status: 'whole', revisions, through: more ? last : Math.max(after, last, applied.index) });
      });
    });
  });
}
