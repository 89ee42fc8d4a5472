/**
 * Rows that are likely to be asked for, in memory, within a bound. Two halves: what is asked for moves to the younger one, and when that is full
 * it becomes the older one, whose rows that nobody asked for meanwhile are forgotten.
 *
 * The bytes of a half's rows lie in chunks, found by a number: a hundred thousand Buffers would be looked at by every collection of garbage, and
 * each would keep all of what it is a slice of.
 */

import { headOf } from './head.js';
import type { RowKey } from './state-store.js';

/** Null: there is no such row, which is worth knowing, too. */
export type CachedRow = Buffer | null;

/** What a row costs beside its bytes: the entry of the map, and its key's text without the characters. */
const ROW_OVERHEAD_BYTES = 100;
const CHUNK_BYTES = 256 * 1024;
/** A longer row has memory of its own. */
const IN_CHUNK_BYTES_MAX = CHUNK_BYTES / 16;
/** In front of a row: how many bytes may stand in its place, and how many do. */
const HEADER_BYTES = 8;

/** Where a row lies: its chunk times `CHUNK_BYTES`, plus where in there. */
type Place = number;
const NO_ROW: Place = -1;
/** It is in `long`. */
const LONG: Place = -2;

export interface RowCache {
  /** A copy of its first `bytesMax` bytes; undefined: nothing is known of it. */
  get(key: RowKey, bytesMax?: number): CachedRow | undefined;
  /** True only if there is known to be no such row. */
  isMissing(key: RowKey): boolean;
  /** It was read, or is likely to be. */
  keep(key: RowKey, row: CachedRow): void;
  /** It was written: what is known of it is brought up to date, where anything is. */
  written(key: RowKey, row: CachedRow): void;
  clear(): void;
}

class Half {
  readonly #places = new Map<RowKey, Place>();
  readonly #long = new Map<RowKey, Buffer>();
  readonly #chunks: Buffer[] = [];
  /** Of the last chunk. */
  #usedBytes = CHUNK_BYTES;
  /** Of everything that was put in, what was taken out included: its bytes stay until the half goes. */
  bytes = 0;

  /** Undefined: nothing is known of the row. */
  place(key: RowKey): Place | undefined {
    return this.#places.get(key);
  }

  get(key: RowKey, bytesMax: number): CachedRow | undefined {
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    if (place === NO_ROW) return null;
    if (place === LONG) return headOf(this.#long.get(key), bytesMax);
    const { chunk, at } = this.#at(place);
    const start = at + HEADER_BYTES;
    return Buffer.from(chunk.subarray(start, start + Math.min(bytesMax, chunk.readUInt32LE(at + 4))));
  }

  put(key: RowKey, row: CachedRow): void {
    const before = this.#places.get(key);
    if (row !== null && before !== undefined && before >= 0 && this.#replace(before, row)) return;
    if (before === LONG) this.#long.delete(key);
    this.#places.set(key, row === null ? NO_ROW : this.#take(key, row));
    this.bytes += key.length + (row?.length ?? 0) + ROW_OVERHEAD_BYTES;
  }

  delete(key: RowKey): void {
    this.#places.delete(key);
    this.#long.delete(key);
  }

  #at(place: Place): { readonly chunk: Buffer; readonly at: number } {
    const chunk = this.#chunks[Math.floor(place / CHUNK_BYTES)];
    if (chunk === undefined) throw new Error('a row of the cache lies nowhere');
    return { chunk, at: place % CHUNK_BYTES };
  }

  /** In the place of what it was before, where it fits there. */
  #replace(place: Place, row: Buffer): boolean {
    const { chunk, at } = this.#at(place);
    if (row.length > chunk.readUInt32LE(at)) return false;
    chunk.writeUInt32LE(row.length, at + 4);
    chunk.set(row, at + HEADER_BYTES);
    return true;
  }

  #take(key: RowKey, row: Buffer): Place {
    const bytes = HEADER_BYTES + row.length;
    if (bytes > IN_CHUNK_BYTES_MAX) {
      this.#long.set(key, Buffer.from(row));
      return LONG;
    }
    if (this.#usedBytes + bytes > CHUNK_BYTES) {
      this.#chunks.push(Buffer.allocUnsafeSlow(CHUNK_BYTES));
      this.#usedBytes = 0;
    }
    const place = (this.#chunks.length - 1) * CHUNK_BYTES + this.#usedBytes;
    this.#usedBytes += bytes;
    const { chunk, at } = this.#at(place);
    chunk.writeUInt32LE(row.length, at);
    chunk.writeUInt32LE(row.length, at + 4);
    chunk.set(row, at + HEADER_BYTES);
    return place;
  }
}

export function rowCache(bytesMax: number): RowCache {
  let young = new Half();
  let old = new Half();

  const keep = (key: RowKey, row: CachedRow): void => {
    if (bytesMax <= 0) return;
    young.put(key, row);
    if (young.bytes < bytesMax / 2) return;
    old = young;
    young = new Half();
  };
  const placeOf = (key: RowKey): Place | undefined => young.place(key) ?? old.place(key);
  return {
    get(key, bytesMax = Infinity) {
      const row = young.get(key, bytesMax);
      if (row !== undefined) return row;
      const known = old.get(key, Infinity);
      if (known === undefined) return undefined;
      keep(key, known);
      return known === null ? null : headOf(known, bytesMax);
    },
    isMissing: (key) => placeOf(key) === NO_ROW,
    keep,
    written(key, row) {
      const place = placeOf(key);
      if (place === undefined) return;
      // What has just come, or gone, is hardly asked for again.
      if (row !== null && place !== NO_ROW) {
        keep(key, row);
        return;
      }
      young.delete(key);
      old.delete(key);
    },
    clear() {
      young = new Half();
      old = new Half();
    },
  };
}
