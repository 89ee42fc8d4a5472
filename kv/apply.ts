/**
 * What commands do. A function of the state and the entry alone: no clock, no chance, no setting of a node, so that
 * every node comes to the same state and the same results.
 */

import type { Command, CommandResult, Write, WriteResult } from './command.js';
import {
  CLOCK_ROW,
  KEY_COUNT_ROW,
  decodeCount,
  decodeTime,
  decodeValue,
  encodeCount,
  encodeTime,
  encodeValue,
  keyRow,
} from './rows.js';
import {
  SESSION_COUNT_ROW,
  admit,
  encodeSession,
  endExpired,
  keepResult,
  sessionRow,
  sessionRowsRead,
} from './sessions.js';
import type { WorkingSet } from './working-set.js';

/** A command as the log has it. */
export interface Proposed {
  readonly command: Command;
  /** That of its entry; the revision of what it writes. */
  readonly index: number;
  /** The leader's log time when it was proposed. */
  readonly stampMs: number;
}

/** Every row that applying the commands reads; without repeats. */
export function rowsRead(commands: readonly Command[]): Buffer[] {
  const rows = new Map<string, Buffer>();
  const add = (row: Buffer): void => void rows.set(row.toString('latin1'), row);
  add(KEY_COUNT_ROW);
  add(CLOCK_ROW);
  for (const command of commands) {
    if ('key' in command) add(keyRow(command.key));
    for (const row of sessionRowsRead(command)) add(row);
  }
  return [...rows.values()];
}

/** Applies consecutive commands; one result each. */
export function applyAll(set: WorkingSet, proposed: readonly Proposed[]): CommandResult[] {
  const before = decodeTime(set.get(CLOCK_ROW));
  let logTimeMs = before;
  const results = proposed.map(({ command, index, stampMs }) => {
    // A new leader's clock begins at the last stamp that it knows of: log time never goes back.
    logTimeMs = Math.max(logTimeMs, stampMs);
    return apply(set, command, index, logTimeMs);
  });
  if (logTimeMs > before) set.put(CLOCK_ROW, encodeTime(logTimeMs));
  return results;
}

function apply(set: WorkingSet, command: Command, index: number, logTimeMs: number): CommandResult {
  switch (command.op) {
    case 'set':
    case 'delete':
      return applyOnce(set, command, index, logTimeMs);
    case 'register': {
      if (decodeCount(set.get(SESSION_COUNT_ROW)) >= command.sessionsMax) return { status: 'sessions-full' };
      const session = { ttlMs: command.ttlMs, lastActiveMs: logTimeMs, lowestPending: 0, highest: -1 };
      set.put(sessionRow(index), encodeSession(session));
      count(set, SESSION_COUNT_ROW, 1);
      return { status: 'registered', clientId: index };
    }
    case 'expire': {
      const ended = command.clientIds.filter((clientId) => endExpired(set, clientId, logTimeMs));
      count(set, SESSION_COUNT_ROW, -ended.length);
      return { status: 'expired', sessions: ended.length };
    }
  }
}

/** Exactly once, where the write is tagged with a session. */
function applyOnce(set: WorkingSet, write: Write, index: number, logTimeMs: number): CommandResult {
  const { session: tag } = write;
  if (tag === undefined) return applyWrite(set, write, index);
  const admission = admit(set, write, tag, logTimeMs);
  switch (admission.status) {
    case 'new': {
      const result = applyWrite(set, write, index);
      keepResult(set, write, { tag, session: admission.session, logTimeMs }, result);
      return result;
    }
    case 'repeated':
      return admission.result;
    case 'session-expired':
    case 'session-conflict':
      return admission;
  }
}

function applyWrite(set: WorkingSet, write: Write, index: number): WriteResult {
  const row = keyRow(write.key);
  const found = set.get(row);
  const currentRevision = found === undefined ? 0 : decodeValue(found).revision;
  if (refused(write, currentRevision)) return { status: 'revision-mismatch', currentRevision };
  if (write.op === 'set') {
    set.put(row, encodeValue(index, write.value));
    if (found === undefined) count(set, KEY_COUNT_ROW, 1);
    return { status: 'set', revision: index };
  }
  if (found === undefined) return { status: 'not-found', revision: index };
  set.delete(row);
  count(set, KEY_COUNT_ROW, -1);
  return { status: 'deleted', revision: index };
}

function refused(write: Write, currentRevision: number): boolean {
  if (write.ifRevision !== undefined && write.ifRevision !== currentRevision) return true;
  return write.op === 'set' && write.ifAbsent === true && currentRevision !== 0;
}

function count(set: WorkingSet, row: Buffer, change: number): void {
  set.put(row, encodeCount(decodeCount(set.get(row)) + change));
}
