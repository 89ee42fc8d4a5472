/**
 * What is used of `rocksdb` 5.2.1, which ships no types. It is an abstract-leveldown 7.2: an argument that is not a Buffer is
 * turned into a string without a word, so nothing but a Buffer is let in here.
 */
declare module 'rocksdb' {
  function rocksdb(location: string): rocksdb.RocksDB;

  namespace rocksdb {
    type Done = (error?: Error | null) => void;

    interface OpenOptions {
      createIfMissing: boolean;
      /** Snappy. */
      compression: boolean;
      /** Block cache, in bytes. */
      cacheSize: number;
      /** Memtable, in bytes. */
      writeBufferSize: number;
    }

    type Operation =
      | { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }
      | { readonly type: 'del'; readonly key: Buffer };

    /** Of `gt` and `gte` only one may be given, and of `lt` and `lte`: with both, the stricter one may end the iteration. */
    interface IteratorOptions {
      gte?: Buffer;
      gt?: Buffer;
      lte?: Buffer;
      lt?: Buffer;
      reverse?: boolean;
      /** At most so many rows; an int32, -1 for all. */
      limit?: number;
      /** Bytes to read ahead before a call returns, at least one row. */
      highWaterMark?: number;
    }

    /** Buffers, each a copy of its own; neither key nor value at the end. */
    interface RowIterator {
      next(callback: (error?: Error | null, key?: Buffer, value?: Buffer) => void): void;
      end(callback: Done): void;
    }

    /** Each call copies its Buffers. */
    interface ChainedBatch {
      put(key: Buffer, value: Buffer): this;
      del(key: Buffer): this;
      /** Atomic; once. */
      write(options: { sync: boolean }, callback: Done): void;
    }

    interface RocksDB {
      open(options: OpenOptions, callback: Done): void;
      close(callback: Done): void;
      /** Atomic. The Buffers are copied before it returns. */
      batch(operations: readonly Operation[], options: { sync: boolean }, callback: Done): void;
      batch(): ChainedBatch;
      /** From one snapshot, taken at the call. */
      getMany(
        keys: readonly Buffer[],
        callback: (error?: Error | null, values?: (Buffer | undefined)[]) => void,
      ): void;
      /** Sees the database as of this call. */
      iterator(options: IteratorOptions): RowIterator;
      /** Empty for a name that it does not know. */
      getProperty(name: string): string;
    }
  }

  export = rocksdb;
}
