/** What the state machine can be asked to do, and what it answers. */

import type { Chain } from './chain.js';

/**
 * Guards an update from being applied twice (thesis §6.3): however often it arrives under the same session and
 * number, it is applied once, and every time gets the first result.
 */
export interface SessionTag {
  /** As `register` gave it. */
  readonly clientId: number;
  /** Of this update in its session; never used for another one. */
  readonly seq: number;
  /** The client has the answers of all below, and will not ask for them again. */
  readonly lowestPending: number;
}

/** Exactly one write of one key. `ifRevision`: only if the key's revision is this one; `ifAbsent`: only if there is no such key; `ifPresent`: only if there is one. */
export interface SetCommand {
  readonly op: 'set';
  readonly key: string;
  readonly value: Uint8Array;
  /** The key expires after so much log time, 1 to `TTL_MS_MAX`; absent: never. */
  readonly ttlMs?: number;
  readonly ifRevision?: number;
  readonly ifAbsent?: boolean;
  readonly ifPresent?: boolean;
  readonly session?: SessionTag;
}

export interface DeleteCommand {
  readonly op: 'delete';
  readonly key: string;
  readonly ifRevision?: number;
  readonly ifPresent?: boolean;
  readonly session?: SessionTag;
}

/** A write of a key. */
export type Write = SetCommand | DeleteCommand;

/** Holds when the key's revision is this one; 0: when there is no such key. */
export interface Check {
  readonly key: string;
  readonly revision: number;
}

export type TxnOp =
  | { readonly op: 'set'; readonly key: string; readonly value: Uint8Array; readonly ttlMs?: number }
  | { readonly op: 'delete'; readonly key: string }
  /** Sees what the operations before it have done. */
  | { readonly op: 'get'; readonly key: string };

/** All of `ops`, in order, if all of `checks` hold; else nothing. */
export interface TxnCommand {
  readonly op: 'txn';
  /** `TXN_CHECKS_MAX` at most. */
  readonly checks: readonly Check[];
  /** `TXN_OPS_MAX` at most. */
  readonly ops: readonly TxnOp[];
  readonly session?: SessionTag;
}

/** All keys that begin with `prefix`, which is not empty; none of them when they are more than one entry may delete. */
export interface DeletePrefixCommand {
  readonly op: 'delete-prefix';
  readonly prefix: string;
  readonly session?: SessionTag;
}

/** What clients ask for, and may ask for again. */
export type Update = Write | TxnCommand | DeletePrefixCommand;

/** Opens a session. Its bounds are part of the command, so that every node goes by the same ones. */
export interface RegisterCommand {
  readonly op: 'register';
  /** The session expires when it was idle for longer, in log time. */
  readonly ttlMs: number;
  /** With so many sessions already, there is no further one. */
  readonly sessionsMax: number;
}

/** Ends those of the sessions that are idle for longer than they may be by now; the others go on. */
export interface ExpireSessionsCommand {
  readonly op: 'expire-sessions';
  readonly clientIds: readonly number[];
}

/**
 * Deletes those of the keys whose time is over by now and that were not written again since; the others stay. Without keys it only
 * carries log time on.
 */
export interface ExpireKeysCommand {
  readonly op: 'expire-keys';
  readonly keys: readonly Check[];
}

/** Forgets what these revisions changed, which are the oldest ones of the history, in order. */
export interface TrimHistoryCommand {
  readonly op: 'trim-history';
  readonly revisions: readonly number[];
  /** Of their rows together, so that nobody has to read those once more. */
  readonly bytes: number;
}

/** Asks every node what its chain (`chain.ts`) is here; it changes nothing. */
export interface MarkCommand {
  readonly op: 'mark';
}

/** What the chain of one node was at the mark in entry `index`; it changes nothing. */
export interface AttestCommand {
  readonly op: 'attest';
  /** Its id. */
  readonly node: string;
  readonly index: number;
  readonly chain: Chain;
}

export type Command =
  | Update
  | RegisterCommand
  | ExpireSessionsCommand
  | ExpireKeysCommand
  | TrimHistoryCommand
  | MarkCommand
  | AttestCommand;

/** What became of a write: decided by the state and the entry alone, the same on every node. */
export type WriteResult =
  | { readonly status: 'set'; readonly revision: number }
  | { readonly status: 'deleted'; readonly revision: number }
  | { readonly status: 'not-found'; readonly revision: number }
  /** The condition did not hold; nothing changed. `currentRevision` is 0 for a missing key. */
  | { readonly status: 'revision-mismatch'; readonly currentRevision: number };

export type TxnOpResult =
  | { readonly status: 'set' | 'deleted' | 'not-found' | 'missing' }
  | { readonly status: 'got'; readonly revision: number; readonly ttlMs?: number; readonly value: Buffer };

export type TxnResult =
  /** One result an operation, in order. What it wrote has its revision. */
  | { readonly status: 'txn'; readonly revision: number; readonly results: readonly TxnOpResult[] }
  /** The positions of the checks that did not hold; nothing changed. */
  | { readonly status: 'check-failed'; readonly failed: readonly number[] }
  /** What it reads is more than one result may hold; nothing changed. */
  | { readonly status: 'too-large' };

export type DeletePrefixResult =
  | { readonly status: 'prefix-deleted'; readonly revision: number; readonly deleted: number }
  /** They are more than one entry may delete; nothing changed. */
  | { readonly status: 'too-large' };

export type UpdateResult = WriteResult | TxnResult | DeletePrefixResult;

export type CommandResult =
  | UpdateResult
  /** There is no such session (any more), or its client has already had the answer to this number. */
  | { readonly status: 'session-expired' }
  /** The number was used for another update, or is too far ahead of the lowest pending one. */
  | { readonly status: 'session-conflict' }
  | { readonly status: 'registered'; readonly clientId: number }
  | { readonly status: 'sessions-full' }
  | { readonly status: 'marked'; readonly chain: Chain }
  | { readonly status: 'attested'; readonly node: string; readonly index: number; readonly chain: Chain }
  /** How many sessions, keys, or revisions of the history. */
  | { readonly status: 'expired'; readonly count: number };

/** Numbers of one session that may be pending at once: `seq` is below `lowestPending` plus this. */
export const SESSION_WINDOW = 1024;

/** A key has 1 to this many bytes in UTF-8. */
export const KEY_BYTES_MAX = 4096;

/** A hundred years: a time that is added to a stamp stays exact. */
export const TTL_MS_MAX = 100 * 365 * 24 * 3_600_000;

export const TXN_CHECKS_MAX = 1000;
export const TXN_OPS_MAX = 1000;

/** Values that one transaction may read, in bytes: they are part of its result. */
export const TXN_READ_BYTES_MAX = 1024 * 1024;

/** The same under a session, which keeps the result. */
export const TXN_SESSION_READ_BYTES_MAX = 16 * 1024;

/**
 * What one entry may delete by a prefix: so many keys, of so many bytes, whose values have so many. It bounds what is held in memory, how
 * long one entry takes to apply, and so how long the node hears nothing meanwhile.
 */
export const PREFIX_KEYS_MAX = 10_000;
export const PREFIX_KEY_BYTES_MAX = 4 * 1024 * 1024;
export const PREFIX_VALUE_BYTES_MAX = 64 * 1024 * 1024;

/** Revisions that one entry may trim from the history. */
export const TRIM_REVISIONS_MAX = 256;

/** Keys that one entry may expire. */
export const EXPIRE_KEYS_MAX = 256;
