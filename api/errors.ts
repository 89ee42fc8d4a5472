/**
 * The error codes of the wire, one table: what status a code has, whether the same request may be sent again,
 * and whether the write it answers is certainly not applied.
 */

/** `not-applied`: nothing of the request took effect, certainly. `unknown`: it may have, or still may. */
export type Outcome = 'not-applied' | 'unknown';

export interface ErrorKind {
  readonly status: number;
  readonly title: string;
  /** True when the same request may succeed later, unchanged. */
  readonly retryable: boolean;
  /** The outcome of every error of this kind; a forwarding node may only ever weaken it to `unknown`. */
  readonly outcome: Outcome;
}

const refused = (status: number, title: string): ErrorKind => ({
  status,
  title,
  retryable: false,
  outcome: 'not-applied',
});

const later = (status: number, title: string): ErrorKind => ({
  status,
  title,
  retryable: true,
  outcome: 'not-applied',
});

const uncertain = (status: number, title: string): ErrorKind => ({
  status,
  title,
  retryable: true,
  outcome: 'unknown',
});

/** The attempt itself is not applied, but an earlier one may be; the same request will not succeed. */
const doubtful = (status: number, title: string): ErrorKind => ({
  status,
  title,
  retryable: false,
  outcome: 'unknown',
});

export const ERRORS = Object.freeze({
  'bad-request': refused(400, 'The request is not valid'),
  'bad-json': refused(400, 'The body is not valid JSON'),
  unauthenticated: refused(401, 'Credentials are missing or wrong'),
  forbidden: refused(403, 'These credentials do not allow this'),
  'cross-site': refused(403, 'Requests from other web sites are refused'),
  'key-not-found': refused(404, 'There is no such key'),
  'no-such-route': refused(404, 'There is no such route'),
  'method-not-allowed': refused(405, 'This route does not take this method'),
  'request-timeout': later(408, 'The request did not arrive in time'),
  'check-failed': refused(409, 'A check of the transaction failed'),
  'session-expired': doubtful(409, 'The session is unknown or has expired'),
  'session-conflict': doubtful(409, 'The sequence number was used for another write'),
  'membership-conflict': refused(409, 'The members cannot be changed like this now'),
  'revision-compacted': refused(410, 'That revision is no longer in the history'),
  'revision-mismatch': refused(412, 'The condition on the revision does not hold'),
  'too-large': refused(413, 'The request is too large'),
  'unsupported-media-type': refused(415, 'This content type or encoding is not supported'),
  'headers-too-large': refused(431, 'The request headers are too large'),
  'rate-limited': later(429, 'Too many requests'),
  overloaded: later(429, 'The node has too much work queued'),
  'no-leader': later(503, 'There is no leader now'),
  'no-quorum': later(503, 'The leader cannot reach a majority now'),
  'shutting-down': later(503, 'The node is shutting down'),
  timeout: uncertain(504, 'The request took too long'),
  'leadership-lost': uncertain(504, 'The leader changed before the write was confirmed'),
  'disk-full': refused(507, 'The store is out of space; deletes are still taken'),
  internal: { status: 500, title: 'Internal error', retryable: false, outcome: 'unknown' },
} satisfies Record<string, ErrorKind>);

/** What went wrong, as the wire has it; stable across versions. */
export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** Where the leader takes requests: its node id and `host:port` of its HTTP address. */
export interface LeaderHint {
  readonly id: string;
  readonly http: string;
}

/** An `application/problem+json` body (RFC 9457). */
export interface Problem {
  readonly type: `urn:quorumkv:${ErrorCode}`;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly requestId: string;
  readonly retryable: boolean;
  readonly outcome: Outcome;
  readonly leader?: LeaderHint;
  /** `bad-request`: the field at fault. */
  readonly field?: string;
  /** `revision-mismatch`: the revision the key has now; null when the key is missing. */
  readonly currentRevision?: string | null;
  /** `check-failed`: always false; the keys whose checks failed. */
  readonly succeeded?: false;
  readonly failed?: readonly string[];
  /** `revision-compacted`: the first revision from which on the history is whole. */
  readonly oldestRevision?: string;
}
