/** What applying commands reads from the store, without holding more of it in memory than they need. */

import type { PrefixRows } from '../kv/apply.js';
import { resultsRead, rowsRead } from '../kv/apply.js';
import type { Command } from '../kv/command.js';
import { PREFIX_KEYS_MAX, PREFIX_KEY_BYTES_MAX, PREFIX_VALUE_BYTES_MAX } from '../kv/command.js';
import type { Row } from '../kv/rows.js';
import { HEAD_BYTES, decodeHeader, headerOf, isKeyRow, keyRow, prefixRows } from '../kv/rows.js';
import { keysGot, readBytesMax } from '../kv/txn.js';
import { WorkingSet } from '../kv/working-set.js';
import type { StateStore } from '../persistence/state-store.js';

/** Rows that one read takes: so many values may be in memory for a moment, until only their heads are kept. */
const READ_ROWS_MAX = 256;
/** A page of the rows under a prefix: small, since all of it is decoded in one turn of the event loop. */
const PAGE = { limit: 1000, bytesMax: 1024 * 1024 };

export interface Reads {
  readonly set: WorkingSet;
  /** Those under the prefix of the `delete-prefix` that the commands are. */
  readonly prefixRows?: PrefixRows;
}

export type Reading = Pick<StateStore, 'getHeads' | 'getMany' | 'scan'>;

export interface ReadsOptions {
  readonly store: Reading;
  /** True once no operation of the store may be begun any more: then `done` is never called. */
  readonly isStopped: () => boolean;
}

/** One that `standsAlone` is the only one of its commands. */
export function readFor(
  options: ReadsOptions,
  commands: readonly Command[],
  done: (reads: Reads) => void,
): void {
  const rows = rowsRead(commands);
  readRows(options, rows, whole(commands), (values) => {
    const set = new WorkingSet(rows, values);
    readResults(options, commands, set, () => {
      const [command] = commands;
      if (command?.op !== 'delete-prefix') {
        done({ set });
        return;
      }
      readPrefix(options, command.prefix, (found) => {
        if (found === 'too-many') {
          done({ set, prefixRows: found });
          return;
        }
        for (const [row, header] of found) set.fetched(row, header);
        done({ set, prefixRows: found.map(([row]) => row) });
      });
    });
  });
}

function readResults(
  { store, isStopped }: ReadsOptions,
  commands: readonly Command[],
  set: WorkingSet,
  done: () => void,
): void {
  const rows = resultsRead(set, commands);
  if (rows.length === 0) {
    done();
    return;
  }
  store.getMany(rows, (records) => {
    if (isStopped()) return;
    rows.forEach((row, at) => set.fetched(row, records[at]));
    done();
  });
}

/** Of which rows more than the head is needed, and up to how many bytes: what comes behind is not asked for (`applyTxn`). */
interface Whole {
  readonly rows: ReadonlySet<Row>;
  readonly bytesMax: number;
}

function whole([command]: readonly Command[]): Whole {
  if (command?.op !== 'txn') return { rows: new Set(), bytesMax: 0 };
  return { rows: new Set(keysGot(command).map(keyRow)), bytesMax: readBytesMax(command) };
}

function readRows(
  { store, isStopped }: ReadsOptions,
  rows: readonly Row[],
  wanted: Whole,
  done: (values: readonly (Buffer | undefined)[]) => void,
): void {
  const values: (Buffer | undefined)[] = [];
  let wholeBytes = 0;
  const keep = (row: Row, record: Buffer | undefined): Buffer | undefined => {
    if (record === undefined || !isKeyRow(row)) return record;
    if (wholeBytes > wanted.bytesMax || !wanted.rows.has(row)) return headerOf(record);
    wholeBytes += decodeHeader(record).valueBytes;
    return record;
  };
  const next = (): void => {
    const chunk = rows.slice(values.length, values.length + READ_ROWS_MAX);
    const take = (records: readonly (Buffer | undefined)[]): void => {
      if (isStopped()) return;
      chunk.forEach((row, at) => values.push(keep(row, records[at])));
      if (values.length < rows.length) next();
      else done(values);
    };
    if (wanted.rows.size === 0) store.getHeads(chunk, HEAD_BYTES, take);
    else store.getMany(chunk, take);
  };
  next();
}

type Found = readonly [row: Row, header: Buffer];

/** Nothing writes to the store meanwhile, so that the pages are of one view. */
function readPrefix(
  { store, isStopped }: ReadsOptions,
  prefix: string,
  done: (rows: readonly Found[] | 'too-many') => void,
): void {
  const found: Found[] = [];
  let keyBytes = 0;
  let valueBytes = 0;
  const { gte, lt } = prefixRows(prefix);
  const next = (from: { readonly gte: Row } | { readonly gt: Row }): void => {
    store.scan({ ...from, lt, ...PAGE }, ({ entries, more }) => {
      if (isStopped()) return;
      for (const [row, record] of entries) {
        keyBytes += row.length;
        valueBytes += decodeHeader(record).valueBytes;
        found.push([row, headerOf(record)]);
      }
      const last = entries.at(-1);
      if (
        found.length > PREFIX_KEYS_MAX ||
        keyBytes > PREFIX_KEY_BYTES_MAX ||
        valueBytes > PREFIX_VALUE_BYTES_MAX
      )
        done('too-many');
      else if (more && last !== undefined) next({ gt: last[0] });
      else done(found);
    });
  };
  next({ gte });
}
