/** What uncertain writes must have done, concluded from what others saw. Without it, each could be tried anywhere. */

import type { Operation } from './history.js';

/** An operation as the search takes it, beside the one that was recorded. */
export interface Inferred {
  readonly recorded: Operation;
  readonly operation: Operation;
}

/**
 * - An uncertain write whose value was read, and which no other operation wrote, took effect, before the first of those
 *   reads returned, at the revision that they tell.
 * - The value of an uncertain write that nobody read is of no consequence; such writes are made equal to each other.
 *
 * Takes the operations on one key.
 */
export function infer(operations: readonly Operation[]): readonly Inferred[] {
  const writers = new Map<string, number>();
  const readers = new Map<string, Operation[]>();
  for (const operation of operations) {
    const { action, outcome } = operation;
    if (action.type === 'set') writers.set(action.value, (writers.get(action.value) ?? 0) + 1);
    if (outcome.type === 'value') {
      const list = readers.get(outcome.value);
      if (list === undefined) readers.set(outcome.value, [operation]);
      else list.push(operation);
    }
  }
  let unread = '(not read by anybody)';
  while (readers.has(unread)) unread += ' ';
  return operations.map((recorded) => {
    const { action, outcome } = recorded;
    if (action.type !== 'set' || outcome.type !== 'unknown') return { recorded, operation: recorded };
    const seenBy = readers.get(action.value);
    if (seenBy === undefined)
      return { recorded, operation: { ...recorded, action: { ...action, value: unread } } };
    if (writers.get(action.value) !== 1) return { recorded, operation: recorded };
    return { recorded, operation: happened(recorded, seenBy) };
  });
}

function happened(write: Operation, seenBy: readonly Operation[]): Operation {
  const returnMs = Math.min(...seenBy.map((read) => read.returnMs));
  const revision = seenBy
    .map(({ outcome }) => (outcome.type === 'value' ? outcome.revision : undefined))
    .find((known) => known !== undefined);
  const known = revision === undefined ? {} : { revision };
  return { ...write, returnMs, outcome: { type: 'written', ...known } };
}
