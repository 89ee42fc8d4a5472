/**
 * Read indexes for every linearizable read of this node, wherever the leader is: one request for an index is out at a
 * time, and whatever arrives meanwhile shares the next one (thesis §6.4).
 */

import type { Index } from '../raft/entry.js';
import type { Deadline } from './deadline.js';
import { deadlineAfter } from './deadline.js';
import type { LeaderLink } from './leader-link.js';
import type { Leadership } from './leadership.js';
import { shuttingDown } from './leadership.js';
import type { Node, ReadIndexOutcome } from './node.js';
import type { Clock } from './ports.js';
import { ServiceError } from './service.js';

export interface ReadIndexOptions {
  /** Whether the leader may answer from its lease, without asking a majority first. */
  readonly lease: boolean;
  readonly timeoutMs: number;
}

export class ReadIndexes {
  readonly #node: Node;
  readonly #clock: Clock;
  readonly #leadership: Leadership;
  readonly #link: LeaderLink;
  readonly #options: ReadIndexOptions;
  #current: Promise<Index> | undefined;
  #next: Promise<Index> | undefined;

  constructor(node: Node, clock: Clock, leadership: Leadership, link: LeaderLink, options: ReadIndexOptions) {
    this.#node = node;
    this.#clock = clock;
    this.#leadership = leadership;
    this.#link = link;
    this.#options = options;
  }

  /** An index asked for after this call. Rejects with a `ServiceError`. */
  get(): Promise<Index> {
    if (this.#current === undefined) return this.#start();
    // What is out may have been answered already, before this read came: only the next one is fresh enough.
    this.#next ??= this.#current.then(
      () => this.#start(),
      () => this.#start(),
    );
    return this.#next;
  }

  #start(): Promise<Index> {
    this.#next = undefined;
    const fetched = this.#fetch(deadlineAfter(this.#clock, this.#options.timeoutMs));
    this.#current = fetched;
    const clear = (): void => {
      if (this.#current === fetched) this.#current = undefined;
    };
    fetched.then(clear, clear);
    return fetched;
  }

  async #fetch(deadline: Deadline): Promise<Index> {
    const { lease } = this.#options;
    for (;;) {
      const leader = await this.#leadership.leader(deadline);
      const asked =
        leader === this.#node.state.id
          ? this.#node.readIndex(lease)
          : this.#link.readIndex(leader, lease, deadline.remainingMs());
      const outcome = await this.#leadership.whileLeading(leader, asked, deadline);
      if (outcome?.status === 'confirmed') return outcome.index;
      if (outcome !== undefined) throwIfFinal(outcome);
      await this.#leadership.settle(deadline);
      if (deadline.remainingMs() === 0) throw noQuorum();
    }
  }
}

function throwIfFinal(outcome: ReadIndexOutcome): void {
  if (outcome.status !== 'refused') return;
  if (outcome.why === 'overloaded') {
    throw new ServiceError('overloaded', 'too many reads wait for the leader', { retryAfterSeconds: 1 });
  }
  if (outcome.why === 'stopping') throw shuttingDown();
}

function noQuorum(): ServiceError {
  return new ServiceError(
    'no-quorum',
    'no majority confirmed the leader in time; try consistency=stale for an answer that may be old',
    {
      retryAfterSeconds: 1,
    },
  );
}
