/** Bounds that server and client share. */

/** A key has 1 to this many bytes in UTF-8. */
export const KEY_BYTES_MAX = 4096;

/** Entries in one page of a listing, at most. */
export const LIST_LIMIT_MAX = 1000;

/** Numbers of one session that may be pending at once: a write's is below the lowest pending one plus this. */
export const SESSION_WINDOW = 1024;

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
