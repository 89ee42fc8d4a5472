/** When a failed attempt is repeated. */

import type { RetryPolicy } from './options.js';

/**
 * The wait before the next attempt: exponential with full jitter, so that clients that failed together do not come
 * back together (M. Brooker, "Exponential Backoff and Jitter", 2015).
 */
export function backoffMs(policy: RetryPolicy, failedAttempts: number, random: () => number): number {
  const bound = Math.min(policy.backoffMaxMs, policy.backoffBaseMs * 2 ** Math.min(failedAttempts - 1, 30));
  return random() * bound;
}
