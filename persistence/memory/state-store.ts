/** The state machine's data in memory, with the contract of the one on disk. Completions as in `log-store.ts`. */

import type { Bound } from '../range.js';
import { checkApplied, lowerBound, page, upperBound } from '../range.js';
import type {
  Applied,
  Range,
  RowKey,
  Scan,
  StateBatch,
  StateRestore,
  StateRow,
  StateStore,
  StateView,
} from '../state-store.js';
import { NOTHING_APPLIED, VIEWS_MAX } from '../state-store.js';
import type { Gate } from './gate.js';
import { inFlightGate } from './gate.js';

type Row = StateRow;

/** What survives a restart. Only the store that is open on it may change it. */
export interface MemoryStateDisk {
  /** Invariant: ordered by key, each key once. */
  rows: Row[];
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
  let restoring = false;
  let views = 0;

  return {
    recovered: disk.applied,
    getMany(keys, done) {
      const values = read(disk, keys, Infinity);
      gate.run(() => done(values));
    },
    getHeads(keys, bytes, done) {
      const heads = read(disk, keys, bytes);
      gate.run(() => done(heads));
    },
    write(batch, done) {
      if (writing) throw new Error('write was called before the last one was done');
      if (restoring) throw new Error('write was called during a restore');
      checkApplied(disk.applied, batch.applied);
      const copy: StateBatch = {
        applied: { ...batch.applied },
        puts: batch.puts.map(([key, value]) => copyOf([key, value])),
        deletes: [...batch.deletes],
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
    openView(done) {
      if (views >= VIEWS_MAX) throw new Error(`${VIEWS_MAX} views of the state are open already`);
      const view = viewOf(disk, gate, () => (views -= 1));
      gate.run(() => done(view));
      views += 1;
    },
    persist(done) {
      const { index, term } = disk.applied;
      gate.run(() => done({ index, term }));
    },
    beginRestore(done) {
      if (restoring || writing) {
        throw new Error(`beginRestore was called during a ${writing ? 'write' : 'restore'}`);
      }
      const restore = restoreOf(disk, gate, () => (restoring = false));
      gate.run(() => done(restore));
      restoring = true;
    },
    close: () => gate.close(),
  };
}

function read(disk: MemoryStateDisk, keys: readonly RowKey[], bytesMax: number): (Buffer | undefined)[] {
  return keys.map((key) => {
    const row = disk.rows[position(disk.rows, key)];
    return row?.[0] === key ? Buffer.from(row[1].subarray(0, bytesMax)) : undefined;
  });
}

function viewOf(disk: MemoryStateDisk, gate: Gate, closed: () => void): StateView {
  const rows = [...disk.rows];
  let at = 0;
  let open = true;
  const checkOpen = (): void => {
    if (!open) throw new Error('the view is closed');
  };
  return {
    applied: disk.applied,
    next(bytesMax, done) {
      checkOpen();
      const taken: Row[] = [];
      for (let bytes = 0; bytes < bytesMax || taken.length === 0; at += 1) {
        const row = rows[at];
        if (row === undefined) break;
        taken.push(copyOf(row));
        bytes += row[0].length + row[1].length;
      }
      gate.run(() => done(taken));
    },
    close(done) {
      checkOpen();
      open = false;
      gate.run(() => {
        closed();
        done();
      });
    },
  };
}

function restoreOf(disk: MemoryStateDisk, gate: Gate, over: () => void): StateRestore {
  const found: MemoryStateDisk = memoryStateDisk();
  return {
    write(rows, done) {
      const copy = rows.map(copyOf);
      gate.run(() => {
        for (const row of copy) put(found.rows, row);
        done();
      });
    },
    finish(applied, done) {
      gate.run(() => {
        disk.rows = found.rows;
        disk.applied = { ...applied };
        over();
        done();
      });
    },
    abandon(done) {
      gate.run(() => {
        over();
        done();
      });
    },
  };
}

function store(disk: MemoryStateDisk, batch: StateBatch): void {
  const { rows } = disk;
  for (const key of batch.deletes) {
    const at = position(rows, key);
    if (rows[at]?.[0] === key) rows.splice(at, 1);
  }
  for (const [key, value] of batch.puts) put(rows, [key, value]);
  disk.applied = batch.applied;
}

function put(rows: Row[], row: Row): void {
  const at = position(rows, row[0]);
  rows.splice(at, rows[at]?.[0] === row[0] ? 1 : 0, row);
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
  return behind && rows[at]?.[0] === bound.key ? at + 1 : at;
}

/** Where `key` stands, or would stand. */
function position(rows: readonly Row[], key: RowKey): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const row = rows[middle];
    if (row !== undefined && row[0] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function copyOf(row: Row): Row {
  return [row[0], Buffer.from(row[1])];
}
