/** A machine's timers, by its own clock. */

import type { Clock } from '../../server/ports.js';

const SOON_MS = 0.01;

/** @param after the same in the world's time */
export function clockOf(
  after: (delayMs: number, task: () => void) => () => void,
  rate: () => number,
): Omit<Clock, 'nowMs'> {
  const local = (delayMs: number, task: () => void): (() => void) => after(delayMs / rate(), task);
  return {
    soon: (task) => void after(SOON_MS, task),
    after: local,
    every: (periodMs, task) => {
      let cancel: () => void;
      const again = (): void => {
        cancel = local(periodMs, () => {
          again();
          task();
        });
      };
      again();
      return () => cancel();
    },
  };
}
