/** Bounds that server and client share. */

/** A key has 1 to this many bytes in UTF-8. */
export const KEY_BYTES_MAX = 4096;

/** Entries in one page of a listing, at most. */
export const LIST_LIMIT_MAX = 1000;

/** Entries of one `/cluster/log`: unless asked for otherwise, and at most. */
export const LOG_LIMIT = 100;
export const LOG_LIMIT_MAX = 1000;

/** Numbers of one session that may be pending at once: a write's is below the lowest pending one plus this. */
export const SESSION_WINDOW = 1024;

/** A key's time to live is a whole number of milliseconds from 1 to this: a hundred years. */
export const TTL_MS_MAX = 100 * 365 * 24 * 3_600_000;

/** Checks of one transaction, and operations of one, at most. */
export const TXN_CHECKS_MAX = 1000;
export const TXN_OPS_MAX = 1000;

/** Operations of one pipeline, at most. */
export const PIPELINE_OPS_MAX = 1000;

/** Values that the reads of one pipeline may answer with together, in bytes, but for the last one. */
export const PIPELINE_READ_BYTES_MAX = 8 * 1024 * 1024;

/** Keys that one delete of a prefix takes, at most; their bytes together, and those of their values. */
export const PREFIX_KEYS_MAX = 10_000;
export const PREFIX_KEY_BYTES_MAX = 4 * 1024 * 1024;
export const PREFIX_VALUE_BYTES_MAX = 64 * 1024 * 1024;

/** The body of a single write: a byte takes at most six characters in JSON (`\u0000`); the rest is for the key, escaped likewise, and the fields. */
export function bodyBytesMax(valueBytesMax: number): number {
  return 6 * valueBytesMax + 64 * 1024;
}

/** The body of a transaction or a pipeline. */
export function batchBodyBytesMax(valueBytesMax: number): number {
  return Math.max(bodyBytesMax(valueBytesMax), 8 * 1024 * 1024);
}

/** What is wrong with a time to live, in words that follow its name; undefined when it is fine. */
export function ttlFault(ttlMs: unknown): string | undefined {
  const fits = Number.isSafeInteger(ttlMs) && Number(ttlMs) >= 1 && Number(ttlMs) <= TTL_MS_MAX;
  return fits ? undefined : `must be a whole number of milliseconds from 1 to ${TTL_MS_MAX}`;
}

/** What is wrong with a key, in words that follow its name; undefined when it is fine. */
export function keyFault(key: string): string | undefined {
  if (key.length === 0) return 'must not be empty';
  if (LONE_SURROGATE.test(key)) return 'must not contain a lone surrogate';
  // A UTF-16 unit takes at most three bytes in UTF-8, so short keys need no count.
  if (key.length * 3 <= KEY_BYTES_MAX) return undefined;
  return new TextEncoder().encode(key).length > KEY_BYTES_MAX
    ? `must not be longer than ${KEY_BYTES_MAX} bytes in UTF-8`
    : undefined;
}

const LONE_SURROGATE = /\p{Surrogate}/u;
