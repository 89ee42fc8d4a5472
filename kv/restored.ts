/** What of a state a new cluster goes on from, when it begins with a backup of another one. */

import { HISTORY_BYTES_ROW, HISTORY_COUNT_ROW, HISTORY_LOST_ROW, HISTORY_ROWS } from './history.js';
import type { Row } from './rows.js';
import { encodeCount } from './rows.js';
import { SESSION_COUNT_ROW, SESSION_ROWS, isResultRow } from './session-rows.js';

type Kept = readonly [row: Row, record: Buffer];

const DROPPED = [SESSION_COUNT_ROW, HISTORY_COUNT_ROW, HISTORY_BYTES_ROW, HISTORY_LOST_ROW];

/**
 * A backup is older than what its cluster acknowledged last. Sessions are dropped: their clients may have had answers that the backup knows
 * nothing of, so each of them has to learn that it speaks to another cluster (`session-expired`). So is the history: it would
 * tell a watcher that nothing happened since.
 */
export function isKept([row]: Kept): boolean {
  return (
    !row.startsWith(SESSION_ROWS.gte) &&
    !row.startsWith(HISTORY_ROWS.gte) &&
    !isResultRow(row) &&
    !DROPPED.includes(row)
  );
}

/** What comes in their place: everything up to `revision` is lost to watchers. */
export function rowsBehind(revision: number): readonly Kept[] {
  return [[HISTORY_LOST_ROW, encodeCount(revision)]];
}
