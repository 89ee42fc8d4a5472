/**
 * The port to the watermark: what a node still knows of its log when that has lost its end. An engine was seen to open without a word when its
 * write-ahead log is gone, or damaged at some point (`docs/decisions/0003`); the rest is then a shorter log that looks whole, of a node that
 * has forgotten votes and acknowledgements. Errors as in `log-store.ts`: final, reported once through `fatal`.
 */

import type { NodeId } from '../membership/configuration.js';
import type { Position, Term } from '../raft/entry.js';
import { ORIGIN } from '../raft/entry.js';

export interface Mark {
  readonly term: Term;
  readonly vote: NodeId | undefined;
  /** The last entry of the durable log, as of at most `MARK_LAG_MS_MAX` before whatever befell it. */
  readonly last: Position;
}

/** Of a node that never promised and never held anything. */
export const FIRST_MARK: Mark = Object.freeze({ term: 0, vote: undefined, last: ORIGIN });

/** How far `last` may be behind, the time of one write aside. */
export const MARK_LAG_MS_MAX = 100;

/**
 * - `none`: there never was one; now there is, `FIRST_MARK`.
 * - `lost`: there was one, but nothing of it can be believed.
 */
export type RecoveredMark =
  | { readonly kind: 'none' }
  | { readonly kind: 'found'; readonly mark: Mark }
  | { readonly kind: 'lost'; readonly why: string };

export interface Watermark {
  /** Makes the mark durable, then calls `done`, never within the call. Not to be called again before that. */
  promise(mark: Mark, done: () => void): void;
  /** The log ends here from now on. Written down off the critical path, the newest alone. */
  advance(last: Position): void;
  /** Writes down what `advance` was told last. Nothing may be called afterwards (it throws). */
  close(): Promise<void>;
}

/** Whether a log that ends at `a` ends before one that ends at `b`, as voters compare them (§5.4.1). */
export function endsBefore(a: Position, b: Position): boolean {
  return a.term < b.term || (a.term === b.term && a.index < b.index);
}
