/** Waiting, for a bounded time, and until a signal is aborted. */

import type { AbortSignalLike } from './options.js';

/** What a promise came to, or that it was not waited for any longer. */
export type Waited<T> = { readonly settled: true; readonly value: T } | { readonly settled: false };

/** Waits for the promise, which must not reject, for so many milliseconds and until the signal is aborted. */
export function within<T>(promise: Promise<T>, ms: number, signal: AbortSignalLike): Promise<Waited<T>> {
  return new Promise((resolve) => {
    const finish = (waited: Waited<T>) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      resolve(waited);
    };
    const giveUp = () => finish({ settled: false });
    const timer = setTimeout(giveUp, ms);
    signal.addEventListener('abort', giveUp);
    if (signal.aborted) giveUp();
    void promise.then((value) => finish({ settled: true, value }));
  });
}

/** Resolves after so many milliseconds, or as soon as the signal is aborted. */
export function sleep(ms: number, signal: AbortSignalLike): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
