/**
 * Lets reads go once the state is fresh enough for them. Those that share a read index are let go together, in one turn of the event loop and
 * with one timer: a few promises and a timer for each were measured to cost more than the rest of what a node does for a read.
 */

import type { Index } from '../raft/entry.js';
import { shuttingDown } from './leadership.js';
import type { Node } from './node.js';
import type { Clock } from './ports.js';
import type { ReadIndexes } from './read-indexes.js';
import { ServiceError } from './service.js';
import type { GapState } from './state-gap.js';
import { gapFault } from './state-gap.js';

/** What of a node tells how fresh its state is. */
export interface FreshNode extends Pick<Node, 'appliedIndex' | 'whenApplied' | 'isStopped'> {
  readonly state: GapState;
}

export interface FreshReadsParts {
  readonly node: FreshNode;
  readonly clock: Pick<Clock, 'nowMs' | 'after'>;
  readonly indexes: Pick<ReadIndexes, 'get'>;
  /** How long a read waits. */
  readonly timeoutMs: number;
}

interface Waiting {
  readonly endMs: number;
  readonly fresh: (index: Index) => void;
  readonly failed: (fault: Error) => void;
}

interface Batch {
  readonly index: Promise<Index>;
  /** In the order in which they came, which is that of their ends. */
  waiting: Waiting[];
  stopTimer: () => void;
}

export class FreshReads {
  readonly #parts: FreshReadsParts;
  /** That of the last read; the next one may share its index. */
  #last: Batch | undefined;

  constructor(parts: FreshReadsParts) {
    this.#parts = parts;
  }

  /**
   * Calls one of the two, later: `fresh` with an index that was asked for after this call and is applied here by then; `failed` with a
   * `ServiceError` when that can't be, or not in time. Neither may throw.
   */
  wait(fresh: Waiting['fresh'], failed: Waiting['failed']): void {
    const { clock, indexes, timeoutMs } = this.#parts;
    const index = indexes.get();
    if (this.#last?.index !== index) this.#last = this.#begin(index);
    this.#last.waiting.push({ endMs: clock.nowMs() + timeoutMs, fresh, failed });
  }

  #begin(index: Promise<Index>): Batch {
    const batch: Batch = { index, waiting: [], stopTimer: () => undefined };
    this.#failAfter(batch, this.#parts.timeoutMs);
    void index.then(
      (confirmed) => this.#confirmed(batch, confirmed),
      (error: unknown) => this.#fail(batch, error instanceof Error ? error : new Error(String(error))),
    );
    return batch;
  }

  async #confirmed(batch: Batch, index: Index): Promise<void> {
    const { node, clock } = this.#parts;
    if (index <= node.appliedIndex) {
      this.#letGo(batch, index);
      return;
    }
    batch.stopTimer();
    for (let [first] = batch.waiting; first !== undefined; [first] = batch.waiting) {
      const reached = await node.whenApplied(index, Math.max(0, first.endMs - clock.nowMs()));
      const fault = faultOf(node);
      if (fault !== undefined) this.#fail(batch, fault);
      else if (reached) this.#letGo(batch, index);
      else this.#failLate(batch);
    }
  }

  #letGo(batch: Batch, index: Index): void {
    for (const { fresh } of this.#close(batch)) fresh(index);
  }

  #fail(batch: Batch, fault: Error): void {
    for (const { failed } of this.#close(batch)) failed(fault);
  }

  /** Those that wait still, for the last time. */
  #close(batch: Batch): readonly Waiting[] {
    batch.stopTimer();
    if (this.#last === batch) this.#last = undefined;
    const { waiting } = batch;
    batch.waiting = [];
    return waiting;
  }

  #failAfter(batch: Batch, delayMs: number): void {
    batch.stopTimer = this.#parts.clock.after(delayMs, () => {
      this.#failLate(batch);
      const [first] = batch.waiting;
      if (first !== undefined) this.#failAfter(batch, Math.max(0, first.endMs - this.#parts.clock.nowMs()));
    });
  }

  /** Those whose time is over. */
  #failLate(batch: Batch): void {
    const { node, clock } = this.#parts;
    const nowMs = clock.nowMs();
    const left = batch.waiting.findIndex(({ endMs }) => endMs > nowMs);
    const late = batch.waiting.splice(0, left < 0 ? batch.waiting.length : left);
    // Its timer has ended; whoever comes next begins another, even for the same index.
    if (batch.waiting.length === 0 && this.#last === batch) this.#last = undefined;
    for (const { failed } of late) failed(lateness(node));
  }
}

/** Why the state can't be read from after a wait for an index; undefined: it can, once the index is reached. */
export function faultOf(node: FreshNode): ServiceError | undefined {
  return node.isStopped ? shuttingDown() : gapFault(node.state);
}

/** Why the state was not fresh enough in time. */
export function lateness(node: FreshNode): ServiceError {
  return (
    faultOf(node) ??
    new ServiceError('no-quorum', 'the node could not catch up with the leader in time', {
      retryAfterSeconds: 1,
    })
  );
}
