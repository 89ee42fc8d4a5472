/** The deadlines of many calls, on one timer: a timer of their own costs more than all else that a call among many needs. */

import { Slots, type Slotted } from './slots.js';

export interface Deadline extends Slotted {
  /** Of `performance.now()`. */
  readonly deadlineMs: number;
  /** Called once the time is up, unless the deadline was taken out before. */
  overdue(): void;
}

export class Deadlines {
  readonly #pending = new Slots<Deadline>();
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires. Invariant: not later than the earliest deadline, in the precision of timers. */
  #wakesAtMs = Infinity;

  add(deadline: Deadline): void {
    this.#pending.add(deadline);
    if (deadline.deadlineMs < this.#wakesAtMs) this.#wakeAt(deadline.deadlineMs);
  }

  delete(deadline: Deadline): void {
    this.#pending.delete(deadline);
    // A timer that nobody needs would keep the process alive.
    if (this.#pending.size === 0) this.#rest();
  }

  #wakeAt(atMs: number): void {
    clearTimeout(this.#timer);
    this.#wakesAtMs = atMs;
    this.#timer = setTimeout(() => this.#wake(), Math.max(0, atMs - performance.now()));
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wakesAtMs = Infinity;
  }

  #wake(): void {
    this.#rest();
    const nowMs = performance.now();
    const late = this.#pending.values().filter(({ deadlineMs }) => deadlineMs <= nowMs);
    for (const deadline of late) this.delete(deadline);
    let earliestMs = Infinity;
    for (const { deadlineMs } of this.#pending.values()) earliestMs = Math.min(earliestMs, deadlineMs);
    if (earliestMs < Infinity) this.#wakeAt(earliestMs);
    for (const deadline of late) deadline.overdue();
  }
}
