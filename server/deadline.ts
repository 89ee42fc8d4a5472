/** Bounds in time: a request has its answer within its time-out, whatever it waits for. */

import type { Clock } from './ports.js';

export interface Deadline {
  /** Not below zero. */
  remainingMs(): number;
  /** Resolves like `promise`, or to undefined once the time is over; what `promise` does later is ignored. */
  race<T>(promise: Promise<T>): Promise<T | undefined>;
  /** The same of many that begin together and never reject, with one timer: resolves once all have, or the time is over. */
  raceAll<T>(promises: readonly Promise<T>[]): Promise<readonly (T | undefined)[]>;
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
    raceAll<T>(promises: readonly Promise<T>[]): Promise<readonly (T | undefined)[]> {
      return new Promise((resolve, reject) => {
        const values = promises.map((): T | undefined => undefined);
        let left = promises.length;
        if (left === 0) resolve(values);
        const cancel = clock.after(remainingMs(), () => resolve([...values]));
        promises.forEach((promise, at) => {
          promise.then((value) => {
            values[at] = value;
            left -= 1;
            if (left > 0) return;
            cancel();
            resolve(values);
          }, reject);
        });
      });
    },
  };
}
