/**
 * What commands do. A function of the state and the entry alone: no clock, no chance, no setting of a node, so that
 * every node comes to the same state and the same results.
 */

import type { ChainState } from './chain.js';
import { CHAIN_ROW, chainText, decodeChain, encodeChain, lengthen } from './chain.js';
import type {
  Command,
  CommandResult,
  DeletePrefixResult,
  ExpireKeysCommand,
  Update,
  UpdateResult,
  Write,
  WriteResult,
} from './command.js';
import { count, deadlineOf, headerOfKey, putEntry, removeEntry, revisionOfKey } from './entries.js';
import {
  HISTORY_BYTES_ROW,
  HISTORY_COUNT_ROW,
  HISTORY_LOST_ROW,
  historyRow,
  keepChanges,
  trimHistory,
} from './history.js';
import { invariant } from './invariant.js';
import {
  CLOCK_ROW,
  DATA_BYTES_ROW,
  KEY_COUNT_ROW,
  decodeCount,
  decodeTime,
  encodeTime,
  keyOfRow,
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
import { applyTxn, keysGot } from './txn.js';
import type { WorkingSet } from './working-set.js';

/** The rows of the keys that a `delete-prefix` is about, all of them. */
export type PrefixRows = readonly Buffer[] | 'too-many';

/** A command as the log has it. */
export interface Proposed {
  readonly command: Command;
  /** That of its entry; the revision of what it writes. */
  readonly index: number;
  /** The leader's log time when it was proposed. */
  readonly stampMs: number;
  /** What the state holds under the prefix of a `delete-prefix`; the records of these rows are in the working set as well. */
  readonly prefixRows?: PrefixRows;
}

/**
 * Whether a command must be applied apart from those before it, because what it reads depends on them or may be a lot: then its rows are
 * read when they are written.
 */
export function standsAlone(command: Command): boolean {
  return command.op === 'delete-prefix' || (command.op === 'txn' && keysGot(command).length > 0);
}

const ALWAYS_READ = [
  KEY_COUNT_ROW,
  DATA_BYTES_ROW,
  CLOCK_ROW,
  HISTORY_COUNT_ROW,
  HISTORY_BYTES_ROW,
  HISTORY_LOST_ROW,
  CHAIN_ROW,
];

/** Every row that applying the commands reads; without repeats. Of rows of keys the header is enough, but for those in `keysGot`. */
export function rowsRead(commands: readonly Command[]): Buffer[] {
  const rows = new Map<string, Buffer>();
  const add = (row: Buffer): void => void rows.set(row.toString('latin1'), row);
  for (const row of ALWAYS_READ) add(row);
  for (const command of commands) {
    for (const key of keysOf(command)) add(keyRow(key));
    if (command.op === 'trim-history') command.revisions.forEach((revision) => add(historyRow(revision)));
    for (const row of sessionRowsRead(command)) add(row);
  }
  return [...rows.values()];
}

/** The keys that a command names. */
export function keysOf(command: Command): readonly string[] {
  switch (command.op) {
    case 'set':
    case 'delete':
      return [command.key];
    case 'txn':
      return [...command.checks, ...command.ops].map(({ key }) => key);
    case 'expire-keys':
      return command.keys.map(({ key }) => key);
    case 'delete-prefix':
    case 'register':
    case 'expire-sessions':
    case 'trim-history':
    case 'mark':
    case 'attest':
      return [];
  }
}

/** Applies consecutive commands; one result each. */
export function applyAll(set: WorkingSet, proposed: readonly Proposed[]): CommandResult[] {
  const before = decodeTime(set.get(CLOCK_ROW));
  let logTimeMs = before;
  const chain = decodeChain(set.get(CHAIN_ROW));
  const chainBefore = chainText(chain);
  const results = proposed.map((one) => {
    // A new leader's clock begins at the last stamp that it knows of: log time never goes back.
    logTimeMs = Math.max(logTimeMs, one.stampMs);
    const result = apply(set, one, logTimeMs, chain);
    lengthen(chain, set.takeJournal());
    keepChanges(set, one.index, set.takeNotes());
    // The history repeats what is in the chain already.
    set.takeJournal();
    return result;
  });
  if (chainText(chain) !== chainBefore) set.put(CHAIN_ROW, encodeChain(chain));
  if (logTimeMs > before) set.put(CLOCK_ROW, encodeTime(logTimeMs));
  return results;
}

function apply(set: WorkingSet, proposed: Proposed, logTimeMs: number, chain: ChainState): CommandResult {
  const { command, index } = proposed;
  switch (command.op) {
    case 'set':
    case 'delete':
    case 'txn':
    case 'delete-prefix':
      return applyOnce(set, command, proposed, logTimeMs);
    case 'register': {
      if (decodeCount(set.get(SESSION_COUNT_ROW)) >= command.sessionsMax) return { status: 'sessions-full' };
      const session = { ttlMs: command.ttlMs, lastActiveMs: logTimeMs, lowestPending: 0, highest: -1 };
      set.put(sessionRow(index), encodeSession(session));
      count(set, SESSION_COUNT_ROW, 1);
      return { status: 'registered', clientId: index };
    }
    case 'expire-sessions': {
      const ended = command.clientIds.filter((clientId) => endExpired(set, clientId, logTimeMs));
      count(set, SESSION_COUNT_ROW, -ended.length);
      return { status: 'expired', count: ended.length };
    }
    case 'expire-keys':
      return expireKeys(set, command, logTimeMs);
    case 'trim-history':
      return { status: 'expired', count: trimHistory(set, command) };
    case 'mark':
      return { status: 'marked', chain: chainText(chain) };
    case 'attest':
      return { status: 'attested', node: command.node, index: command.index, chain: command.chain };
  }
}

/** Exactly once, where the update is tagged with a session. */
function applyOnce(set: WorkingSet, update: Update, proposed: Proposed, logTimeMs: number): CommandResult {
  const { session: tag } = update;
  if (tag === undefined) return applyUpdate(set, update, proposed, logTimeMs);
  const admission = admit(set, update, tag, logTimeMs);
  switch (admission.status) {
    case 'new': {
      const result = applyUpdate(set, update, proposed, logTimeMs);
      keepResult(set, update, { tag, session: admission.session, logTimeMs }, result);
      return result;
    }
    case 'repeated':
      return admission.result;
    case 'session-expired':
    case 'session-conflict':
      return admission;
  }
}

function applyUpdate(set: WorkingSet, update: Update, proposed: Proposed, logTimeMs: number): UpdateResult {
  switch (update.op) {
    case 'set':
    case 'delete':
      return applyWrite(set, update, proposed.index, logTimeMs);
    case 'txn':
      return applyTxn(set, update, proposed.index, logTimeMs);
    case 'delete-prefix':
      return deletePrefix(set, proposed);
  }
}

function applyWrite(set: WorkingSet, write: Write, index: number, logTimeMs: number): WriteResult {
  const { key } = write;
  const currentRevision = revisionOfKey(set, key);
  if (refused(write, currentRevision)) return { status: 'revision-mismatch', currentRevision };
  if (write.op === 'delete')
    return { status: removeEntry(set, key) ? 'deleted' : 'not-found', revision: index };
  const { value, ttlMs } = write;
  putEntry(set, { key, value, revision: index, deadlineMs: deadlineOf(ttlMs, logTimeMs) });
  return { status: 'set', revision: index };
}

function refused(write: Write, currentRevision: number): boolean {
  if (write.ifRevision !== undefined && write.ifRevision !== currentRevision) return true;
  if (write.ifPresent === true && currentRevision === 0) return true;
  return write.op === 'set' && write.ifAbsent === true && currentRevision !== 0;
}

function deletePrefix(set: WorkingSet, { index, prefixRows }: Proposed): DeletePrefixResult {
  invariant(prefixRows !== undefined, 'the keys under a prefix were not looked for');
  if (prefixRows === 'too-many') return { status: 'too-large' };
  for (const row of prefixRows) removeEntry(set, keyOfRow(row));
  return { status: 'prefix-deleted', revision: index, deleted: prefixRows.length };
}

/** Never early: it is the entry's own time that counts; and never another write than the one that was found to be due. */
function expireKeys(set: WorkingSet, { keys }: ExpireKeysCommand, logTimeMs: number): CommandResult {
  const due = keys.filter(({ key, revision }) => {
    const header = headerOfKey(set, key);
    if (header?.revision !== revision || header.deadlineMs === 0) return false;
    return logTimeMs >= header.deadlineMs && removeEntry(set, key, 'expired');
  });
  return { status: 'expired', count: due.length };
}
