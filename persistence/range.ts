/** What a range of keys means, the same for every state store. */

import type { Range, RowKey, StateRow } from './state-store.js';

/** One end of a range. */
export interface Bound {
  readonly key: RowKey;
  readonly inclusive: boolean;
}

/** The stricter of `gte` and `gt`; undefined when the range is open below. */
export function lowerBound(range: Range): Bound | undefined {
  const { gte, gt } = range;
  if (gt !== undefined && (gte === undefined || gt >= gte)) {
    return { key: gt, inclusive: false };
  }
  return gte === undefined ? undefined : { key: gte, inclusive: true };
}

/** The stricter of `lte` and `lt`; undefined when the range is open above. */
export function upperBound(range: Range): Bound | undefined {
  const { lte, lt } = range;
  if (lt !== undefined && (lte === undefined || lt <= lte)) {
    return { key: lt, inclusive: false };
  }
  return lte === undefined ? undefined : { key: lte, inclusive: true };
}

/** Gathers the entries of a scan until `limit` or `bytesMax` says stop. */
export interface Page {
  readonly entries: readonly StateRow[];
  /** Takes the next entry of the range; false, and it is not taken, when the page is full: then there is more. */
  take(key: RowKey, value: Buffer): boolean;
  readonly more: boolean;
}

export function page(limits: Pick<Range, 'limit' | 'bytesMax'>): Page {
  const entries: StateRow[] = [];
  let bytes = 0;
  let more = false;
  return {
    entries,
    take(key, value) {
      more = entries.length >= limits.limit || (entries.length > 0 && bytes >= limits.bytesMax);
      if (more) return false;
      entries.push([key, value]);
      bytes += key.length + value.length;
      return true;
    },
    get more() {
      return more;
    },
  };
}

/** Applying twice must be impossible: the applied index only grows. @throws Error */
export function checkApplied(
  before: { readonly index: number; readonly term: number },
  after: { readonly index: number; readonly term: number },
): void {
  if (after.index <= before.index || after.term < before.term) {
    throw new Error(
      `the applied position goes from index ${before.index}, term ${before.term} to index ${after.index}, term ${after.term}`,
    );
  }
}
