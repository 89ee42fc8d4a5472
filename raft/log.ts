/**
 * The log as the core sees it: the term of every entry, the payloads of the newest ones, and how far it is durable,
 * committed and applied. Older payloads are on disk only; the loop brings them back (`Ready.fetches`).
 */

import { invariant } from './assert.js';
import type { Entry, Index, Position, Term } from './entry.js';
import { entryBytes } from './entry.js';
import { EntryCache } from './entry-cache.js';
import { TermRuns } from './term-runs.js';

/** What the log is made from: the part of a recovered log store that the core needs. */
export interface LogSeed {
  readonly base: Position;
  readonly termRuns: readonly Position[];
  readonly lastIndex: Index;
  readonly tail: readonly Entry[];
  readonly commit: Index;
  readonly applied: Index;
}

export class RaftLog {
  /** The position before the first entry. */
  #base: Position;
  #terms: TermRuns;
  #cache: EntryCache;
  #lastIndex: Index;
  #durable: Index;
  #commit: Index;
  #applied: Index;
  #uncommittedBytes = 0;
  readonly #cacheBytesMax: number;

  constructor(seed: LogSeed, cacheBytesMax: number) {
    this.#cacheBytesMax = cacheBytesMax;
    this.#base = seed.base;
    this.#terms = new TermRuns(seed.termRuns);
    this.#cache = new EntryCache(cacheBytesMax, seed.tail, seed.lastIndex);
    this.#lastIndex = seed.lastIndex;
    // What was recovered came from the disk.
    this.#durable = seed.lastIndex;
    this.#applied = seed.applied;
    this.#commit = Math.max(seed.commit, seed.applied, seed.base.index);
    invariant(
      this.#commit <= this.#lastIndex,
      `commit ${this.#commit} is beyond the log's end ${this.#lastIndex}`,
    );
    this.#uncommittedBytes = this.#cache.bytesBehind(this.#commit);
  }

  get base(): Position {
    return this.#base;
  }

  get firstIndex(): Index {
    return this.#base.index + 1;
  }

  get lastIndex(): Index {
    return this.#lastIndex;
  }

  get lastTerm(): Term {
    return this.termAt(this.#lastIndex) ?? 0;
  }

  /** The state machine was lost, and the log begins too late to make it anew: nothing is applied before a snapshot is. */
  get lacksState(): boolean {
    return this.#applied < this.#base.index;
  }

  /** This node's own disk holds everything up to here. Invariant: applied <= durable <= lastIndex. */
  get durable(): Index {
    return this.#durable;
  }

  /** Invariant: applied <= commit <= lastIndex; never goes back. */
  get commit(): Index {
    return this.#commit;
  }

  /** Never goes back. */
  get applied(): Index {
    return this.#applied;
  }

  /** What may be applied: committed, and durable in this very log. */
  get applicable(): Index {
    return Math.min(this.#commit, this.#durable);
  }

  get uncommittedBytes(): number {
    return this.#uncommittedBytes;
  }

  get cachedBytes(): number {
    return this.#cache.bytes;
  }

  /** The starts of the runs of equal terms, for checks. */
  get termRuns(): readonly Position[] {
    return this.#terms.runs;
  }

  /** Undefined outside of `base.index`..`lastIndex`. */
  termAt(index: Index): Term | undefined {
    if (index === this.#base.index) return this.#base.term;
    if (index < this.#base.index || index > this.#lastIndex) return undefined;
    return this.#terms.at(index);
  }

  holds(position: Position): boolean {
    return this.termAt(position.index) === position.term;
  }

  /** §5.4.1: is a log that ends like this at least as up to date as this one? */
  isUpToDate(lastIndex: Index, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.#lastIndex);
  }

  /** Whether what is on this node's disk ends at `position` or later, by the order of §5.4.1. */
  isDurableTo({ index, term }: Position): boolean {
    const durableTerm = this.termAt(this.#durable) ?? 0;
    return durableTerm > term || (durableTerm === term && this.#durable >= index);
  }

  /** The largest index <= `index` whose term is <= `term`: where a log that has `term` at `index` may still agree. */
  lastIndexOfTermAtMost(index: Index, term: Term): Index {
    const within = Math.min(index, this.#lastIndex);
    return Math.max(this.#base.index, this.#terms.lastIndexOfTermAtMost(within, term));
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      invariant(
        entry.index === this.#lastIndex + 1,
        `entry ${entry.index} does not follow ${this.#lastIndex}`,
      );
      invariant(entry.term >= this.lastTerm, `entry ${entry.index} goes back to term ${entry.term}`);
      this.#terms.push(entry.index, entry.term);
      this.#cache.push(entry);
      this.#lastIndex = entry.index;
      this.#uncommittedBytes += entryBytes(entry);
    }
  }

  /** Removes the entries from `index` on (§5.3). What is committed is never removed. */
  truncateFrom(index: Index): void {
    invariant(
      index > this.#commit,
      `entry ${index} is committed (up to ${this.#commit}) and can't be removed`,
    );
    this.#terms.truncateFrom(index);
    this.#cache.truncateFrom(index);
    this.#lastIndex = index - 1;
    this.#durable = Math.min(this.#durable, this.#lastIndex);
    this.#uncommittedBytes = this.#cache.bytesBehind(this.#commit);
  }

  /** Returns whether it advanced. The only place where the commit index changes. */
  commitTo(index: Index): boolean {
    if (index <= this.#commit) return false;
    invariant(index <= this.#lastIndex, `commit ${index} is beyond the log's end ${this.#lastIndex}`);
    this.#uncommittedBytes = this.#cache.bytesBehind(index, this.#commit, this.#uncommittedBytes);
    this.#commit = index;
    this.#evict();
    return true;
  }

  /** The entry at `position` reached the disk. Ignored when the log has another entry there by now (the ABA guard). */
  durableTo(position: Position): void {
    if (position.index <= this.#durable || !this.holds(position)) return;
    this.#durable = position.index;
    this.#evict();
  }

  /**
   * Begins behind `index` from now on: a snapshot covers what is before (§7). Only what is applied can be covered.
   */
  compactTo(index: Index): void {
    invariant(index <= this.#applied, `entry ${index} is not applied, no snapshot covers it`);
    const term = this.termAt(index);
    invariant(term !== undefined, `the log does not hold entry ${index}`);
    if (index === this.#lastIndex) this.#terms = new TermRuns([]);
    else this.#terms.compactTo(index);
    this.#base = { index, term };
  }

  /** A snapshot takes the log's place (§7): it is durable, committed and applied, and nothing is known of what follows it. */
  replaceBy({ index, term }: Position): void {
    invariant(
      index >= this.#commit,
      `a snapshot at ${index} goes back behind what is committed, ${this.#commit}`,
    );
    this.#base = { index, term };
    this.#terms = new TermRuns([]);
    this.#cache = new EntryCache(this.#cacheBytesMax, [], index);
    this.#lastIndex = index;
    this.#durable = index;
    this.#commit = index;
    this.#applied = index;
    this.#uncommittedBytes = 0;
  }

  /** The state machine was restored from a snapshot at `index`; the log stays as it is. */
  restoredTo(index: Index): void {
    invariant(index >= this.#base.index, `the log begins behind the snapshot at ${index}`);
    invariant(
      index <= this.#durable,
      `a snapshot at ${index} is beyond what the log holds, ${this.#durable}`,
    );
    this.commitTo(index);
    this.appliedTo(index);
  }

  appliedTo(index: Index): void {
    invariant(index >= this.#applied, `applied goes back from ${this.#applied} to ${index}`);
    invariant(
      index <= this.applicable,
      `applied ${index} is beyond what may be applied (${this.applicable})`,
    );
    this.#applied = index;
  }

  /**
   * Entries `from`..`to`, fewer when their payloads exceed `bytesMax` (the first one always comes along); undefined
   * when the first one is not in memory.
   */
  entries(from: Index, to: Index, bytesMax: number): readonly Entry[] | undefined {
    return this.#cache.slice(from, Math.min(to, this.#lastIndex), bytesMax);
  }

  #evict(): void {
    this.#cache.evict(Math.min(this.#durable, this.#commit));
  }
}
