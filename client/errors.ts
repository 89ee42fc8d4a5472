/** The one tree of errors that the client rejects with. */

import type { ErrorCode, Outcome } from '../api/errors.js';

/**
 * Codes that arise in the client itself, beside those of the wire:
 * `invalid-argument` (nothing was sent), `unavailable` (no connection, or it broke), `bad-response` (an answer that
 * is not of this protocol), `aborted` (your signal), `closed` (`close()` was called).
 */
export type ClientErrorCode = 'invalid-argument' | 'unavailable' | 'bad-response' | 'aborted' | 'closed';

/** Every value that `KVError.code` can have. Codes are stable; messages are not. */
export type KVErrorCode = ErrorCode | ClientErrorCode;

/** What an error is made of; see `KVError` for what each of them means. */
export interface KVErrorDetails {
  readonly code: KVErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly outcome: Outcome;
  readonly requestId?: string | undefined;
  readonly field?: string | undefined;
  readonly currentRevision?: string | null | undefined;
  readonly oldestRevision?: string | undefined;
  readonly cause?: unknown;
}

/** The only thing that a call of the client rejects with; its subclasses tell the cases apart. */
export class KVError extends Error {
  override readonly name: string = 'KVError';
  /** What happened, stable across versions. */
  readonly code: KVErrorCode;
  /** True when the same call may succeed later, unchanged. Look at `outcome` before repeating a write. */
  readonly retryable: boolean;
  /**
   * `not-applied`: the call changed nothing, certainly. `unknown`: it may have taken effect, or still may; so as soon as
   * any of its attempts was uncertain and none brought the write's result. A read is always `not-applied`.
   */
  readonly outcome: Outcome;
  /** The server's id of the last request, to look for in its log; undefined when no server answered. */
  readonly requestId: string | undefined;

  constructor(details: KVErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.retryable = details.retryable;
    this.outcome = details.outcome;
    this.requestId = details.requestId;
  }
}

/** A condition of the call does not hold: `ifAbsent`, `ifRevision`, or a change that another one is in the way of. */
export class ConflictError extends KVError {
  override readonly name = 'ConflictError';
  /** The revision that the key has now; null when the key is missing; undefined when the server did not say. */
  readonly currentRevision: string | null | undefined;

  constructor(details: KVErrorDetails) {
    super(details);
    this.currentRevision = details.currentRevision;
  }
}

/** No answer in time: the call's `timeoutMs` is up, or the server gave up waiting for the commit. */
export class TimeoutError extends KVError {
  override readonly name = 'TimeoutError';
}

/** The cluster has no leader that reaches a majority now. */
export class NoLeaderError extends KVError {
  override readonly name = 'NoLeaderError';
}

/** No node could be reached, the connection broke, or the node could not carry the call out (shutdown, full disk). */
export class UnavailableError extends KVError {
  override readonly name = 'UnavailableError';
}

/** Credentials are missing or wrong. */
export class UnauthorizedError extends KVError {
  override readonly name = 'UnauthorizedError';
}

/** The credentials do not allow this call. */
export class ForbiddenError extends KVError {
  override readonly name = 'ForbiddenError';
}

/** The server has too much to do; it was not applied. */
export class RateLimitedError extends KVError {
  override readonly name = 'RateLimitedError';
}

/** The value is larger than the server's `limits.valueBytes`. */
export class TooLargeError extends KVError {
  override readonly name = 'TooLargeError';
}

/** The revision asked for is no longer in the server's history: read the keys anew, and watch from there. */
export class CompactedError extends KVError {
  override readonly name = 'CompactedError';
  /** The oldest revision that can be asked for; undefined when the server did not say. */
  readonly oldestRevision: string | undefined;

  constructor(details: KVErrorDetails) {
    super(details);
    this.oldestRevision = details.oldestRevision;
  }
}

/**
 * The session that guards the write against being applied twice has expired. `outcome` is `unknown` when an earlier
 * attempt may have been applied: none is from now on, so you may look whether the write is there.
 */
export class SessionExpiredError extends KVError {
  override readonly name = 'SessionExpiredError';
}

/** An argument is not valid; `field` names it. Nothing was changed. */
export class InvalidArgumentError extends KVError {
  override readonly name = 'InvalidArgumentError';
  /** The argument or field at fault, when one can be named. */
  readonly field: string | undefined;

  constructor(details: KVErrorDetails) {
    super(details);
    this.field = details.field;
  }
}

/** The server failed, or what answered does not speak this protocol. */
export class InternalError extends KVError {
  override readonly name = 'InternalError';
}

/** The client was closed before the call or during it. */
export class ClosedError extends KVError {
  override readonly name = 'ClosedError';
}

/** The `signal` of the call was aborted; its reason is the `cause`. */
export class AbortedError extends KVError {
  override readonly name = 'AbortedError';
}

type KVErrorClass = new (details: KVErrorDetails) => KVError;

function classOf(code: KVErrorCode): KVErrorClass {
  switch (code) {
    case 'check-failed':
    case 'membership-conflict':
    case 'revision-mismatch':
      return ConflictError;
    case 'timeout':
    case 'request-timeout':
      return TimeoutError;
    case 'no-leader':
    case 'no-quorum':
      return NoLeaderError;
    case 'leadership-lost':
    case 'shutting-down':
    case 'disk-full':
    case 'unavailable':
      return UnavailableError;
    case 'unauthenticated':
      return UnauthorizedError;
    case 'forbidden':
    case 'cross-site':
      return ForbiddenError;
    case 'rate-limited':
    case 'overloaded':
      return RateLimitedError;
    case 'too-large':
    case 'headers-too-large':
      return TooLargeError;
    case 'revision-compacted':
      return CompactedError;
    case 'session-expired':
    case 'session-conflict':
      return SessionExpiredError;
    case 'bad-request':
    case 'bad-json':
    case 'unsupported-media-type':
    case 'invalid-argument':
      return InvalidArgumentError;
    case 'internal':
    case 'key-not-found':
    case 'no-such-route':
    case 'method-not-allowed':
    case 'bad-response':
      return InternalError;
    case 'closed':
      return ClosedError;
    case 'aborted':
      return AbortedError;
  }
}

/** The error of the subclass that belongs to the code. */
export function createError(details: KVErrorDetails): KVError {
  return new (classOf(details.code))(details);
}

/** An argument that was refused before anything was sent. */
export function invalidArgument(field: string, message: string, cause?: unknown): KVError {
  return createError({
    code: 'invalid-argument',
    message,
    field,
    retryable: false,
    outcome: 'not-applied',
    cause,
  });
}
