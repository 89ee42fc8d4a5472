/**
 * Rows that were read lately, in memory, within a bound. Two halves: what is asked for moves to the younger one, and when that is full
 * it becomes the older one, whose rows that nobody asked for meanwhile are forgotten.
 *
 * The bytes of a half's rows lie in chunks of its own. A row that stayed a slice of what it was read or written with would keep all of that in
 * memory, many times what is counted here.
 */

/** Null: there is no such row, which is worth knowing, too. */
export type CachedRow = Buffer | null;

/** What a row costs beside its bytes: the entry of the map, the key's text, the Buffer. */
const ROW_OVERHEAD_BYTES = 240;
/** Its end is lost when a row does not fit there. */
const CHUNK_BYTES = 16 * 1024;
/** A longer row has memory of its own. */
const IN_CHUNK_BYTES_MAX = CHUNK_BYTES / 8;

export interface RowCache {
  /** Undefined: nothing is known of it. Not to be changed. */
  get(id: string): CachedRow | undefined;
  /** True only if there is known to be no such row. */
  isMissing(id: string): boolean;
  /** It was read. */
  read(id: string, row: CachedRow): void;
  /** It was written. */
  written(id: string, row: CachedRow): void;
  clear(): void;
}

interface Half {
  readonly rows: Map<string, CachedRow>;
  /** Of everything that was put in, what was taken out or replaced included: its bytes stay until the half goes. */
  bytes: number;
  chunk: Buffer;
  /** Of the chunk. */
  usedBytes: number;
}

const NO_CHUNK = Buffer.alloc(0);

const emptyHalf = (): Half => ({ rows: new Map(), bytes: 0, chunk: NO_CHUNK, usedBytes: 0 });

function copyInto(half: Half, row: Buffer): Buffer {
  const { length } = row;
  if (length > IN_CHUNK_BYTES_MAX) {
    const own = Buffer.allocUnsafeSlow(length);
    own.set(row);
    return own;
  }
  if (half.usedBytes + length > half.chunk.length) {
    half.chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    half.usedBytes = 0;
  }
  const start = half.usedBytes;
  half.usedBytes += length;
  half.chunk.set(row, start);
  return half.chunk.subarray(start, half.usedBytes);
}

export function rowCache(bytesMax: number): RowCache {
  let young = emptyHalf();
  let old = emptyHalf();

  const keep = (id: string, row: CachedRow): void => {
    young.rows.set(id, row === null ? null : copyInto(young, row));
    young.bytes += id.length + (row?.length ?? 0) + ROW_OVERHEAD_BYTES;
    if (young.bytes < bytesMax / 2) return;
    old = young;
    young = emptyHalf();
  };
  const peek = (id: string): CachedRow | undefined => {
    const row = young.rows.get(id);
    return row === undefined ? old.rows.get(id) : row;
  };
  return {
    get(id) {
      const row = young.rows.get(id);
      if (row !== undefined) return row;
      const known = old.rows.get(id);
      if (known !== undefined) keep(id, known);
      return known;
    },
    isMissing: (id) => peek(id) === null,
    read(id, row) {
      if (bytesMax > 0) keep(id, row);
    },
    written(id, row) {
      const before = peek(id);
      if (before === undefined) return;
      // What has just come, or gone, is hardly asked for again.
      if (row !== null && before !== null) {
        keep(id, row);
        return;
      }
      young.rows.delete(id);
      old.rows.delete(id);
    },
    clear() {
      young = emptyHalf();
      old = emptyHalf();
    },
  };
}
