/** A call that waits for its place in a batch, and for its result. It fails, is stopped and is repeated on its own. */

import { attempt, valueOf, type Channel } from './attempt.js';
import type { Deadline, Deadlines } from './deadlines.js';
import { overdue, type Answer, type Failure } from './failure.js';
import type { Turn } from './key-order.js';
import type { Wish } from './nodes.js';
import type { Attempted, Operation, Piped } from './operation.js';
import type { AbortSignalLike } from './options.js';
import type { Ticket } from './session.js';

/** What one call gives to be sent. */
export interface Submission<T> {
  readonly operation: Operation<T>;
  readonly piped: Piped;
  /** Of the calls on its key; undefined where order says nothing. */
  readonly turn: Turn | undefined;
  readonly wish: Wish;
  /** Of `performance.now()`. */
  readonly deadlineMs: number;
  readonly signal: AbortSignalLike;
  /** Of a write. */
  readonly ticket: Pick<Ticket, 'header'> | undefined;
}

/** What a passenger needs of its lane. */
export interface Surroundings {
  readonly channel: Channel;
  readonly deadlines: Deadlines;
}

export class Passenger<T> implements Deadline {
  readonly piped: Piped;
  readonly turn: Turn | undefined;
  readonly wish: Wish;
  readonly isWrite: boolean;
  readonly deadlineMs: number;
  slot: number | undefined;
  isSettled = false;
  readonly #submission: Submission<T>;
  readonly #surroundings: Surroundings;
  readonly #resolve: (attempted: Attempted<T>) => void;
  readonly #startedMs = performance.now();
  readonly #giveUp = () => this.overdue();
  #sentTo: string | undefined;
  #onSettled: (() => void) | undefined;

  constructor(
    submission: Submission<T>,
    surroundings: Surroundings,
    resolve: (attempted: Attempted<T>) => void,
  ) {
    this.piped = submission.piped;
    this.turn = submission.turn;
    this.wish = submission.wish;
    this.isWrite = submission.operation.isWrite;
    this.deadlineMs = submission.deadlineMs;
    this.#submission = submission;
    this.#surroundings = surroundings;
    this.#resolve = resolve;
    surroundings.deadlines.add(this);
    submission.signal.addEventListener('abort', this.#giveUp);
    if (submission.signal.aborted) this.overdue();
  }

  /** Its entry in `ops`. */
  text(): string {
    const { ticket } = this.#submission;
    const text = this.piped.text();
    return ticket === undefined ? `${text}}` : `${text},"session":"${ticket.header()}"}`;
  }

  /** It goes in this batch; `onSettled` is called when nobody waits for it any more. */
  travel(origin: string, onSettled: () => void): void {
    this.#sentTo = origin;
    this.#onSettled = onSettled;
  }

  /** It goes by itself. Resolves when it is over. */
  async alone(origin: string): Promise<void> {
    this.#unwatch();
    const { operation, signal, ticket } = this.#submission;
    const bounds = { remainingMs: Math.max(0, this.deadlineMs - performance.now()), signal };
    this.#settle(await attempt(this.#surroundings.channel, operation, origin, bounds, ticket?.header()));
  }

  succeed(origin: string, answer: Answer): void {
    this.#settle(valueOf(this.#submission.operation, answer, origin));
  }

  fail(origin: string, failure: Failure): void {
    this.#settle({ origin, failure: this.isWrite ? failure : { ...failure, outcome: 'not-applied' } });
  }

  /** Its time is up, or the call was stopped. */
  overdue(): void {
    const origin = this.#sentTo;
    this.#settle({ origin, failure: overdue(this.isWrite, origin, this.deadlineMs - this.#startedMs) });
  }

  #unwatch(): void {
    this.#surroundings.deadlines.delete(this);
    this.#submission.signal.removeEventListener('abort', this.#giveUp);
  }

  #settle(attempted: Attempted<T>): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.#unwatch();
    this.#resolve(attempted);
    this.#onSettled?.();
  }
}
