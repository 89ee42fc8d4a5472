/** Who waits for what: proposals for the entry at their index, reads for an index to be applied. */

import type { CommandResult } from '../kv/command.js';
import type { Refusal } from '../raft/raft.js';
import type { Index, Term } from '../raft/entry.js';
import type { Clock } from './ports.js';

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
  /** Those who wait for the commands of the entry, in order. */
  readonly settles: readonly ((outcome: ProposalOutcome) => void)[];
}

/** Proposals by the index that their entry has; commands may share one. */
export class ProposalWaiters {
  readonly #waiting = new Map<Index, Waiting>();
  #onEmpty: (() => void) | undefined;
  #added = 0;
  #size = 0;

  /** All commands that were ever added. */
  get added(): number {
    return this.#added;
  }

  /** Commands that wait. */
  get size(): number {
    return this.#size;
  }

  add(index: Index, term: Term, settles: Waiting['settles']): void {
    // This node led earlier, lost an entry at this index, and leads again. Another log may still hold the lost one, and its
    // node may be elected next and commit it (§5.4.2, Figure 8): nothing is certain before an entry at this index is committed.
    const before = this.#take(index);
    this.#waiting.set(index, { term, settles });
    this.#added += settles.length;
    this.#size += settles.length;
    for (const settle of before?.settles ?? []) settle({ status: 'unresolved' });
  }

  /** The entry of `term` at `index` was applied: (term, index) tells whether it is the one that was waited for. */
  applied(index: Index, term: Term, results: readonly CommandResult[]): void {
    const waiting = this.#take(index);
    if (waiting === undefined) return;
    const isIt = waiting.term === term && results.length === waiting.settles.length;
    waiting.settles.forEach((settle, at) => {
      const result = results[at];
      settle(isIt && result !== undefined ? { status: 'applied', index, result } : { status: 'displaced' });
    });
    if (this.#waiting.size === 0) this.#onEmpty?.();
  }

  /** The state machine has gone on to `through` without telling what became of the entries on the way: a snapshot was restored. */
  skipped(through: Index): void {
    for (const [index, { settles }] of this.#waiting) {
      if (index > through) continue;
      this.#take(index);
      for (const settle of settles) settle({ status: 'unresolved' });
    }
    if (this.#waiting.size === 0) this.#onEmpty?.();
  }

  #take(index: Index): Waiting | undefined {
    const waiting = this.#waiting.get(index);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(index);
    this.#size -= waiting.settles.length;
    return waiting;
  }

  /** Resolves when nothing waits any more, or after `timeoutMs`. */
  whenEmpty(clock: Pick<Clock, 'after'>, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(timeoutMs, resolve);
      this.#onEmpty = () => {
        cancel();
        resolve();
      };
      if (this.#waiting.size === 0) this.#onEmpty();
    });
  }

  abandon(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#size = 0;
    for (const { settles } of waiting) for (const settle of settles) settle({ status: 'unresolved' });
  }
}

/** Reads that wait until the state machine has come far enough. */
export class AppliedWaiters {
  readonly #waiting = new Set<{ readonly index: Index; readonly settle: (reached: boolean) => void }>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Resolves once `index` is applied (true), or after `timeoutMs` or at the stop (false). */
  wait(index: Index, clock: Pick<Clock, 'after'>, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (reached: boolean): void => {
        stopTimer();
        // Who stops waiting must not be remembered until the index comes.
        this.#waiting.delete(waiter);
        resolve(reached);
      };
      const waiter = { index, settle };
      const stopTimer = clock.after(timeoutMs, () => settle(false));
      this.#waiting.add(waiter);
    });
  }

  applied(index: Index): void {
    for (const waiter of this.#waiting) {
      if (waiter.index > index) continue;
      waiter.settle(true);
    }
  }

  abandon(): void {
    for (const { settle } of this.#waiting) settle(false);
  }
}
