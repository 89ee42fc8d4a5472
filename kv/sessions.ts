/**
 * Sessions (thesis §6.3): the results of a client's pending writes, kept in the state, so that a write that arrives
 * again, through whichever leader, gets its first result and changes nothing.
 *
 * A session is one row for itself, and one a pending number for its result.
 */

import type { SessionTag, Update, UpdateResult } from './command.js';
import { SESSION_WINDOW } from './command.js';
import { fingerprint } from './fingerprint.js';
import { INTEGER_BYTES } from './integers.js';
import { decodeResult, encodeResult } from './results.js';
import type { Session } from './session-rows.js';
import { resultRow } from './session-rows.js';
import type { WorkingSet } from './working-set.js';

export function hasExpired(session: Session, logTimeMs: number): boolean {
  return logTimeMs - session.lastActiveMs > session.ttlMs;
}

export type Admission =
  /** To be applied, and its result to be kept. */
  | { readonly status: 'new'; readonly session: Session }
  | { readonly status: 'repeated'; readonly result: UpdateResult }
  | { readonly status: 'session-expired' }
  | { readonly status: 'session-conflict' };

/** What a tagged update is: a new one, one that was applied before, or none that may be applied. */
export function admit(set: WorkingSet, update: Update, tag: SessionTag, logTimeMs: number): Admission {
  const session = set.session(tag.clientId);
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
  set.putSession(clientId, { ttlMs: session.ttlMs, lastActiveMs, lowestPending, highest });
}

/** Ends a session; returns whether there was one that had expired. */
export function endExpired(set: WorkingSet, clientId: number, logTimeMs: number): boolean {
  const session = set.session(clientId);
  if (session === undefined || !hasExpired(session, logTimeMs)) return false;
  for (let seq = session.lowestPending; seq <= session.highest; seq += 1)
    set.delete(resultRow(clientId, seq));
  set.putSession(clientId, undefined);
  return true;
}

/** Fingerprint (8), result. */
function encodeKept(print: number, result: UpdateResult): Buffer {
  const kept = encodeResult(result, INTEGER_BYTES);
  kept.writeDoubleBE(print, 0);
  return kept;
}
