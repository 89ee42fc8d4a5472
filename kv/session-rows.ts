/** How sessions and their results lie among the rows of the state (`sessions.ts`): under `s` and `r`. */

import { INTEGER_BYTES, readInteger, writeInteger } from './integers.js';

const SESSION_PREFIX = 0x73;
const RESULT_PREFIX = 0x72;

/** Holds the number of sessions. */
export const SESSION_COUNT_ROW = Buffer.from('msessions');

/** All rows of sessions are in [`SESSION_ROWS.gte`, `SESSION_ROWS.lt`). */
export const SESSION_ROWS = Object.freeze({
  gte: Buffer.from([SESSION_PREFIX]),
  lt: Buffer.from([SESSION_PREFIX + 1]),
});

export interface Session {
  readonly ttlMs: number;
  /** Log time of its last write, or of its registration. */
  readonly lastActiveMs: number;
  /** No result below is kept. Invariant: never goes back. */
  readonly lowestPending: number;
  /** The highest number that has a result; -1: none has. Invariant: below `lowestPending + SESSION_WINDOW`. */
  readonly highest: number;
}

export function sessionRow(clientId: number): Buffer {
  const row = Buffer.allocUnsafe(1 + INTEGER_BYTES);
  row[0] = SESSION_PREFIX;
  writeInteger(row, clientId, 1);
  return row;
}

export function clientIdOfRow(row: Buffer): number {
  return readInteger(row, 1);
}

export function isResultRow(row: Buffer): boolean {
  return row[0] === RESULT_PREFIX;
}

export function resultRow(clientId: number, seq: number): Buffer {
  const row = Buffer.allocUnsafe(1 + 2 * INTEGER_BYTES);
  row[0] = RESULT_PREFIX;
  writeInteger(row, seq, writeInteger(row, clientId, 1));
  return row;
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
