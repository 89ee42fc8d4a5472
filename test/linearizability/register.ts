/** One key as a sequential object: what an operation may answer in a state, and the state that follows. */

import type { Condition, Operation } from './history.js';

export interface Register {
  /** Undefined: the key is missing. */
  readonly value: string | undefined;
  /** Undefined: written by an operation whose client was never told the revision, and not read since. */
  readonly revision: number | undefined;
  /** The highest revision of this key so far; the next write's is above it. */
  readonly floor: number;
  /** What the unknown revision is not, as refused conditions tell. Empty while `revision` is known. */
  readonly excluded: readonly number[];
}

export const EMPTY: Register = Object.freeze({
  value: undefined,
  revision: undefined,
  floor: 0,
  excluded: [],
});

/**
 * The state after the operation took effect in `state` with the outcome it had; the same object when it changes nothing,
 * undefined when that outcome is impossible there. An unknown outcome is taken as "it took effect": that it did not
 * is for the caller to consider.
 */
export function step(state: Register, operation: Operation): Register | undefined {
  const { action, outcome } = operation;
  switch (outcome.type) {
    case 'value':
      return state.value === outcome.value ? pin(state, outcome.revision) : undefined;
    case 'missing':
    case 'not-found':
      return state.value === undefined ? state : undefined;
    case 'mismatch':
      return mismatched(state, action.type === 'get' ? undefined : action.condition, outcome.currentRevision);
    case 'written':
    case 'deleted':
    case 'unknown': {
      if (action.type === 'get') return undefined;
      const before = conditioned(state, action.condition);
      if (before === undefined) return undefined;
      if (action.type === 'delete' && before.value === undefined) {
        // Without an effect, and so not worth a place of its own when the client knows nothing of it.
        return undefined;
      }
      const revision = outcome.type === 'unknown' ? undefined : outcome.revision;
      return write(before, action.type === 'set' ? action.value : undefined, revision);
    }
    case 'not-applied':
      return undefined;
  }
}

function write(
  state: Register,
  value: string | undefined,
  revision: number | undefined,
): Register | undefined {
  if (revision !== undefined && revision <= state.floor) return undefined;
  const floor = revision ?? state.floor;
  return { value, revision: value === undefined ? undefined : revision, floor, excluded: [] };
}

/** The state once the revision of the value it holds is known to be `revision`. */
function pin(state: Register, revision: number | undefined): Register | undefined {
  if (revision === undefined || state.revision === revision) return state;
  if (state.revision !== undefined || !couldBe(state, revision)) return undefined;
  return { value: state.value, revision, floor: revision, excluded: [] };
}

/** The state in which the condition holds. */
function conditioned(state: Register, condition: Condition | undefined): Register | undefined {
  if (condition === undefined) return state;
  if (condition.type === 'absent') return state.value === undefined ? state : undefined;
  return state.value === undefined ? undefined : pin(state, condition.revision);
}

function mismatched(
  state: Register,
  condition: Condition | undefined,
  current: number | null | undefined,
): Register | undefined {
  if (condition === undefined) return undefined;
  if (condition.type === 'absent' && state.value === undefined) return undefined;
  if (current === null) return state.value === undefined ? state : undefined;
  if (current !== undefined && state.value === undefined) return undefined;
  const known = pin(state, current);
  if (known === undefined || condition.type === 'absent' || known.value === undefined) return known;
  if (known.revision !== undefined) return known.revision === condition.revision ? undefined : known;
  if (!couldBe(known, condition.revision)) return known;
  return { ...known, excluded: [...known.excluded, condition.revision] };
}

/** Whether the revision that is not known could be this one. */
function couldBe(state: Register, revision: number): boolean {
  return revision > state.floor && !state.excluded.includes(revision);
}
