/** What the state machine can be asked to do, and what it answers. */

/**
 * Guards a write from being applied twice (thesis §6.3): however often the write arrives under the same session and
 * number, it is applied once, and every time gets the first result.
 */
export interface SessionTag {
  /** As `register` gave it. */
  readonly clientId: number;
  /** Of this write in its session; never used for another one. */
  readonly seq: number;
  /** The client has the answers of all below, and will not ask for them again. */
  readonly lowestPending: number;
}

/** Exactly one write of one key. `ifRevision`: only if the key's revision is this one; `ifAbsent`: only if there is no such key. */
export interface SetCommand {
  readonly op: 'set';
  readonly key: string;
  readonly value: Uint8Array;
  readonly ifRevision?: number;
  readonly ifAbsent?: boolean;
  readonly session?: SessionTag;
}

export interface DeleteCommand {
  readonly op: 'delete';
  readonly key: string;
  readonly ifRevision?: number;
  readonly session?: SessionTag;
}

/** A write of a key. */
export type Write = SetCommand | DeleteCommand;

/** Opens a session. Its bounds are part of the command, so that every node goes by the same ones. */
export interface RegisterCommand {
  readonly op: 'register';
  /** The session expires when it was idle for longer, in log time. */
  readonly ttlMs: number;
  /** With so many sessions already, there is no further one. */
  readonly sessionsMax: number;
}

/** Ends those of the sessions that are idle for longer than they may be by now; the others go on. */
export interface ExpireCommand {
  readonly op: 'expire';
  readonly clientIds: readonly number[];
}

export type Command = Write | RegisterCommand | ExpireCommand;

/** What became of a write: decided by the state and the entry alone, the same on every node. */
export type WriteResult =
  | { readonly status: 'set'; readonly revision: number }
  | { readonly status: 'deleted'; readonly revision: number }
  | { readonly status: 'not-found'; readonly revision: number }
  /** The condition did not hold; nothing changed. `currentRevision` is 0 for a missing key. */
  | { readonly status: 'revision-mismatch'; readonly currentRevision: number };

export type CommandResult =
  | WriteResult
  /** There is no such session (any more), or its client has already had the answer to this number. */
  | { readonly status: 'session-expired' }
  /** The number was used for another write, or is too far ahead of the lowest pending one. */
  | { readonly status: 'session-conflict' }
  | { readonly status: 'registered'; readonly clientId: number }
  | { readonly status: 'sessions-full' }
  | { readonly status: 'expired'; readonly sessions: number };

/** Numbers of one session that may be pending at once: `seq` is below `lowestPending` plus this. */
export const SESSION_WINDOW = 1024;
