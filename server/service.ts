/**
 * The small port that every request reaches the store by, wherever it came in: from HTTP on the leader, from HTTP on
 * a follower (forwarded), or from another node's control plane.
 */

import type { Readable } from 'node:stream';
import type { ErrorCode, LeaderHint, Outcome } from '../api/errors.js';
import { ERRORS } from '../api/errors.js';
import type {
  ClusterStatusResponse,
  Consistency,
  HealthResponse,
  MembersReport,
  StatusResponse,
} from '../api/types.js';
import type {
  DeletePrefixCommand,
  DeletePrefixResult,
  TxnCommand,
  TxnResult,
  Write,
  WriteResult,
} from '../kv/command.js';
import type { Change } from '../kv/working-set.js';
import { ExpectedError } from './expected-error.js';
import type { ClusterAnswer, ClusterRequest } from './members/request.js';

export interface StoredEntry {
  readonly key: string;
  readonly value: Buffer;
  readonly revision: number;
  /** What is left of its time, in log time as far as this node knows it; absent: it does not expire. 0: it is about to go. */
  readonly ttlMs?: number;
}

export interface ReadResult {
  /** One a key, in order; undefined where there is none. */
  readonly entries: ReadonlyArray<StoredEntry | undefined>;
  /** The applied index that the answer reflects. */
  readonly revision: number;
}

export interface ListQuery {
  readonly prefix?: string;
  /** Inclusive. */
  readonly start?: string;
  /** Exclusive. */
  readonly end?: string;
  readonly limit: number;
  readonly reverse: boolean;
  readonly keysOnly: boolean;
  /** Continue behind this key (exclusive, in the direction of the listing). */
  readonly after?: string;
  /** The page ends with the entry that brings its keys and values to so many bytes, if `limit` does not end it before. */
  readonly bytesMax?: number;
}

export interface ListResult {
  readonly entries: readonly StoredEntry[];
  readonly more: boolean;
  readonly revision: number;
}

export type PipelineOp = Write | { readonly op: 'get'; readonly key: string };

/** What became of one operation of a pipeline. */
export type PipelineOutcome =
  | { readonly op: 'set' | 'delete'; readonly result: WriteResult }
  | { readonly op: 'get'; readonly entry: StoredEntry | undefined }
  | { readonly op: 'failed'; readonly error: ServiceError };

export interface PipelineResult {
  /** One an operation, in order. */
  readonly outcomes: readonly PipelineOutcome[];
  /** The applied index that the answer reflects. */
  readonly revision: number;
}

/** What a log entry is, without what it holds. */
export interface LogLine {
  readonly index: number;
  readonly term: number;
  /** That of the entry or, for a command, of the command. */
  readonly type: string;
  /** Of the payload of the entry, which writes may share. */
  readonly bytes: number;
  /** The first key that a command names, or its prefix. */
  readonly key?: string;
}

/** An empty prefix is that of every key. */
export type WatchQuery = { readonly key: string } | { readonly prefix: string };

export type WatchItem =
  /** The `n`th of the `of` changes of one entry, from 1. */
  | {
      readonly type: 'event';
      readonly change: Change;
      readonly revision: number;
      readonly n: number;
      readonly of: number;
    }
  /** All that is watched was told up to the revision `seen`; told at the beginning, and when nothing else was for a while. */
  | { readonly type: 'progress'; readonly seen: number }
  /** The last item, unless the consumer ends it: what comes behind `seen` must be asked for anew, from `oldest` on when the rest is gone. */
  | {
      readonly type: 'cut-off';
      readonly why: 'revision-compacted' | 'shutting-down';
      readonly seen: number;
      readonly oldest?: number;
    };

/** A snapshot that this node has. */
export interface SnapshotTaken {
  readonly id: string;
  readonly index: number;
  readonly term: number;
  readonly bytes: number;
}

/** A snapshot on its way to a client; it stays on disk until the stream has ended, however that is. */
export interface BackupStream extends SnapshotTaken {
  readonly data: Readable;
}

export interface Service {
  /**
   * Resolves once the write is committed and applied; once only, where it is tagged with a session. Rejects with a
   * `ServiceError`, within the request timeout.
   */
  write(write: Write): Promise<WriteResult>;
  /** As `write`; `too-large` when it reads more than one result may hold. */
  transact(txn: TxnCommand): Promise<Exclude<TxnResult, { status: 'too-large' }>>;
  /** As `write`; `too-large` when the keys are more than one entry may delete. */
  deletePrefix(command: DeletePrefixCommand): Promise<Exclude<DeletePrefixResult, { status: 'too-large' }>>;
  /**
   * Independent operations, in order per key: a read sees the writes before it on its key and none behind it, and once one has failed, those
   * behind it on its key are not carried out. Rejects only where nothing was begun. `PIPELINE_OPS_MAX` at most.
   */
  pipeline(ops: readonly PipelineOp[], consistency: Consistency): Promise<PipelineResult>;
  /**
   * What changes behind the first `n` changes of the revision `after` + 1; without `from`, behind everything that was acknowledged before.
   * Rejects with a `ServiceError`: `revision-compacted` when the history does not reach back that far.
   */
  watch(
    query: WatchQuery,
    from: { readonly after: number; readonly n: number } | undefined,
  ): Promise<AsyncGenerator<WatchItem, void>>;
  /** Has the leader carry it out. Rejects with a `ServiceError`; `membership-conflict` says why it can't be done. */
  changeCluster(request: ClusterRequest): Promise<ClusterAnswer>;
  /** The newest entries of this node's log that are applied here, the newest first. */
  log(limit: number): Promise<readonly LogLine[]>;
  /** Opens a session and resolves with its client id. Rejects with a `ServiceError`. */
  openSession(): Promise<number>;
  read(keys: readonly string[], consistency: Consistency): Promise<ReadResult>;
  list(query: ListQuery, consistency: Consistency): Promise<ListResult>;
  /** Takes a snapshot of this node's state now; undefined when that outlasts the request, and goes on. Rejects with a `ServiceError`. */
  takeSnapshot(): Promise<SnapshotTaken | undefined>;
  /** A snapshot that holds everything that was acknowledged before the call. Rejects with a `ServiceError`. */
  backup(): Promise<BackupStream>;
  status(): StatusResponse;
  /** As this node sees the cluster by itself. */
  clusterStatus(): ClusterStatusResponse;
  /** The members as the leader sees them; undefined where this node leads, or when the leader does not say in time. */
  leaderMembers(): Promise<MembersReport | undefined>;
  health(): HealthResponse;
  /** Undefined when this node can serve; else why it can't, in one line. */
  notReady(): string | undefined;
  leader(): LeaderHint | undefined;
  /** Index of the latest committed configuration that this node knows; undefined before it knows one. */
  membersIndex(): number | undefined;
  isLeader(): boolean;
  /** The applied index now. */
  revision(): number;
}

/** An expected failure, with its code of the wire. */
export class ServiceError extends ExpectedError {
  override readonly name = 'ServiceError';
  readonly code: ErrorCode;
  readonly outcome: Outcome;
  /** Seconds, for `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;
  /** `revision-compacted`: the first revision from which on the history is whole. */
  readonly oldestRevision: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      outcome?: Outcome;
      retryAfterSeconds?: number;
      oldestRevision?: number;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.outcome = options.outcome ?? ERRORS[code].outcome;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.oldestRevision = options.oldestRevision;
  }
}
