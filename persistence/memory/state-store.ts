/** The state machine's data in memory, with the contract of the one on disk. Completions as in `log-store.ts`. */

import type { Bound } from '../range.js';
import { checkApplied, lowerBound, page, upperBound } from '../range.js';
import type { Applied, Range, Scan, StateBatch, StateStore } from '../state-store.js';
import { NOTHING_APPLIED } from '../state-store.js';
import { inFlightGate } from './gate.js';

type Row = readonly [key: Buffer, value: Buffer];

/** What survives a restart. Only the store that is open on it may change it. */
export interface MemoryStateDisk {
  /** Invariant: ordered by key, each key once. */
  readonly rows: Row[];
  applied: Applied;
}

/** A disk that nothing was ever applied to. */
export function memoryStateDisk(): MemoryStateDisk {
  return { rows: [], applied: NOTHING_APPLIED };
}

export interface MemoryStateStoreOptions {
  /** Handed to another store after a restart, it is what that one recovers from. */
  readonly disk: MemoryStateDisk;
  /** Runs a task later, never within the call, and the tasks of one store in the order they came. */
  readonly defer: (task: () => void) => void;
}

/** Opens a state on `disk`. Never fails. */
export function openMemoryStateStore(options: MemoryStateStoreOptions): StateStore {
  const { disk } = options;
  const gate = inFlightGate('state', options.defer);
  let writing = false;

  return {
    recovered: disk.applied,
    getMany(keys, done) {
      const values = keys.map((key) => {
        const row = disk.rows[position(disk.rows, key)];
        return row?.[0].equals(key) === true ? Buffer.from(row[1]) : undefined;
      });
      gate.run(() => done(values));
    },
    write(batch, done) {
      if (writing) throw new Error('write was called before the last one was done');
      checkApplied(disk.applied, batch.applied);
      const copy: StateBatch = {
        applied: { ...batch.applied },
        puts: batch.puts.map(copyOf),
        deletes: batch.deletes.map((key) => Buffer.from(key)),
      };
      gate.run(() => {
        store(disk, copy);
        writing = false;
        done();
      });
      writing = true;
    },
    scan(range, done) {
      const found = scan(disk, range);
      gate.run(() => done(found));
    },
    close: () => gate.close(),
  };
}

function store(disk: MemoryStateDisk, batch: StateBatch): void {
  const { rows } = disk;
  for (const key of batch.deletes) {
    const at = position(rows, key);
    if (rows[at]?.[0].equals(key) === true) rows.splice(at, 1);
  }
  for (const row of batch.puts) {
    const at = position(rows, row[0]);
    rows.splice(at, rows[at]?.[0].equals(row[0]) === true ? 1 : 0, row);
  }
  disk.applied = batch.applied;
}

function scan(disk: MemoryStateDisk, range: Range): Scan {
  const lower = lowerBound(range);
  const upper = upperBound(range);
  const start = lower === undefined ? 0 : edge(disk.rows, lower, !lower.inclusive);
  const end = upper === undefined ? disk.rows.length : edge(disk.rows, upper, upper.inclusive);
  const rows = disk.rows.slice(start, Math.max(start, end));
  if (range.reverse === true) rows.reverse();
  const found = page(range);
  for (const row of rows) {
    if (!found.take(...copyOf(row))) break;
  }
  const { index, term } = disk.applied;
  return { entries: found.entries, more: found.more, applied: { index, term } };
}

/** The position of the bound's key, or behind it. */
function edge(rows: readonly Row[], bound: Bound, behind: boolean): number {
  const at = position(rows, bound.key);
  return behind && rows[at]?.[0].equals(bound.key) === true ? at + 1 : at;
}

/** Where `key` stands, or would stand. */
function position(rows: readonly Row[], key: Buffer): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const row = rows[middle];
    if (row !== undefined && Buffer.compare(row[0], key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function copyOf(row: Row): Row {
  return [Buffer.from(row[0]), Buffer.from(row[1])];
}
