/**
 * RocksDB, and the only file that imports it. Importing this loads a binary that aborts the process where it doesn't fit
 * (`docs/decisions/0020`), so nothing imports it but `load-engine.ts`, after a probe.
 */

import rocksdb from 'rocksdb';
import type { Engine, EngineDatabase, Operation, RowRange } from '../engine.js';
import { SYNC_OPERATIONS } from '../engine.js';

/** Numbers all of them; the names are RocksDB's own. */
const PROPERTIES = [
  'estimate-num-keys',
  'cur-size-all-mem-tables',
  'estimate-table-readers-mem',
  'block-cache-usage',
  'num-files-at-level0',
  'num-running-flushes',
  'num-running-compactions',
  'estimate-pending-compaction-bytes',
  'total-sst-files-size',
  'is-write-stopped',
];

/** Shorter batches, and with them the long entries of the log, go as an array: what a chained one holds is freed by the garbage collector, later. */
const CHAINED_FROM = 8;

export const rocksdbEngine: Engine = {
  name: 'rocksdb',
  open(options) {
    const database = rocksdb(options.directory);
    return new Promise((resolve, reject) => {
      database.open(
        {
          createIfMissing: true,
          compression: options.compression,
          cacheSize: options.cacheBytes,
          writeBufferSize: options.writeBufferBytes,
        },
        (error) => {
          if (error) reject(error);
          else resolve(adapt(database));
        },
      );
    });
  },
};

function adapt(database: rocksdb.RocksDB): EngineDatabase {
  return {
    batch: (operations, sync, done) => {
      if (operations.length < CHAINED_FROM) database.batch(operations, { sync }, done);
      else chained(database, operations).write({ sync }, done);
    },
    // It syncs every write-ahead log that there is, those before the newest included.
    sync: (done) => database.batch(SYNC_OPERATIONS, { sync: true }, done),
    getMany: (keys, done) => database.getMany(keys, done),
    iterator: (range) => database.iterator(toOptions(range)),
    properties: () =>
      Object.fromEntries(
        PROPERTIES.flatMap((name) => {
          const text = database.getProperty(`rocksdb.${name}`);
          return text === '' ? [] : [[name.replaceAll('-', '_'), Number(text)]];
        }),
      ),
    close: () =>
      new Promise((resolve, reject) => {
        database.close((error) => {
          if (error) reject(error);
          else resolve();
        });
      }),
  };
}

/** Half the work for each operation: of an array, the binding looks every property up by its name. */
function chained(database: rocksdb.RocksDB, operations: readonly Operation[]): rocksdb.ChainedBatch {
  const batch = database.batch();
  for (const operation of operations) {
    if (operation.type === 'put') batch.put(operation.key, operation.value);
    else batch.del(operation.key);
  }
  return batch;
}

/** A bound that is there but undefined would be taken for the string of that name. */
function toOptions({ gte, gt, lte, lt, reverse, limit, readAheadBytes }: RowRange): rocksdb.IteratorOptions {
  return {
    ...(gte && { gte }),
    ...(gt && { gt }),
    ...(lte && { lte }),
    ...(lt && { lt }),
    reverse,
    limit,
    highWaterMark: readAheadBytes,
  };
}
