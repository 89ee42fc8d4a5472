/**
 * The port to the storage engine: an ordered map of bytes in a directory of its own. An implementation passes on what the engine does and says,
 * adds nothing, and is the only file that imports it. What the stores rely on is made of it by `database.ts`.
 */

export const ENGINE_NAMES = ['rocksdb', 'classic-level'] as const;
/** Recorded in the data directory: the files of one are nothing to the other. */
export type EngineName = (typeof ENGINE_NAMES)[number];

/** Nothing but a Buffer: `rocksdb` turns any other argument into a string without a word. */
export type Operation =
  | { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: 'del'; readonly key: Buffer };

/** Of the two bounds at either end only one may be given: with both, the stricter one may end the iteration. */
export interface RowRange {
  readonly gte?: Buffer | undefined;
  readonly gt?: Buffer | undefined;
  readonly lte?: Buffer | undefined;
  readonly lt?: Buffer | undefined;
  readonly reverse: boolean;
  /** At most so many rows; an int32, -1 for all. */
  readonly limit: number;
  /** Bytes to read ahead before a call answers, at least one row. */
  readonly readAheadBytes: number;
}

export type EngineDone = (error?: Error | null) => void;

/** One iteration, over the rows as of when it was begun. */
export interface RowIterator {
  /** Buffers, each a copy of its own; neither key nor value at the end. Not to be called again before the answer. */
  next(done: (error?: Error | null, key?: Buffer, value?: Buffer) => void): void;
  /** Must be called once, after the last answer: until then every old version of every row is kept. */
  end(done: () => void): void;
}

/** An open database. No callback comes within the call. */
export interface EngineDatabase {
  /** Atomic; with `sync` on disk when it is done, fsync included, which says nothing of those before it; an empty one may do nothing at all. The Buffers are copied before it returns. */
  batch(operations: readonly Operation[], sync: boolean, done: EngineDone): void;
  /** Everything is on disk whose `batch` was done before the call. Atomic with nothing. */
  sync(done: EngineDone): void;
  /** From one view, that of the call; undefined where there is nothing. */
  getMany(
    keys: readonly Buffer[],
    done: (error?: Error | null, values?: ReadonlyArray<Buffer | undefined>) => void,
  ): void;
  iterator(range: RowRange): RowIterator;
  /** What the engine says of itself now, by short names, from memory alone: cheap. */
  properties(): Readonly<Record<string, number>>;
  /** After everything else has answered. */
  close(): Promise<void>;
}

export interface EngineOptions {
  /** It exists. While a process has it open, another one that tries is told of a lock. */
  readonly directory: string;
  /** Snappy. */
  readonly compression: boolean;
  /** Blocks of table files kept in memory. */
  readonly cacheBytes: number;
  /** What is gathered in memory, beside the write-ahead log, before a table file is written. */
  readonly writeBufferBytes: number;
}

export interface Engine {
  readonly name: EngineName;
  /** Made when it is missing. Rejects with an Error whose message is the engine's own reason, `Corruption: …` or `IO error: …`. */
  open(options: EngineOptions): Promise<EngineDatabase>;
}

/** An engine syncs nothing without writing something, so a record is removed that no store ever has. */
export const SYNC_OPERATIONS: readonly Operation[] = [{ type: 'del', key: Buffer.alloc(1) }];
