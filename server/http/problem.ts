/** Every failure as `application/problem+json` (RFC 9457). */

import { ERRORS, type ErrorCode, type LeaderHint, type Outcome, type Problem } from '../../api/errors.js';
import { ServiceError } from '../service.js';
import { RequestError } from './request-error.js';

/** The Content-Type of every failure. */
export const PROBLEM_TYPE = 'application/problem+json';

/** Seconds, where the service names none: about what an election takes. */
const RETRY_AFTER_SECONDS = 1;

/** The body and what goes with it. */
export interface ProblemAnswer {
  readonly problem: Problem;
  /** `Retry-After`, `Allow`, `WWW-Authenticate`. */
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>;
}

/** What the client is told. Whatever is no expected error becomes `internal`, without a word of its message. */
export function problemOf(error: unknown, requestId: string, leader: LeaderHint | undefined): ProblemAnswer {
  if (error instanceof RequestError) {
    const extra = {
      ...(error.field !== undefined && { field: error.field }),
      ...(error.currentRevision !== undefined && { currentRevision: error.currentRevision }),
      ...(error.failed !== undefined && { succeeded: false as const, failed: error.failed }),
    };
    const problem = { ...base(error.code, error.message, requestId, leader), ...extra };
    return { problem, headers: headersOf(error) };
  }
  if (error instanceof ServiceError) {
    const { oldestRevision } = error;
    const problem = {
      ...base(error.code, error.message, requestId, leader, error.outcome),
      ...(oldestRevision !== undefined && { oldestRevision: String(oldestRevision) }),
    };
    return { problem, headers: retryAfter(problem.status, error.retryAfterSeconds) };
  }
  return {
    problem: base('internal', `see the log of this node: ${requestId}`, requestId, leader),
    headers: [],
  };
}

function headersOf({ code, allow }: RequestError): ProblemAnswer['headers'] {
  if (allow !== undefined) return [['Allow', allow]];
  // RFC 9110 §11.6.1: a 401 says how to authenticate.
  return code === 'unauthenticated' ? [['WWW-Authenticate', 'Bearer realm="quorumkv"']] : [];
}

function base(
  code: ErrorCode,
  detail: string,
  requestId: string,
  leader: LeaderHint | undefined,
  outcome: Outcome = ERRORS[code].outcome,
): Problem {
  const { status, title, retryable } = ERRORS[code];
  return {
    type: `urn:quorumkv:${code}`,
    title,
    status,
    detail,
    code,
    requestId,
    retryable,
    outcome,
    ...(leader && { leader: { id: leader.id, http: leader.http } }),
  };
}

function retryAfter(status: number, seconds: number | undefined): ProblemAnswer['headers'] {
  if (status !== 429 && status !== 503 && seconds === undefined) return [];
  return [['Retry-After', String(Math.max(1, Math.ceil(seconds ?? RETRY_AFTER_SECONDS)))]];
}
