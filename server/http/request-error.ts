import type { ErrorCode } from '../../api/errors.js';
import { ExpectedError } from '../expected-error.js';

/** A request that is refused before it reaches the service: nothing of it was carried out. */
export class RequestError extends ExpectedError {
  override readonly name = 'RequestError';
  readonly code: ErrorCode;
  /** The parameter, header or field at fault. */
  readonly field: string | undefined;
  /** `revision-mismatch`: what the key has now, as on the wire. */
  readonly currentRevision: string | null | undefined;
  /** `check-failed`: the keys whose checks failed. */
  readonly failed: readonly string[] | undefined;
  /** `method-not-allowed`: the methods that the route takes. */
  readonly allow: string | undefined;

  constructor(
    code: ErrorCode,
    detail: string,
    more: {
      field?: string;
      currentRevision?: string | null;
      failed?: readonly string[];
      allow?: string;
    } = {},
  ) {
    super(detail);
    this.code = code;
    this.field = more.field;
    this.currentRevision = more.currentRevision;
    this.failed = more.failed;
    this.allow = more.allow;
  }
}

/** 400 that names the field; `fault` reads on after the field's name ("must be a string"). */
export function badField(field: string, fault: string): RequestError {
  return new RequestError('bad-request', `${field} ${fault}`, { field });
}

/** What `work` gives; a fault in it is told as one of `field`, or of a part of it. */
export function within<T>(field: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    throw new RequestError(error.code, `${field}: ${error.message}`, {
      field: error.field === undefined ? field : `${field}.${error.field}`,
    });
  }
}

/** The client went away before its request was complete: there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}
