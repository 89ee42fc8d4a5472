/**
 * What became of something that may fail without harm. A snapshot that cannot be written, read or received is reported
 * and removed, and the node goes on: unlike the stores of log and state, nothing was promised on the strength of it.
 */

/** - `damaged`: what was read is not what was written. - `unsupported`: of a format that this version cannot read. */
export type SnapshotFault = 'damaged' | 'unsupported' | 'io' | 'cancelled';

/** The one error of this room. Its message is one line that says what is wrong and where. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';
  readonly fault: SnapshotFault;
  /** In the file, in bytes; for damage. */
  readonly offset: number | undefined;
  constructor(fault: SnapshotFault, message: string, details: { offset?: number; cause?: unknown } = {}) {
    super(message, { cause: details.cause });
    this.fault = fault;
    this.offset = details.offset;
  }
}

export type Outcome<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: SnapshotError };

/** Called once, never within the call that it was given to. */
export type Done<T> = (outcome: Outcome<T>) => void;

export function success<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

export function failure(error: SnapshotError): { readonly ok: false; readonly error: SnapshotError } {
  return { ok: false, error };
}

/** Runs what may throw a SnapshotError; anything else that it throws goes on. */
export function attempt<T>(work: () => T): Outcome<T> {
  try {
    return success(work());
  } catch (error) {
    if (error instanceof SnapshotError) return failure(error);
    throw error;
  }
}
