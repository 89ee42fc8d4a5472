/** Simulated time: events in order, one after the other, and nothing else ever happens. */

interface Event {
  readonly atMs: number;
  /** Breaks ties: what was scheduled first happens first. */
  readonly order: number;
  readonly task: () => void;
  cancelled: boolean;
}

export class World {
  nowMs = 0;
  steps = 0;
  #order = 0;
  /** A binary heap by time, then order. */
  readonly #heap: Event[] = [];

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

  /** Carries out the next event; false when there is none before `untilMs`. */
  step(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) return false;
      this.#pop();
      if (next.cancelled) continue;
      this.nowMs = next.atMs;
      this.steps += 1;
      next.task();
      return true;
    }
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
