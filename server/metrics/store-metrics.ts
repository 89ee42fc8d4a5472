/** How long the disk takes: the ports to the stores, with a stopwatch. */

import type { Registry } from 'prom-client';
import { Counter, Histogram } from 'prom-client';
import type { LogStore } from '../../persistence/log-store.js';
import type { StateStore } from '../../persistence/state-store.js';
import { entryBytes } from '../../raft/entry.js';

const BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** The same stores, observed. */
export interface ObservedStores {
  readonly log: (store: LogStore) => LogStore;
  readonly state: (store: StateStore) => StateStore;
}

/** `nowMs`: monotonic. */
export function storeMetrics(registry: Registry, nowMs: () => number): ObservedStores {
  const registers = [registry];
  const syncs = new Histogram({
    name: 'kv_log_sync_duration_seconds',
    help: 'One batch of entries, term and vote written to the log, fsync included',
    buckets: BUCKETS,
    registers,
  });
  const entries = new Counter({
    name: 'kv_log_entries_written_total',
    help: 'Entries written to the log',
    registers,
  });
  const bytes = new Counter({
    name: 'kv_log_written_bytes_total',
    help: 'Bytes of entries written to the log',
    registers,
  });
  const applies = new Histogram({
    name: 'kv_apply_duration_seconds',
    help: 'One batch of applied entries written to the state',
    buckets: BUCKETS,
    registers,
  });
  return {
    log: (store) => ({
      append(batch, done) {
        const startMs = nowMs();
        store.append(batch, () => {
          syncs.observe((nowMs() - startMs) / 1000);
          entries.inc(batch.entries.length);
          bytes.inc(batch.entries.reduce((sum, entry) => sum + entryBytes(entry), 0));
          done();
        });
      },
      read: (from, to, bytesMax, done) => store.read(from, to, bytesMax, done),
      compact: (base, done) => store.compact(base, done),
      reset: (base, hardState, done) => store.reset(base, hardState, done),
      close: () => store.close(),
    }),
    state: (store) => ({
      recovered: store.recovered,
      getMany: (keys, done) => store.getMany(keys, done),
      getHeads: (keys, bytes, done) => store.getHeads(keys, bytes, done),
      write(batch, done) {
        const startMs = nowMs();
        store.write(batch, () => {
          applies.observe((nowMs() - startMs) / 1000);
          done();
        });
      },
      scan: (range, done) => store.scan(range, done),
      openView: (done) => store.openView(done),
      persist: (done) => store.persist(done),
      beginRestore: (done) => store.beginRestore(done),
      close: () => store.close(),
    }),
  };
}
