/** The real clock: monotonic, and timers that don't keep a process alive which has nothing else to do. */

import type { Clock } from './ports.js';

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  soon: (task) => void setImmediate(task),
  every(periodMs, task) {
    const timer = setInterval(task, periodMs);
    return () => clearInterval(timer);
  },
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};
