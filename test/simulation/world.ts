/** Simulated time: events in order, one after the other, and nothing else ever happens. */

interface Event {
  readonly atMs: number;
  /** Breaks ties: what was scheduled first happens first. */
  readonly order: number;
  readonly task: () => void;
  cancelled: boolean;
}

/** So many steps are no run any more, but a loop: in the whole run, and at one moment of it. */
export interface StepLimits {
  readonly stepsMax: number;
  readonly stepsAtOnceMax: number;
}

const NO_LIMITS: StepLimits = { stepsMax: Infinity, stepsAtOnceMax: Infinity };

export class World {
  nowMs = 0;
  steps = 0;
  #order = 0;
  /** A binary heap by time, then order. */
  readonly #heap: Event[] = [];
  readonly #limits: StepLimits;
  /** Of the steps, those since time went on last. */
  #stepsAtOnce = 0;

  constructor(limits = NO_LIMITS) {
    this.#limits = limits;
  }

  /** Runs `task` after `delayMs`; the result cancels it. */
  after(delayMs: number, task: () => void): () => void {
    this.#order += 1;
    const event: Event = {
      atMs: this.nowMs + Math.max(0, delayMs),
      order: this.#order,
      task,
      cancelled: false,
    };
    this.#push(event);
    return () => {
      event.cancelled = true;
    };
  }

  /**
   * Carries out the next event; false when there is none before `untilMs`.
   *
   * @throws Error when the run is beyond its limits.
   */
  step(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) return false;
      this.#pop();
      if (next.cancelled) continue;
      this.#count(next.atMs);
      next.task();
      return true;
    }
  }

  #count(atMs: number): void {
    const { stepsMax, stepsAtOnceMax } = this.#limits;
    this.steps += 1;
    this.#stepsAtOnce = atMs > this.nowMs ? 1 : this.#stepsAtOnce + 1;
    this.nowMs = atMs;
    if (this.steps > stepsMax)
      throw new Error(`the run does not end: after ${stepsMax} steps it is at ${atMs.toFixed(1)} ms`);
    if (this.#stepsAtOnce > stepsAtOnceMax)
      throw new Error(`the run does not end: ${stepsAtOnceMax} steps, and it is still ${atMs.toFixed(3)} ms`);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const up = (at - 1) >>> 1;
      const parent = heap[up];
      if (parent === undefined || !isBefore(event, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const [left, right] = [heap[child], heap[child + 1]];
      if (left === undefined) break;
      let least = left;
      if (right !== undefined && isBefore(right, left)) {
        child += 1;
        least = right;
      }
      if (!isBefore(least, last)) break;
      heap[at] = least;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Turns of the promise queue after each event: enough for what one event sets off; the rest goes on with the next. */
const MICROTASKS_PER_STEP = 16;

/** Lets promises that one event settled run on, before the next event. Deterministic: no timer, no I/O. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < MICROTASKS_PER_STEP; turn += 1) await Promise.resolve();
}
