/**
 * Sessions (thesis §6.3): the results of a client's pending writes, kept in the state, so that a write that arrives
 * again, through whichever leader, gets its first result and changes nothing.
 *
 * A session is one row for itself, and one a pending number for its result.
 */

import type { Command, SessionTag, Update, UpdateResult } from './command.js';
import { SESSION_WINDOW } from './command.js';
import { fingerprint } from './fingerprint.js';
import { decodeResult, encodeResult } from './results.js';
import type { WorkingSet } from './working-set.js';

const SESSION_PREFIX = 0x73;
const RESULT_PREFIX = 0x72;
const INTEGER_BYTES = 8;

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
  /** The highest number that has a result. Invariant: below `lowestPending + SESSION_WINDOW`. */
  readonly highest: number;
}

export function sessionRow(clientId: number): Buffer {
  const row = Buffer.allocUnsafe(1 + INTEGER_BYTES);
  row[0] = SESSION_PREFIX;
  row.writeBigUInt64BE(BigInt(clientId), 1);
  return row;
}

export function clientIdOfRow(row: Buffer): number {
  return Number(row.readBigUInt64BE(1));
}

export function isResultRow(row: Buffer): boolean {
  return row[0] === RESULT_PREFIX;
}

export function resultRow(clientId: number, seq: number): Buffer {
  const row = Buffer.allocUnsafe(1 + 2 * INTEGER_BYTES);
  row[0] = RESULT_PREFIX;
  row.writeBigUInt64BE(BigInt(clientId), 1);
  row.writeBigUInt64BE(BigInt(seq), 1 + INTEGER_BYTES);
  return row;
}

export function encodeSession({ ttlMs, lastActiveMs, lowestPending, highest }: Session): Buffer {
  const record = Buffer.allocUnsafe(4 * INTEGER_BYTES);
  [ttlMs, lastActiveMs, lowestPending, highest].forEach((value, at) =>
    record.writeDoubleBE(value, at * INTEGER_BYTES),
  );
  return record;
}

export function decodeSession(record: Buffer): Session {
  const at = (field: number): number => record.readDoubleBE(field * INTEGER_BYTES);
  return { ttlMs: at(0), lastActiveMs: at(1), lowestPending: at(2), highest: at(3) };
}

export function hasExpired(session: Session, logTimeMs: number): boolean {
  return logTimeMs - session.lastActiveMs > session.ttlMs;
}

/** The rows that a command reads because of sessions. */
export function sessionRowsRead(command: Command): Buffer[] {
  switch (command.op) {
    case 'set':
    case 'delete':
    case 'txn':
    case 'delete-prefix': {
      if (command.session === undefined) return [];
      const { clientId, seq } = command.session;
      return [sessionRow(clientId), resultRow(clientId, seq)];
    }
    case 'register':
      return [SESSION_COUNT_ROW];
    case 'expire-sessions':
      return [SESSION_COUNT_ROW, ...command.clientIds.map(sessionRow)];
    case 'expire-keys':
    case 'trim-history':
    case 'mark':
    case 'attest':
      return [];
  }
}

export type Admission =
  /** To be applied, and its result to be kept. */
  | { readonly status: 'new'; readonly session: Session }
  | { readonly status: 'repeated'; readonly result: UpdateResult }
  | { readonly status: 'session-expired' }
  | { readonly status: 'session-conflict' };

/** What a tagged update is: a new one, one that was applied before, or none that may be applied. */
export function admit(set: WorkingSet, update: Update, tag: SessionTag, logTimeMs: number): Admission {
  const record = set.get(sessionRow(tag.clientId));
  const session = record === undefined ? undefined : decodeSession(record);
  if (session === undefined || hasExpired(session, logTimeMs)) return { status: 'session-expired' };
  if (tag.seq < session.lowestPending || tag.seq < tag.lowestPending) return { status: 'session-expired' };
  if (tag.seq >= Math.max(session.lowestPending, tag.lowestPending) + SESSION_WINDOW)
    return { status: 'session-conflict' };
  const kept = set.get(resultRow(tag.clientId, tag.seq));
  if (kept === undefined) return { status: 'new', session };
  if (kept.readDoubleBE(0) !== fingerprint(update)) return { status: 'session-conflict' };
  return { status: 'repeated', result: decodeResult(kept.subarray(INTEGER_BYTES)) };
}

/** Keeps the result, and forgets those that the client has. */
export function keepResult(
  set: WorkingSet,
  update: Update,
  {
    tag,
    session,
    logTimeMs,
  }: { readonly tag: SessionTag; readonly session: Session; readonly logTimeMs: number },
  result: UpdateResult,
): void {
  const { clientId, seq } = tag;
  const lowestPending = Math.max(session.lowestPending, tag.lowestPending);
  const forgotten = Math.min(lowestPending - 1, session.highest);
  for (let old = session.lowestPending; old <= forgotten; old += 1) set.delete(resultRow(clientId, old));
  set.put(resultRow(clientId, seq), encodeKept(fingerprint(update), result));
  const highest = Math.max(session.highest, seq);
  const lastActiveMs = Math.max(session.lastActiveMs, logTimeMs);
  set.put(sessionRow(clientId), encodeSession({ ...session, lastActiveMs, lowestPending, highest }));
}

/** Ends a session; returns whether there was one that had expired. */
export function endExpired(set: WorkingSet, clientId: number, logTimeMs: number): boolean {
  const record = set.get(sessionRow(clientId));
  if (record === undefined) return false;
  const session = decodeSession(record);
  if (!hasExpired(session, logTimeMs)) return false;
  for (let seq = session.lowestPending; seq <= session.highest; seq += 1)
    set.delete(resultRow(clientId, seq));
  set.delete(sessionRow(clientId));
  return true;
}

/** Fingerprint (8), result. */
function encodeKept(print: number, result: UpdateResult): Buffer {
  const head = Buffer.allocUnsafe(INTEGER_BYTES);
  head.writeDoubleBE(print, 0);
  return Buffer.concat([head, encodeResult(result)]);
}
