/// <reference lib="esnext.disposable" preserve="true" />

/** The types of what the client hands out, beside entries and errors. */

import type { ClusterStatusResponse, MemberStatus, SnapshotResponse } from '../api/types.js';
import type { CallOptions } from './options.js';

/** What became of a transaction: all of it at this revision, or nothing, because these keys were not as expected. */
export type CommitResult =
  | { readonly ok: true; readonly revision: string }
  | { readonly ok: false; readonly failed: readonly string[] };

/**
 * A transaction in the making: `kv.atomic().check(…).set(…).delete(…).commit()`. Every method but `commit` only
 * notes what is to be done. Arguments are checked at once.
 */
export interface Atomic<V = string> {
  /**
   * Goes ahead only if the key has this revision now; null: only if there is no such key.
   *
   * @throws {InvalidArgumentError} no key, or no revision.
   */
  check(key: string, revision: string | null): this;
  /**
   * Sets the value of a key. `ttlMs`: milliseconds until it expires, a positive integer. Default: never.
   *
   * @throws {InvalidArgumentError} no key, or a value that the codec refuses.
   */
  set(key: string, value: V, options?: { ttlMs?: number | undefined }): this;
  /**
   * Deletes a key, if it exists.
   *
   * @throws {InvalidArgumentError} no key.
   */
  delete(key: string): this;
  /**
   * Carries it out, as one entry of the log. A check that does not hold is a result, not an error. Like any write it
   * takes effect once, however often it was sent.
   */
  commit(options?: CallOptions): Promise<CommitResult>;
}

/** A node that is to become a member; the addresses are `host:port`, as the other nodes and the clients reach it. */
export interface NewMember {
  /** Its `raft.nodeID`. */
  id: string;
  /** Where it takes consensus traffic. */
  raft: string;
  /** Where it takes forwarded requests. */
  rpc: string;
  /** Where it takes clients. */
  http: string;
  /** False: it stays a learner, which has the data and no vote. Default: true, as soon as it has caught up. */
  voter?: boolean | undefined;
}

/** Whether the change has taken effect already; if not, what it still waits for. It goes on by itself. */
export type ChangeResult = { readonly done: true } | { readonly done: false; readonly waitingFor: string };

/** One entry of the log of the node that answered, without what it holds. */
export interface LogEntry {
  readonly index: number;
  /** The leader's that appended it. */
  readonly term: number;
  /** `noop`, `configuration`, or what it does: `set`, `delete`, `txn`, … */
  readonly type: string;
  /** In bytes. */
  readonly size: number;
  /** The first key that it names, or its prefix; null when it names none. */
  readonly key: string | null;
}

/** A snapshot that was taken, or what it waits for; then it goes on by itself. */
export type SnapshotResult =
  | { readonly done: true; readonly snapshot: SnapshotResponse }
  | { readonly done: false; readonly waitingFor: string };

/**
 * Calls about the cluster itself. Changes are sent again only where no attempt can have taken effect: after an error
 * whose `outcome` is `unknown`, look at `members()` first.
 */
export interface Cluster {
  /** The state of the node that answers (the leader, when it is known) and of every member as that node sees it. */
  status(options?: CallOptions): Promise<ClusterStatusResponse>;
  /** The members, as the leader sees them. */
  members(options?: CallOptions): Promise<readonly MemberStatus[]>;
  /**
   * Takes a node in, as a learner at first.
   *
   * @throws {ConflictError} another change of membership is under way, or there is such a member.
   */
  addMember(member: NewMember, options?: CallOptions): Promise<ChangeResult>;
  /**
   * Takes a member out; the leader too.
   *
   * @throws {ConflictError} another change of membership is under way.
   */
  removeMember(id: string, options?: CallOptions): Promise<ChangeResult>;
  /**
   * Gives a learner its vote.
   *
   * @throws {ConflictError} another change of membership is under way.
   */
  promote(id: string, options?: CallOptions): Promise<ChangeResult>;
  /** Hands leadership over to this voter. Default: to the one with most of the log. */
  transferLeadership(to?: string, options?: CallOptions): Promise<ChangeResult>;
  /** The newest entries of the log, the newest first. `limit`: how many at most. Default: what the server thinks best. */
  log(limit?: number, options?: CallOptions): Promise<readonly LogEntry[]>;
  /** Takes a snapshot of the leader's state now (of the state of the node that answers, when no leader is known). */
  snapshot(options?: CallOptions): Promise<SnapshotResult>;
}

/** A change of a key. */
export type WatchEvent<V = string> = Put<V> | Deletion;

interface Change {
  readonly key: string;
  /** Of the write. One write may change several keys: its events are numbered from 1 (`n`), and there are `of` of them. */
  readonly revision: string;
  readonly n: number;
  readonly of: number;
}

/** A key was set. */
export interface Put<V = string> extends Change {
  readonly type: 'put';
  /** The new one. */
  readonly value: V;
}

/** A key was deleted, or its time was over. */
export interface Deletion extends Change {
  readonly type: 'delete';
  /** Absent when somebody deleted it. */
  readonly reason?: 'expired';
}

declare global {
  // Names the type where neither the DOM's nor Node.js's types are loaded; it merges with theirs.
  interface AbortSignal {
    readonly aborted: boolean;
  }
}

/** A lock that is held, until it is released or lost. */
export interface Lock extends AsyncDisposable {
  /** The key that was locked. */
  readonly key: string;
  /**
   * The fencing token: larger for every later holder. Hand it to whatever the lock protects, which refuses what comes
   * with a smaller one: a holder that was suspended may act before it notices that the lock is lost.
   */
  readonly token: string;
  /** Aborted when the lock is lost: it could not be kept alive in time, or somebody took the key. Not by `release`. */
  readonly signal: AbortSignal;
  /** Whether it is surely held still, by this machine's monotonic clock. */
  isHeld(): boolean;
  /** Gives the lock back. False when it was lost before. */
  release(): Promise<boolean>;
  /** Releases; a failure is ignored, since the lock then expires by itself. */
  [Symbol.asyncDispose](): Promise<void>;
}
