/** Bounds in time: a request has its answer within its time-out, whatever it waits for. */

import type { Clock } from './ports.js';

export interface Deadline {
  /** Not below zero. */
  remainingMs(): number;
  /** Resolves like `promise`, or to undefined once the time is over; what `promise` does later is ignored. */
  race<T>(promise: Promise<T>): Promise<T | undefined>;
}

export function deadlineAfter(clock: Clock, timeoutMs: number): Deadline {
  const endMs = clock.nowMs() + timeoutMs;
  const remainingMs = (): number => Math.max(0, endMs - clock.nowMs());
  return {
    remainingMs,
    race: (promise) =>
      new Promise((resolve, reject) => {
        const cancel = clock.after(remainingMs(), () => resolve(undefined));
        promise.then(
          (value) => {
            cancel();
            resolve(value);
          },
          (error: unknown) => {
            cancel();
            reject(error instanceof Error ? error : new Error(String(error)));
          },
        );
      }),
  };
}
