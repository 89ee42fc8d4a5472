/**
 * The log in memory, with the contract of the one on disk. Nothing happens by itself: every completion goes through
 * the injected `defer`, so that a simulator says when a disk is done, and what a crash takes away. An append is
 * on the "disk" only once its task has run; a task that never runs is a write that was lost.
 */

import type { Entry, HardState, Position, Snapshot } from '../../raft/entry.js';
import { decodeConfiguration } from '../../membership/configuration.js';
import { ORIGIN, entryBytes } from '../../raft/entry.js';
import { inFlightGate } from './gate.js';
import { logLedger } from '../log-ledger.js';
import type { LogShape } from '../log-shape.js';
import { checkRead, shapeAfter, withCommittedBase } from '../log-shape.js';
import type { LogBatch, LogStore, RecoveredLog } from '../log-store.js';
import { boundedTail } from '../tail.js';

/** What survives a restart. Only the store that is open on it may change it. */
export interface MemoryLogDisk {
  /** Invariant: the entry with index i stands at i - 1 - base.index. */
  readonly entries: Entry[];
  base: Position & Partial<Snapshot>;
  hardState: HardState | undefined;
}

/** A disk that nothing was ever stored on. */
export function memoryLogDisk(): MemoryLogDisk {
  return { entries: [], base: ORIGIN, hardState: undefined };
}

export interface MemoryLogStoreOptions {
  /** Handed to another store after a restart, it is what that one recovers from. */
  readonly disk: MemoryLogDisk;
  /** As in `DiskLogStoreOptions`. */
  readonly tailBytesMax: number;
  /** Runs a task later, never within the call, and the tasks of one store in the order they came. */
  readonly defer: (task: () => void) => void;
}

/** Opens a log on `disk`. Never fails; for `recovered`, see the port. */
export function openMemoryLogStore(options: MemoryLogStoreOptions): {
  store: LogStore;
  recovered: RecoveredLog;
} {
  const { disk, tailBytesMax } = options;
  const tail = boundedTail(tailBytesMax);
  for (const entry of disk.entries) tail.push(copyOf(entry));
  const { configuration, configurationIndex = 0 } = disk.base;
  const base = { index: disk.base.index, term: disk.base.term };
  const configurations = configuration === undefined ? [] : [{ index: configurationIndex, configuration }];
  for (const { type, index, data } of disk.entries)
    if (type === 'configuration') configurations.push({ index, configuration: decodeConfiguration(data) });
  const bytes = disk.entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
  const empty: LogShape = { base, lastIndex: base.index, termRuns: [], hardState: undefined };
  const found = { entries: disk.entries, ...(disk.hardState && { hardState: disk.hardState }) };
  const shape = withCommittedBase(shapeAfter(empty, found));
  return {
    store: logStore(options, shape),
    recovered: { ...shape, configurations, bytes, tail: tail.entries() },
  };
}

function logStore(options: MemoryLogStoreOptions, recovered: LogShape): LogStore {
  const { disk } = options;
  const gate = inFlightGate('log', options.defer);
  const ledger = logLedger(recovered);

  return {
    append(batch, done) {
      const landed = ledger.append(batch);
      const copy: LogBatch = { ...batch, entries: batch.entries.map(copyOf) };
      gate.run(() => {
        store(disk, copy);
        landed();
        done();
      });
    },
    read(from, to, bytesMax, done) {
      checkRead(ledger.shape, from, to);
      const entries: Entry[] = [];
      let bytes = 0;
      for (const entry of disk.entries.slice(from - 1 - disk.base.index, to - disk.base.index)) {
        bytes += entry.data.length;
        if (bytes > bytesMax && entries.length > 0) break;
        entries.push(copyOf(entry));
      }
      gate.run(() => done(entries));
    },
    compact(base, done) {
      const landed = ledger.compact(base);
      gate.run(() => {
        disk.entries.splice(0, base.index - disk.base.index);
        disk.base = { ...base };
        landed();
        done();
      });
    },
    reset(base, given, done) {
      const { hardState, landed } = ledger.reset(base, given);
      gate.run(() => {
        disk.entries.length = 0;
        disk.base = { ...base };
        disk.hardState = hardState;
        landed();
        done();
      });
    },
    close: () => gate.close(),
  };
}

function store(disk: MemoryLogDisk, batch: LogBatch): void {
  const first = batch.entries[0];
  if (first !== undefined) disk.entries.length = first.index - 1 - disk.base.index;
  for (const entry of batch.entries) disk.entries.push(entry);
  if (batch.hardState !== undefined) disk.hardState = batch.hardState;
}

/** What a caller does to its buffers must not reach the "disk", nor the other way round. */
function copyOf(entry: Entry): Entry {
  return { ...entry, data: Buffer.from(entry.data) };
}
