/** Time that goes on only when there is nothing else to do: the same run every time, and an hour in a moment. */

import type { Clock } from '../../server/ports.js';

interface Timer {
  readonly dueMs: number;
  readonly task: () => void;
}

export interface VirtualClock extends Clock {
  /** Goes on until `promise` is settled; fails when that takes longer than `limitMs` of its own time. */
  until<T>(promise: Promise<T>, what: string, limitMs?: number): Promise<T>;
  /** Goes on until `holds`. */
  when(holds: () => boolean, what: string, limitMs?: number): Promise<void>;
  run(durationMs: number): Promise<void>;
  /** Timers that are set and not cancelled. */
  readonly pendingTimers: number;
}

/** `afterStep` looks at the whole after everything that happened at one moment. */
export function virtualClock(afterStep: () => void): VirtualClock {
  let nowMs = 0;
  let due: (() => void)[] = [];
  const timers = new Set<Timer>();

  function after(delayMs: number, task: () => void): () => void {
    const timer = { dueMs: nowMs + Math.max(0, delayMs), task };
    timers.add(timer);
    return () => void timers.delete(timer);
  }

  function nextTimer(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of timers) if (next === undefined || timer.dueMs < next.dueMs) next = timer;
    return next;
  }

  /** Whatever was resolved goes on before time does. */
  function settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  async function step(): Promise<void> {
    if (due.length > 0) {
      const tasks = due;
      due = [];
      for (const task of tasks) task();
    } else {
      const timer = nextTimer();
      if (timer !== undefined) {
        timers.delete(timer);
        nowMs = timer.dueMs;
        timer.task();
      }
    }
    await settle();
    afterStep();
  }

  /** Several may wait at once: they share the steps. */
  let stepping: Promise<void> | undefined;
  function sharedStep(): Promise<void> {
    stepping ??= step().finally(() => (stepping = undefined));
    return stepping;
  }

  async function when(holds: () => boolean, what: string, limitMs = 10_000): Promise<void> {
    const endMs = nowMs + limitMs;
    await settle();
    while (!holds()) {
      if (nowMs > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
      await sharedStep();
    }
  }

  return {
    nowMs: () => nowMs,
    soon: (task) => void due.push(task),
    after,
    every(periodMs, task) {
      let stop = (): void => undefined;
      const again = (): void => {
        stop = after(periodMs, () => {
          again();
          task();
        });
      };
      again();
      return () => stop();
    },
    get pendingTimers() {
      return timers.size;
    },
    when,
    async until(promise, what, limitMs) {
      let settled = false;
      const over = (): void => void (settled = true);
      promise.then(over, over);
      await when(() => settled, what, limitMs);
      return promise;
    },
    async run(durationMs) {
      const endMs = nowMs + durationMs;
      after(durationMs, () => undefined);
      await when(() => nowMs >= endMs && due.length === 0, 'time goes on', durationMs);
    },
  };
}
