/** Commands that were proposed to this node, from the call until they are decided. */

import type { CommandResult } from '../kv/command.js';
import type { Index, Term } from '../raft/entry.js';
import type { Raft, Refusal } from '../raft/raft.js';
import type { WriteStages } from './metrics/write-stages.js';
import type { Clock } from './ports.js';
import { SharedEntries } from './shared-entries.js';
import type { ProposalOutcome } from './waiters.js';
import { ProposalWaiters } from './waiters.js';

export interface ProposalsOptions {
  readonly core: Pick<Raft, 'propose' | 'refusal'>;
  readonly clock: Pick<Clock, 'nowMs' | 'after'>;
  readonly logTimeMs: () => number;
  /** That wait to be decided, at most; further ones are refused as `overloaded`. */
  readonly max: number;
  readonly stages: WriteStages | undefined;
}

/**
 * Turns of the event loop that commands are gathered for once the disk is free, where more than one is waiting: one alone goes at once. A loop with
 * nothing to do turns within microseconds; one that is busy takes in more with each turn, and a batch costs the same however many share it.
 */
const GATHER_TURNS = 4;

export class Proposals {
  readonly #options: ProposalsOptions;
  /** Not in the log yet. */
  readonly #gathered = new SharedEntries();
  readonly #waiters = new ProposalWaiters();
  /** That the gathered ones have waited for others, with the disk free. */
  #turns = 0;

  constructor(options: ProposalsOptions) {
    this.#options = options;
  }

  /** Those that wait to be decided. */
  get size(): number {
    return this.#gathered.size + this.#waiters.size;
  }

  /** All that were ever appended here. */
  get added(): number {
    return this.#waiters.added;
  }

  /** Takes a command to be appended soon. Once one is refused, so are all behind it until something is appended or decided. */
  add(command: Uint8Array): Promise<ProposalOutcome> {
    const why = this.#refusal();
    if (why !== undefined) return Promise.resolve({ status: 'refused', why });
    return new Promise((settle) => this.#gathered.add(command, settle, this.#options.clock.nowMs()));
  }

  #refusal(): Refusal | undefined {
    if (this.size >= this.#options.max) return 'overloaded';
    return this.#options.core.refusal(this.#gathered.bytes);
  }

  /**
   * Appends what was gathered, once the disk can take it; where this node leads no more, nobody waits for that.
   *
   * @returns whether another turn is wanted
   */
  turn(isDiskFree: boolean): boolean {
    if (this.#gathered.size === 0) return false;
    const leads = this.#options.core.refusal() === undefined;
    if (leads && !isDiskFree) return false;
    if (leads && this.size > 1 && this.#turns < GATHER_TURNS) {
      this.#turns += 1;
      return true;
    }
    this.#append();
    return false;
  }

  /** All or none: what is refused in between would be out of order. */
  #append(): void {
    if (this.#gathered.size === 0) return;
    this.#turns = 0;
    const { core, clock, logTimeMs, stages } = this.#options;
    const why = core.refusal();
    if (why !== undefined) {
      this.#gathered.refuse({ status: 'refused', why });
      return;
    }
    const waitedMs = clock.nowMs() - this.#gathered.sinceMs;
    const entries = this.#gathered.take(logTimeMs());
    const proposed = core.propose(entries.map(({ data }) => data));
    if (typeof proposed === 'string') throw new Error(`gathered commands are refused as ${proposed}`);
    const { term, firstIndex } = proposed;
    stages?.proposed(firstIndex, waitedMs);
    entries.forEach(({ settles }, at) => this.#waiters.add(firstIndex + at, term, settles));
  }

  /** See `ProposalWaiters.applied`. */
  applied(index: Index, term: Term, results: readonly CommandResult[]): void {
    this.#waiters.applied(index, term, results);
  }

  /** See `ProposalWaiters.skipped`. */
  skipped(through: Index): void {
    this.#waiters.skipped(through);
  }

  /** Resolves once none waits, or after `timeoutMs`. */
  whenEmpty(timeoutMs: number): Promise<void> {
    this.#append();
    return this.#waiters.whenEmpty(this.#options.clock, timeoutMs);
  }

  /** The node stops: what is in the log stays undecided, what is not never will be. */
  abandon(): void {
    this.#gathered.refuse({ status: 'refused', why: 'stopping' });
    this.#waiters.abandon();
  }
}
