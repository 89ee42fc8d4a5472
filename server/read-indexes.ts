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

/**
 * Turns of the event loop that reads are gathered for. A loop with nothing to do turns within microseconds; one that is busy
 * takes in more reads with each turn, and every round that they share saves messages to and from all the others.
 */
const GATHER_TURNS = 4;

export class ReadIndexes {
  readonly #node: Node;
  readonly #clock: Clock;
  readonly #leadership: Leadership;
  readonly #link: LeaderLink;
  readonly #options: ReadIndexOptions;
  /** Asked for, and perhaps answered. */
  #asking: Promise<Index> | undefined;
  /** Not asked for yet: whoever comes shares it. */
  #gathering: Promise<Index> | undefined;

  constructor(node: Node, clock: Clock, leadership: Leadership, link: LeaderLink, options: ReadIndexOptions) {
    this.#node = node;
    this.#clock = clock;
    this.#leadership = leadership;
    this.#link = link;
    this.#options = options;
  }

  /** An index asked for after this call. Rejects with a `ServiceError`. */
  get(): Promise<Index> {
    // What is out may have been answered already, before this read came: only what is not asked yet is fresh enough.
    this.#gathering ??= this.#gather();
    return this.#gathering;
  }

  async #gather(): Promise<Index> {
    await this.#asking?.catch(() => undefined);
    for (let turn = 0; turn < GATHER_TURNS; turn += 1) {
      await new Promise<void>((resolve) => this.#clock.soon(resolve));
    }
    this.#gathering = undefined;
    this.#asking = this.#fetch(deadlineAfter(this.#clock, this.#options.timeoutMs));
    return this.#asking;
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
