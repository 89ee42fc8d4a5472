/** How sessions and their results lie among the rows of the state (`sessions.ts`): under `s` and `r`. */

import { INTEGER_BYTES, integerIn, integerText } from './integers.js';
import type { Row, Rows } from './rows.js';
import { rowsUnder } from './rows.js';

const SESSION_PREFIX = 's';
const RESULT_PREFIX = 'r';

/** Holds the number of sessions. */
export const SESSION_COUNT_ROW: Row = 'msessions';

/** The rows of all sessions. */
export const SESSION_ROWS: Rows = rowsUnder(SESSION_PREFIX);

export interface Session {
  readonly ttlMs: number;
  /** Log time of its last write, or of its registration. */
  readonly lastActiveMs: number;
  /** No result below is kept. Invariant: never goes back. */
  readonly lowestPending: number;
  /** The highest number that has a result; -1: none has. Invariant: below `lowestPending + SESSION_WINDOW`. */
  readonly highest: number;
}

export function sessionRow(clientId: number): Row {
  return SESSION_PREFIX + integerText(clientId);
}

export function clientIdOfRow(row: Row): number {
  return integerIn(row, 1);
}

export function isResultRow(row: Row): boolean {
  return row.startsWith(RESULT_PREFIX);
}

export function resultRow(clientId: number, seq: number): Row {
  return RESULT_PREFIX + integerText(clientId) + integerText(seq);
}

export function encodeSession({ ttlMs, lastActiveMs, lowestPending, highest }: Session): Buffer {
  const record = Buffer.allocUnsafe(4 * INTEGER_BYTES);
  record.writeDoubleBE(ttlMs, 0);
  record.writeDoubleBE(lastActiveMs, INTEGER_BYTES);
  record.writeDoubleBE(lowestPending, 2 * INTEGER_BYTES);
  record.writeDoubleBE(highest, 3 * INTEGER_BYTES);
  return record;
}

export function decodeSession(record: Buffer): Session {
  return {
    ttlMs: record.readDoubleBE(0),
    lastActiveMs: record.readDoubleBE(INTEGER_BYTES),
    lowestPending: record.readDoubleBE(2 * INTEGER_BYTES),
    highest: record.readDoubleBE(3 * INTEGER_BYTES),
  };
}
