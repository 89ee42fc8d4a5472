/** What a client can ask the state machine to do. */

/** Exactly one write of one key. `ifRevision`: only if the key's revision is this one; `ifAbsent`: only if there is no such key. */
export interface SetCommand {
  readonly op: 'set';
  readonly key: string;
  readonly value: Uint8Array;
  readonly ifRevision?: number;
  readonly ifAbsent?: boolean;
}

export interface DeleteCommand {
  readonly op: 'delete';
  readonly key: string;
  readonly ifRevision?: number;
}

export type Command = SetCommand | DeleteCommand;

/** What became of a command: decided by the state and the entry alone, the same on every node. */
export type CommandResult =
  | { readonly status: 'set'; readonly revision: number }
  | { readonly status: 'deleted'; readonly revision: number }
  | { readonly status: 'not-found'; readonly revision: number }
  /** The condition did not hold; nothing changed. `currentRevision` is 0 for a missing key. */
  | { readonly status: 'revision-mismatch'; readonly currentRevision: number };
