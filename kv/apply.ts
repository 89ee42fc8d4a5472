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
import { deadlineOf, headerOfKey, putEntry, removeEntry, revisionOfKey } from './entries.js';
import {
  HISTORY_BYTES_ROW,
  HISTORY_COUNT_ROW,
  HISTORY_LOST_ROW,
  keepChanges,
  trimHistory,
} from './history.js';
import { invariant } from './invariant.js';
import {
  CLOCK_ROW,
  DATA_BYTES_ROW,
  KEY_COUNT_ROW,
  decodeTime,
  encodeTime,
  keyOfRow,
  keyRow,
} from './rows.js';
import type { Row } from './rows.js';
import { SESSION_COUNT_ROW, resultRow, sessionRow } from './session-rows.js';
import { admit, endExpired, keepResult } from './sessions.js';
import { applyTxn, keysGot } from './txn.js';
import type { WorkingSet } from './working-set.js';

/** The rows of the keys that a `delete-prefix` is about, all of them. */
export type PrefixRows = readonly Row[] | 'too-many';

/** The commands of an entry of the log. */
export interface Proposed {
  /** At least one; those that share an entry are writes of different keys. */
  readonly commands: readonly Command[];
  /** The entry's; the revision of what they write. */
  readonly index: number;
  /** The leader's log time when they were proposed. */
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

const ALWAYS_READ: readonly Row[] = [
  KEY_COUNT_ROW,
  DATA_BYTES_ROW,
  CLOCK_ROW,
  HISTORY_COUNT_ROW,
  HISTORY_BYTES_ROW,
  HISTORY_LOST_ROW,
  CHAIN_ROW,
];

/**
 * Every row that applying the commands reads, but for results of sessions (`resultsRead`); without repeats. Of each `HEAD_BYTES` are enough, but
 * for the keys in `keysGot`.
 */
export function rowsRead(commands: readonly Command[]): Row[] {
  const rows = new Set<Row>(ALWAYS_READ);
  const clients = new Set<number>();
  for (const command of commands) {
    for (const key of keysOf(command)) rows.add(keyRow(key));
    if ('session' in command) clients.add(command.session.clientId);
    if (command.op === 'expire-sessions') for (const clientId of command.clientIds) clients.add(clientId);
    if (command.op === 'register' || command.op === 'expire-sessions') rows.add(SESSION_COUNT_ROW);
  }
  for (const clientId of clients) rows.add(sessionRow(clientId));
  return [...rows];
}

/**
 * The rows of results that applying the commands may find, once their `rowsRead` are in `set`; without repeats. Most updates are new: above the
 * highest number of its session there is no result, which is noted in `set` right away.
 */
export function resultsRead(set: WorkingSet, commands: readonly Command[]): Row[] {
  const rows = new Set<Row>();
  for (const command of commands) {
    if (!('session' in command)) continue;
    const { clientId, seq } = command.session;
    const row = resultRow(clientId, seq);
    const session = set.session(clientId);
    if (session !== undefined && seq <= session.highest) rows.add(row);
    else if (!set.has(row)) set.fetched(row, undefined);
  }
  return [...rows];
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

/** Applies consecutive entries; of each the results of its commands. */
export function applyAll(set: WorkingSet, proposed: readonly Proposed[]): (readonly CommandResult[])[] {
  const before = decodeTime(set.get(CLOCK_ROW));
  let logTimeMs = before;
  const chain = decodeChain(set.get(CHAIN_ROW));
  const { a, b } = chain;
  const results = proposed.map((one) => {
    // A new leader's clock begins at the last stamp that it knows of: log time never goes back.
    logTimeMs = Math.max(logTimeMs, one.stampMs);
    const ofEntry = one.commands.map((command) => apply(set, command, one, logTimeMs, chain));
    lengthen(chain, set.takeJournal());
    keepChanges(set, one.index, set.takeNotes());
    // The history repeats what is in the chain already.
    set.takeJournal();
    set.settle();
    lengthen(chain, set.takeJournal());
    return ofEntry;
  });
  if (chain.a !== a || chain.b !== b) set.put(CHAIN_ROW, encodeChain(chain));
  if (logTimeMs > before) set.put(CLOCK_ROW, encodeTime(logTimeMs));
  return results;
}

function apply(
  set: WorkingSet,
  command: Command,
  proposed: Proposed,
  logTimeMs: number,
  chain: ChainState,
): CommandResult {
  const { index } = proposed;
  switch (command.op) {
    case 'set':
    case 'delete':
    case 'txn':
    case 'delete-prefix':
      return applyOnce(set, command, proposed, logTimeMs);
    case 'register': {
      if (set.countOf(SESSION_COUNT_ROW) >= command.sessionsMax) return { status: 'sessions-full' };
      const session = { ttlMs: command.ttlMs, lastActiveMs: logTimeMs, lowestPending: 0, highest: -1 };
      set.openSession(index, session);
      set.count(SESSION_COUNT_ROW, 1);
      return { status: 'registered', clientId: index };
    }
    case 'expire-sessions': {
      const ended = command.clientIds.filter((clientId) => endExpired(set, clientId, logTimeMs));
      set.count(SESSION_COUNT_ROW, -ended.length);
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
