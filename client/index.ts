/** The public names of `quorumkv-client`. */

export type { ErrorCode, LeaderHint, Outcome } from '../api/errors.js';
export type {
  ClusterStatusResponse,
  Consistency,
  MemberStatus,
  Role,
  SnapshotInfo,
  SnapshotProgress,
  SnapshotResponse,
} from '../api/types.js';
export { KVClient } from './client.js';
export { codecs, type Codec } from './codec.js';
export type { KVEntry } from './entry.js';
export {
  AbortedError,
  ClosedError,
  CompactedError,
  ConflictError,
  ForbiddenError,
  InternalError,
  InvalidArgumentError,
  KVError,
  NoLeaderError,
  RateLimitedError,
  SessionExpiredError,
  TimeoutError,
  TooLargeError,
  UnauthorizedError,
  UnavailableError,
  type ClientErrorCode,
  type KVErrorCode,
  type KVErrorDetails,
} from './errors.js';
export type {
  AbortSignalLike,
  AuthOptions,
  CallOptions,
  DeleteOptions,
  KVClientOptions,
  ListOptions,
  LockOptions,
  ReadOptions,
  RetryOptions,
  SetOptions,
  TlsOptions,
  WatchOptions,
} from './options.js';
export type {
  Atomic,
  ChangeResult,
  Cluster,
  CommitResult,
  Deletion,
  Lock,
  LogEntry,
  NewMember,
  Put,
  SnapshotResult,
  WatchEvent,
} from './surface.js';
