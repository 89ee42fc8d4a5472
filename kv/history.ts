/**
 * What has changed, revision by revision, kept for a while in the state itself: so it is the same on every node, is written with what it
 * tells of, and goes along with snapshots. A row (`h` + revision) has all changes of one entry, in order.
 *
 * How long it is kept is decided by the leader, which proposes `trim-history`: how much that is, is a setting of a node.
 */

import type { TrimHistoryCommand } from './command.js';
import { integerIn, integerText } from './integers.js';
import type { Row, Rows } from './rows.js';
import { decodeCount, encodeCount, rowsUnder } from './rows.js';
import type { Change, WorkingSet } from './working-set.js';

const HISTORY_PREFIX = 'h';
/** The record's own length (4), number of changes (4); of each: kind (1), length of the key (2), key, length of the value (4), value. */
const HEADER_BYTES = 8;
/** Of one change, beside its key and value. */
const CHANGE_BYTES = 7;
const KINDS = ['put', 'delete', 'expired'] as const;

/** How many revisions the history holds, and how many bytes. */
export const HISTORY_COUNT_ROW: Row = 'mhistory';
export const HISTORY_BYTES_ROW: Row = 'mhistorybytes';

/** Holds the newest revision that the history has lost, with all before it; 0: none. */
export const HISTORY_LOST_ROW: Row = 'mhistorylost';

export const HISTORY_ROWS: Rows = rowsUnder(HISTORY_PREFIX);

export function historyRow(revision: number): Row {
  return HISTORY_PREFIX + integerText(revision);
}

export function revisionOfHistoryRow(row: Row): number {
  return integerIn(row, 1);
}

/** Writes down what one entry has changed. */
export function keepChanges(set: WorkingSet, revision: number, changes: readonly Change[]): void {
  if (changes.length === 0) return;
  const record = encodeChanges(changes);
  set.put(historyRow(revision), record);
  set.count(HISTORY_COUNT_ROW, 1);
  set.count(HISTORY_BYTES_ROW, record.length);
}

/**
 * Forgets the revisions, which are the oldest ones; how many of them there were. They were found by a leader in some state, from the first that the
 * history then had: where one before it has forgotten that one meanwhile, this was decided by what is no more, and nothing happens.
 */
export function trimHistory(set: WorkingSet, { revisions, bytes }: TrimHistoryCommand): number {
  const [first] = revisions;
  const last = revisions.at(-1);
  if (first === undefined || last === undefined || first <= decodeCount(set.get(HISTORY_LOST_ROW))) return 0;
  for (const revision of revisions) set.delete(historyRow(revision));
  set.count(HISTORY_COUNT_ROW, -revisions.length);
  set.count(HISTORY_BYTES_ROW, -bytes);
  set.put(HISTORY_LOST_ROW, encodeCount(last));
  return revisions.length;
}

/** Bytes of the whole record. */
export function historyBytesOf(record: Buffer): number {
  return record.readUInt32BE(0);
}

function encodeChanges(changes: readonly Change[]): Buffer {
  let bytes = HEADER_BYTES;
  for (const { key, value = EMPTY } of changes) bytes += CHANGE_BYTES + Buffer.byteLength(key) + value.length;
  const record = Buffer.allocUnsafe(bytes);
  let at = record.writeUInt32BE(changes.length, record.writeUInt32BE(bytes, 0));
  for (const { kind, key, value = EMPTY } of changes) {
    const keyBytes = record.write(key, at + 3, 'utf8');
    record.writeUInt16BE(keyBytes, record.writeUInt8(KINDS.indexOf(kind), at));
    at = record.writeUInt32BE(value.length, at + 3 + keyBytes);
    record.set(value, at);
    at += value.length;
  }
  return record;
}

const EMPTY = Buffer.alloc(0);

/** The changes of a record, in order. Values share memory with it. */
export function decodeChanges(record: Buffer): Change[] {
  const changes: Change[] = [];
  let at = HEADER_BYTES;
  while (at < record.length) {
    const kind = KINDS[record.readUInt8(at)];
    if (kind === undefined) throw new Error('a change in the history is of no known kind');
    const keyEnd = at + 3 + record.readUInt16BE(at + 1);
    const key = record.toString('utf8', at + 3, keyEnd);
    const end = keyEnd + 4 + record.readUInt32BE(keyEnd);
    changes.push({ kind, key, ...(kind === 'put' && { value: record.subarray(keyEnd + 4, end) }) });
    at = end;
  }
  return changes;
}
