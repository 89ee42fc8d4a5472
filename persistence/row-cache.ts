/**
 * Rows that were read or written lately, in memory, within a bound. Two halves: what is asked for moves to the younger one, and when that is full
 * it becomes the older one, whose rows that nobody asked for meanwhile are forgotten.
 */

/** Undefined: there is no such row, which is worth knowing, too. */
export type CachedRow = Buffer | undefined;

/** What a row costs beside its bytes: the entry of the map, the key's text, the Buffer. */
const ROW_OVERHEAD_BYTES = 160;

export interface RowCache {
  has(id: string): boolean;
  get(id: string): CachedRow;
  set(id: string, row: CachedRow): void;
  clear(): void;
}

export function rowCache(bytesMax: number): RowCache {
  const half = bytesMax / 2;
  let young = new Map<string, CachedRow>();
  let old = new Map<string, CachedRow>();
  let youngBytes = 0;

  const keep = (id: string, row: CachedRow): void => {
    if (bytesMax === 0) return;
    young.set(id, row);
    youngBytes += id.length + (row?.length ?? 0) + ROW_OVERHEAD_BYTES;
    if (youngBytes < half) return;
    old = young;
    young = new Map();
    youngBytes = 0;
  };
  return {
    has: (id) => young.has(id) || old.has(id),
    get(id) {
      const row = young.get(id);
      if (row !== undefined || young.has(id)) return row;
      const known = old.get(id);
      if (known !== undefined) keep(id, known);
      return known;
    },
    set(id, row) {
      if (!young.has(id)) {
        keep(id, row);
        return;
      }
      youngBytes += (row?.length ?? 0) - (young.get(id)?.length ?? 0);
      young.set(id, row);
    },
    clear() {
      young = new Map();
      old = new Map();
      youngBytes = 0;
    },
  };
}
