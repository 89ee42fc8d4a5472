/** Who waits for what: proposals for the entry at their index, reads for an index to be applied. */

import type { CommandResult } from '../kv/command.js';
import type { Refusal } from '../raft/raft.js';
import type { Index, Term } from '../raft/entry.js';

export type ProposalOutcome =
  | { readonly status: 'applied'; readonly index: Index; readonly result: CommandResult }
  /** It was never appended. */
  | { readonly status: 'refused'; readonly why: Refusal | 'stopping' | 'disk-full' }
  /** Another leader's entry was committed in its place: it is certainly not applied, and never will be. */
  | { readonly status: 'displaced' }
  /** This node can't tell: it stops before it is decided, or has lost sight of the entry. */
  | { readonly status: 'unresolved' };

interface Waiting {
  readonly term: Term;
  readonly settle: (outcome: ProposalOutcome) => void;
}

/** Proposals by the index that their entry has. */
export class ProposalWaiters {
  readonly #waiting = new Map<Index, Waiting>();
  #onEmpty: (() => void) | undefined;

  get size(): number {
    return this.#waiting.size;
  }

  add(index: Index, term: Term, settle: (outcome: ProposalOutcome) => void): void {
    // This node led earlier, lost an entry at this index, and leads again. Another log may still hold the lost one, and its
    // node may be elected next and commit it (§5.4.2, Figure 8): nothing is certain before an entry at this index is committed.
    this.#waiting.get(index)?.settle({ status: 'unresolved' });
    this.#waiting.set(index, { term, settle });
  }

  /** The entry of `term` at `index` was applied: (term, index) tells whether it is the one that was waited for. */
  applied(index: Index, term: Term, result: CommandResult | undefined): void {
    const waiting = this.#waiting.get(index);
    if (waiting === undefined) return;
    this.#waiting.delete(index);
    if (waiting.term !== term || result === undefined) waiting.settle({ status: 'displaced' });
    else waiting.settle({ status: 'applied', index, result });
    if (this.#waiting.size === 0) this.#onEmpty?.();
  }

  /** Calls `task` when nothing waits any more. */
  whenEmpty(task: () => void): void {
    this.#onEmpty = task;
    if (this.#waiting.size === 0) task();
  }

  abandon(): void {
    for (const { settle } of this.#waiting.values()) settle({ status: 'unresolved' });
    this.#waiting.clear();
  }
}

/** Reads that wait until the state machine has come far enough. */
export class AppliedWaiters {
  readonly #waiting = new Set<{ readonly index: Index; readonly settle: (reached: boolean) => void }>();

  get size(): number {
    return this.#waiting.size;
  }

  /** The result takes it back: who stops waiting must not be remembered until the index comes. */
  add(index: Index, settle: (reached: boolean) => void): () => void {
    const waiter = { index, settle };
    this.#waiting.add(waiter);
    return () => void this.#waiting.delete(waiter);
  }

  applied(index: Index): void {
    for (const waiter of this.#waiting) {
      if (waiter.index > index) continue;
      this.#waiting.delete(waiter);
      waiter.settle(true);
    }
  }

  abandon(): void {
    for (const { settle } of this.#waiting) settle(false);
    this.#waiting.clear();
  }
}
