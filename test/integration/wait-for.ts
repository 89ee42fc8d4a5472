/** Waiting for a state, never for a time. */

import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;

/**
 * Resolves with the first answer of `probe` that is not undefined, false or null. Rejects after `deadlineMs` with `description`, and with
 * the last error of `probe`, which may throw as long as the state is not there.
 */
export async function waitFor<T>(
  description: string,
  probe: () => T | Promise<T>,
  deadlineMs: number,
): Promise<NonNullable<Exclude<T, false>>> {
  const endMs = performance.now() + deadlineMs;
  let fault: unknown;
  for (;;) {
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== null && answer !== false) {
        return answer as NonNullable<Exclude<T, false>>;
      }
      fault = undefined;
    } catch (error) {
      fault = error;
    }
    if (performance.now() > endMs) {
      const why = fault === undefined ? '' : `: ${messageOf(fault)}`;
      throw new Error(`not within ${deadlineMs} ms: ${description}${why}`, { cause: fault });
    }
    await delay(POLL_MS);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : JSON.stringify(error);
}
