/**
 * What a log store knows of its log without reading it, and the contract of `append` checked against that. Both
 * implementations use it. A breach is a fault of the caller: it throws, and nothing is written.
 */

import type { Entry, HardState, Index, Position, Term } from '../raft/entry.js';
import type { LogBatch } from './log-store.js';

export interface LogShape {
  /** The position before the first entry. */
  readonly base: Position;
  readonly lastIndex: Index;
  /** Where each run of equal terms starts; as in `RecoveredLog`. */
  readonly termRuns: readonly Position[];
  readonly hardState: HardState | undefined;
}

export function lastTerm(shape: LogShape): Term {
  return shape.termRuns.at(-1)?.term ?? shape.base.term;
}

/** The runs of a log that ends before `end`. */
function runsBefore(runs: readonly Position[], end: Index): readonly Position[] {
  const kept = runs.findLastIndex((run) => run.index < end) + 1;
  return kept === runs.length ? runs : runs.slice(0, kept);
}

/** Without entries at or behind `end`. */
function cutShape(shape: LogShape, end: Index): LogShape {
  if (end > shape.lastIndex) return shape;
  return { ...shape, lastIndex: end - 1, termRuns: runsBefore(shape.termRuns, end) };
}

/**
 * The log after `batch`.
 *
 * @throws Error for a gap, an entry before the base, a term that goes back, a vote that changes within its term, a
 *   term below that of an entry, a commit index behind the last entry.
 */
export function shapeAfter(shape: LogShape, batch: LogBatch): LogShape {
  const first = batch.entries[0];
  let after = shape;
  if (first !== undefined) {
    if (first.index <= shape.base.index || first.index > shape.lastIndex + 1) {
      throw new Error(
        `an entry ${first.index} does not fit a log of ${shape.base.index + 1} to ${shape.lastIndex}`,
      );
    }
    after = extendShape(cutShape(shape, first.index), batch.entries);
  }
  if (batch.hardState !== undefined) {
    checkHardState(shape.hardState, batch.hardState);
    after = { ...after, hardState: batch.hardState };
  }
  const fault = hardStateFault(after);
  if (fault !== undefined) throw new Error(fault);
  return after;
}

function extendShape(shape: LogShape, entries: readonly Entry[]): LogShape {
  const newRuns: Position[] = [];
  let index = shape.lastIndex;
  let term = lastTerm(shape);
  for (const entry of entries) {
    if (entry.index !== index + 1) throw new Error(`entry ${entry.index} follows entry ${index}`);
    if (entry.term < term)
      throw new Error(`entry ${entry.index} goes back from term ${term} to ${entry.term}`);
    if (entry.term > term || index === shape.base.index)
      newRuns.push({ index: entry.index, term: entry.term });
    ({ index, term } = entry);
  }
  const termRuns = newRuns.length === 0 ? shape.termRuns : [...shape.termRuns, ...newRuns];
  return { ...shape, lastIndex: index, termRuns };
}

/** Terms only grow, and a vote once given in a term stays (§5.1, §5.2). */
function checkHardState(before: HardState | undefined, after: HardState): void {
  if (before === undefined) return;
  if (after.term < before.term) throw new Error(`the term goes back from ${before.term} to ${after.term}`);
  if (after.term === before.term && before.vote !== undefined && after.vote !== before.vote) {
    throw new Error(
      `the vote of term ${after.term} changes from ${before.vote} to ${after.vote ?? 'nobody'}`,
    );
  }
}

/** What is wrong between a log and its hard state, in words; undefined when they fit. */
export function hardStateFault(shape: LogShape): string | undefined {
  const { hardState } = shape;
  const term = lastTerm(shape);
  if (hardState === undefined) {
    return shape.lastIndex > 0 ? 'there are entries, but no term and vote' : undefined;
  }
  if (hardState.term < term) return `the term ${hardState.term} lies below the last entry's, ${term}`;
  if (hardState.commit > shape.lastIndex) {
    return `the commit index ${hardState.commit} lies behind the last entry, ${shape.lastIndex}`;
  }
  return undefined;
}

function termAt(shape: LogShape, index: Index): Term | undefined {
  if (index === shape.base.index) return shape.base.term;
  if (index < shape.base.index || index > shape.lastIndex) return undefined;
  return shape.termRuns.findLast((run) => run.index <= index)?.term;
}

/**
 * The log without the entries up to `base`.
 *
 * @throws Error when that is not above the old base, or not an entry of the log
 */
export function compactedShape(shape: LogShape, base: Position): LogShape {
  const { index, term } = base;
  if (index <= shape.base.index || termAt(shape, index) !== term) {
    throw new Error(
      `the log of ${shape.base.index + 1} to ${shape.lastIndex} cannot begin behind entry ${index} of term ${term}`,
    );
  }
  const first = termAt(shape, index + 1);
  const later = shape.termRuns.filter((run) => run.index > index + 1);
  const termRuns = first === undefined ? [] : [{ index: index + 1, term: first }, ...later];
  return { ...shape, base: { index, term }, termRuns };
}

/**
 * An empty log behind `base`.
 *
 * @throws Error when that is not above the old base, or of a term that the log has not reached, or when a committed entry would be lost
 */
export function resetShape(
  shape: LogShape,
  base: Position,
  given: HardState | undefined,
): LogShape & { readonly hardState: HardState } {
  const { index, term } = base;
  if (given !== undefined) checkHardState(shape.hardState, given);
  const hardState = given ?? shape.hardState;
  if (index <= shape.base.index || term < shape.base.term) {
    throw new Error(`the log's base goes from ${shape.base.index} to ${index}, term ${term}`);
  }
  if (hardState === undefined || hardState.term < term) {
    throw new Error(`the log's term, ${hardState?.term ?? 'none'}, is below that of its base, ${term}`);
  }
  if (hardState.commit > index) {
    throw new Error(`entries up to ${hardState.commit} are committed, the base would be ${index}`);
  }
  return {
    base: { index, term },
    lastIndex: index,
    termRuns: [],
    hardState: { ...hardState, commit: index },
  };
}

/** What lies up to the base is committed, whatever the hard state says: it is written with appends, and a compaction does not wait for one. */
export function withCommittedBase(shape: LogShape): LogShape {
  const { hardState, base } = shape;
  if (hardState === undefined || hardState.commit >= base.index) return shape;
  return { ...shape, hardState: { ...hardState, commit: base.index } };
}

/** @throws Error for entries that are not in the durable log. */
export function checkRead(shape: LogShape, from: Index, to: Index): void {
  if (from <= shape.base.index || from > to || to > shape.lastIndex) {
    throw new Error(
      `entries ${from} to ${to} were asked of a log of ${shape.base.index + 1} to ${shape.lastIndex}`,
    );
  }
}
