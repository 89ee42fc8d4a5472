/** Histories of a store that is linearizable by construction: each operation takes effect at one moment, in its time. */

import type { Action, Condition, Operation, Outcome } from './history.js';

/** Numbers in [0, 1) from a seed (mulberry32). */
export type Random = () => number;

export function random(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface SimulationOptions {
  readonly clients: number;
  readonly operations: number;
  readonly keys: number;
  /** Share of operations whose client is not told the outcome. */
  readonly uncertain: number;
  /** False: clients are not told revisions. Default: true. */
  readonly revisions?: boolean;
}

interface Planned {
  readonly client: string;
  readonly key: string;
  readonly action: Action;
  readonly invokeMs: number;
  readonly effectMs: number;
  readonly returnMs: number;
  readonly told: boolean;
}

interface Stored {
  readonly value: string;
  readonly revision: number;
}

export function simulate(next: Random, options: SimulationOptions): readonly Operation[] {
  const store = new Map<string, Stored>();
  let revision = 0;
  const planned = plan(next, options).toSorted((a, b) => a.effectMs - b.effectMs);
  const history = planned.map(({ client, key, action, invokeMs, effectMs, returnMs, told }): Operation => {
    revision += 1;
    // Some of what was never answered never happened either.
    const lost = !told && effectMs % 3 < 1;
    const outcome = lost ? undefined : apply(store, key, action, revision);
    return {
      client,
      key,
      action,
      invokeMs,
      returnMs,
      outcome: told && outcome !== undefined ? outcome : { type: 'unknown' },
    };
  });
  const shown = options.revisions === false ? history.map(withoutRevision) : history;
  return shown.toSorted((a, b) => a.invokeMs - b.invokeMs);
}

function plan(next: Random, options: SimulationOptions): readonly Planned[] {
  const planned: Planned[] = [];
  const timesMs = Array.from({ length: options.clients }, () => next() * 5);
  for (let number = 0; number < options.operations; number += 1) {
    const client = number % options.clients;
    const invokeMs = (timesMs[client] ?? 0) + next();
    const told = next() >= options.uncertain;
    const effectMs = invokeMs + next() * (told ? 10 : 60);
    const returnMs = told ? effectMs + next() * 10 : invokeMs + 10;
    timesMs[client] = returnMs;
    const key = `key${Math.floor(next() * options.keys)}`;
    const action = pickAction(next, `v${number}`, number, options.revisions !== false);
    planned.push({ client: `c${client}`, key, action, invokeMs, effectMs, returnMs, told });
  }
  return planned;
}

function pickAction(next: Random, value: string, number: number, conditions: boolean): Action {
  const draw = next();
  if (draw < 0.45) return { type: 'get' };
  if (draw < 0.75) return { type: 'set', value };
  if (draw < 0.85 || !conditions) return { type: 'delete' };
  // Guessed revisions: now and then one is right.
  const guess = Math.max(1, number - Math.floor(next() * 6));
  const condition: Condition = draw < 0.9 ? { type: 'absent' } : { type: 'revision', revision: guess };
  return draw < 0.98 ? { type: 'set', value, condition } : { type: 'delete', condition };
}

function apply(store: Map<string, Stored>, key: string, action: Action, revision: number): Outcome {
  const stored = store.get(key);
  if (action.type === 'get') {
    return stored === undefined ? { type: 'missing' } : { type: 'value', ...stored };
  }
  const { condition } = action;
  const holds =
    condition === undefined ||
    (condition.type === 'absent' ? stored === undefined : stored?.revision === condition.revision);
  if (!holds) return { type: 'mismatch', currentRevision: stored?.revision ?? null };
  if (action.type === 'set') {
    store.set(key, { value: action.value, revision });
    return { type: 'written', revision };
  }
  return store.delete(key) ? { type: 'deleted', revision } : { type: 'not-found' };
}

function withoutRevision(operation: Operation): Operation {
  const { outcome } = operation;
  switch (outcome.type) {
    case 'value':
      return { ...operation, outcome: { type: 'value', value: outcome.value } };
    case 'written':
    case 'deleted':
      return { ...operation, outcome: { type: outcome.type } };
    case 'mismatch':
    case 'missing':
    case 'not-found':
    case 'not-applied':
    case 'unknown':
      return operation;
  }
}
