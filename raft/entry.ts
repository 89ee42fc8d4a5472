/** The data that consensus is about: terms, indexes, entries, and what a node must never forget. */

import type { Configuration, NodeId } from '../membership/configuration.js';

/** A period with at most one leader (§5.1). 0 before the first election. Always a safe integer. */
export type Term = number & { readonly _unit?: 'term' };

/** The position of an entry in the log; the first one is 1, and 0 stands before it. Always a safe integer. */
export type Index = number & { readonly _unit?: 'index' };

/**
 * - `command`: a change of the state machine.
 * - `noop`: what a new leader appends, so that it can commit what earlier terms left (§5.4.2, §8).
 * - `configuration`: who the members are from here on (§6).
 */
export type EntryType = 'command' | 'noop' | 'configuration';

export interface Entry {
  readonly index: Index;
  readonly term: Term;
  readonly type: EntryType;
  /** The payload; empty for a `noop`. The core never looks into it. */
  readonly data: Uint8Array;
}

/** What a bookkeeping entry without a payload adds to the size of an entry, in bytes: index, term, type, checksum. */
export const ENTRY_OVERHEAD_BYTES = 32;

export function entryBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

/** What a node must have on disk before it answers anything that depends on it (Figure 2, "Persistent state"). */
export interface HardState {
  readonly term: Term;
  /** The candidate that got this node's vote in `term`. */
  readonly vote: NodeId | undefined;
  /** A lower bound of the commit index; it saves time at restart, safety does not hang on it. */
  readonly commit: Index;
}

/** The identity of an entry; by Log Matching (§5.3) also that of the whole log up to it. */
export interface Position {
  readonly index: Index;
  readonly term: Term;
}

/** The position before the first entry. */
export const ORIGIN: Position = Object.freeze({ index: 0, term: 0 });

/** What stands in for the log up to a position, itself included (§7): the state machine as of there, and who the members are. */
export interface Snapshot extends Position {
  /** The last configuration at or before the position, and the index of its entry. */
  readonly configuration: Configuration;
  readonly configurationIndex: Index;
}

/** A configuration, and the index of the entry that made it the latest. */
export interface ConfigurationAt {
  readonly index: Index;
  readonly configuration: Configuration;
}
