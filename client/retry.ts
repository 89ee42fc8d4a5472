/** Whether and when a failed attempt is repeated: the whole policy. */

import type { Failure } from './failure.js';
import type { RetryPolicy } from './options.js';

export interface Repeatable {
  readonly isWrite: boolean;
  /** A write that may be sent again although an earlier attempt may have been applied. */
  readonly retryUncertain: boolean;
}

/** A write is repeated only when the attempt was certainly not applied: nothing else guards it from applying twice. */
export function mayRepeat(operation: Repeatable, failure: Failure): boolean {
  if (!failure.retryable) return false;
  return !operation.isWrite || failure.outcome === 'not-applied' || operation.retryUncertain;
}

/**
 * The wait before the next attempt: exponential with full jitter, so that clients that failed together do not come
 * back together (M. Brooker, "Exponential Backoff and Jitter", 2015).
 */
export function backoffMs(policy: RetryPolicy, failedAttempts: number, random: () => number): number {
  const bound = Math.min(policy.backoffMaxMs, policy.backoffBaseMs * 2 ** Math.min(failedAttempts - 1, 30));
  return random() * bound;
}
