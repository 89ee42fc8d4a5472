/** LevelDB through `classic-level`, and the only file that imports it. It loads where RocksDB's binary doesn't. */

import { ClassicLevel } from 'classic-level';
import type { Engine, EngineDatabase, RowIterator, RowRange } from '../engine.js';
import { SYNC_OPERATIONS } from '../engine.js';

type Level = ClassicLevel<Buffer, Buffer>;
type Row = readonly [key: Buffer, value: Buffer];

/** Rows that one call of the engine gives, at most; they come to less where `readAheadBytes` is reached before. */
const ROWS_AT_ONCE = 1000;
/** LevelDB's own 2 MiB make 500 files a gigabyte, and it keeps at most 1,000 open. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;
/** No store has a row of such a key. */
const NO_ROW = Buffer.alloc(1);

export const classicLevelEngine: Engine = {
  name: 'classic-level',
  async open(options) {
    const level: Level = new ClassicLevel(options.directory, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      createIfMissing: true,
      compression: options.compression,
      cacheSize: options.cacheBytes,
      writeBufferSize: options.writeBufferBytes,
      maxFileSize: FILE_BYTES_MAX,
    });
    try {
      await level.open();
    } catch (error) {
      // `Database failed to open` is all that the outer one says.
      throw error instanceof Error && error.cause instanceof Error ? error.cause : error;
    }
    return adapt(level);
  },
};

function adapt(level: Level): EngineDatabase {
  return {
    batch: (operations, sync, done) => settle(level.batch([...operations], { sync }), done),
    sync: (done) => settle(sync(level), done),
    getMany: (keys, done) => settle(level.getMany([...keys]), done),
    iterator: (range) => iterate(level, range),
    properties: () => ({
      approximate_memory_usage: Number(level.getProperty('leveldb.approximate-memory-usage')),
      num_files_at_level0: Number(level.getProperty('leveldb.num-files-at-level0')),
    }),
    close: () => level.close(),
  };
}

/**
 * A synced write syncs the newest write-ahead log alone. One before it, whose rows are on their way into a table file, was never synced; a power cut would
 * leave what was written after it. A compaction, of a range without rows, first has all of them written into table files, which are synced.
 * It keeps errors to itself, which the write behind it then meets.
 */
async function sync(level: Level): Promise<void> {
  await level.compactRange(NO_ROW, NO_ROW);
  await level.batch([...SYNC_OPERATIONS], { sync: true });
}

/** What `done` throws is its own affair, not the promise's: it must come up as an uncaught exception. */
function settle<T>(promise: Promise<T>, done: (error?: Error, result?: T) => void): void {
  promise.then(
    (result) => process.nextTick(done, undefined, result),
    (error: unknown) => process.nextTick(done, error instanceof Error ? error : new Error(String(error))),
  );
}

function iterate(level: Level, { limit, reverse, readAheadBytes, ...bounds }: RowRange): RowIterator {
  // A bound that is there but undefined is refused.
  const given = Object.fromEntries(Object.entries(bounds).filter(([, bound]) => bound !== undefined));
  const iterator = level.iterator({ ...given, limit, reverse, highWaterMarkBytes: readAheadBytes });
  let rows: readonly Row[] = [];
  let at = 0;
  return {
    next(done) {
      const row = rows[at];
      at += 1;
      if (row !== undefined) {
        process.nextTick(done, undefined, ...row);
        return;
      }
      settle(iterator.nextv(ROWS_AT_ONCE), (error, more = []) => {
        rows = more;
        at = 1;
        if (error === undefined) done(undefined, ...(rows[0] ?? []));
        else done(error);
      });
    },
    // Closing frees what it holds whatever comes of it.
    end: (done) => settle(iterator.close(), () => done()),
  };
}
