/**
 * The small port that every request reaches the store by, wherever it came in: from HTTP on the leader, from HTTP on
 * a follower (forwarded), or from another node's control plane.
 */

import type { ErrorCode, LeaderHint, Outcome } from '../api/errors.js';
import { ERRORS } from '../api/errors.js';
import type {
  ClusterStatusResponse,
  Consistency,
  HealthResponse,
  MemberStatus,
  StatusResponse,
} from '../api/types.js';
import type { Write, WriteResult } from '../kv/command.js';
import { ExpectedError } from './expected-error.js';

export interface StoredEntry {
  readonly key: string;
  readonly value: Buffer;
  readonly revision: number;
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

export interface Service {
  /**
   * Resolves once the write is committed and applied; once only, where it is tagged with a session. Rejects with a
   * `ServiceError`, within the request timeout.
   */
  write(write: Write): Promise<WriteResult>;
  /** Opens a session and resolves with its client id. Rejects with a `ServiceError`. */
  openSession(): Promise<number>;
  read(keys: readonly string[], consistency: Consistency): Promise<ReadResult>;
  list(query: ListQuery, consistency: Consistency): Promise<ListResult>;
  status(): StatusResponse;
  /** As this node sees the cluster by itself. */
  clusterStatus(): ClusterStatusResponse;
  /** The members as the leader sees them; undefined where this node leads, or when the leader does not say in time. */
  leaderMembers(): Promise<readonly MemberStatus[] | undefined>;
  health(): HealthResponse;
  /** Undefined when this node can serve; else why it can't, in one line. */
  notReady(): string | undefined;
  leader(): LeaderHint | undefined;
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

  constructor(
    code: ErrorCode,
    message: string,
    options: { outcome?: Outcome; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.outcome = options.outcome ?? ERRORS[code].outcome;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
