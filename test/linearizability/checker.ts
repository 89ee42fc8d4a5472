/**
 * Decides whether a history of operations on a key-value store is linearizable: Wing and Gong's search with Lowe's
 * memoisation (G. Lowe, "Testing for linearizability", 2017), key by key, since linearizability is local
 * (Herlihy and Wing, 1990). Revisions, where clients were told them, must grow in the order of linearization.
 */

import { infer } from './infer.js';
import { describeOperation, type Operation } from './history.js';
import { EMPTY, step, type Register } from './register.js';

export type Verdict =
  | { readonly type: 'linearizable' }
  | { readonly type: 'violation'; readonly key: string; readonly report: string }
  /** The search was given up: a failure too, since nothing is known. */
  | { readonly type: 'undecided'; readonly key: string; readonly report: string };

export interface CheckOptions {
  /** Steps of the search per key, at most. Default: 2,000,000, which takes seconds. */
  readonly stepsMax?: number;
}

const STEPS_MAX = 2_000_000;
/** How many of the operations before the failure a report shows. */
const REPORT_BEFORE = 8;

export function checkHistory(history: readonly Operation[], options: CheckOptions = {}): Verdict {
  const keys = new Map<string, Operation[]>();
  for (const operation of history) {
    if (!matters(operation)) continue;
    const list = keys.get(operation.key);
    if (list === undefined) keys.set(operation.key, [operation]);
    else list.push(operation);
  }
  for (const [key, operations] of keys) {
    const verdict = checkKey(key, operations, options.stepsMax ?? STEPS_MAX);
    if (verdict.type !== 'linearizable') return verdict;
  }
  return { type: 'linearizable' };
}

/** False for what can be left out of every order: it had no effect, and told nobody anything. */
function matters({ action, outcome }: Operation): boolean {
  return outcome.type !== 'not-applied' && !(outcome.type === 'unknown' && action.type === 'get');
}

/** An invocation or a return, in a doubly linked list in the order of time. */
interface Event {
  readonly call: Call;
  readonly isReturn: boolean;
  before: Event | undefined;
  after: Event | undefined;
}

interface Call {
  readonly operation: Operation;
  /** As it was recorded, for the report. */
  readonly recorded: Operation;
  /** Uncertain operations of one name do the same. */
  readonly name: string;
  /** Position in the order of invocation, among the certain or among the uncertain ones. */
  readonly position: number;
  readonly certain: boolean;
  /** A write that nobody sees when another write follows it at once. */
  readonly blind: boolean;
}

/** One operation placed, and what else could have been placed instead. */
interface Frame {
  readonly candidates: readonly Call[];
  next: number;
  /** The state before any of the candidates. */
  readonly state: Register;
  /** The operation before was uncertain: only something that sees its effect may follow, or it could be left out. */
  readonly unseen: boolean;
  placed: Call | undefined;
}

function checkKey(key: string, operations: readonly Operation[], stepsMax: number): Verdict {
  const search = new Search(operations);
  const frames: Frame[] = [search.frame(EMPTY, false)];
  let deepest: {
    readonly order: readonly Operation[];
    readonly state: Register;
    readonly open: readonly Call[];
  } = {
    order: [],
    state: EMPTY,
    open: frames[0]?.candidates ?? [],
  };
  let deepestCertain = -1;
  let steps = 0;
  for (;;) {
    if (search.certainLeft === 0) return { type: 'linearizable' };
    const frame = frames.at(-1);
    if (frame === undefined) return { type: 'violation', key, report: report(key, deepest, 'violation') };
    if (frame.placed !== undefined) search.takeBack(frame.placed);
    frame.placed = undefined;
    const call = frame.candidates[frame.next];
    frame.next += 1;
    if (call === undefined) {
      frames.pop();
      continue;
    }
    steps += 1;
    if (steps > stepsMax) return { type: 'undecided', key, report: report(key, deepest, 'undecided') };
    if (frame.unseen && call.blind) continue;
    const state = step(frame.state, call.operation);
    if (state === undefined || !search.inRevisionOrder(call)) continue;
    search.place(call);
    frame.placed = call;
    const unseen = !call.certain;
    if (!search.isNew(state, unseen)) continue;
    const following = search.frame(state, unseen);
    frames.push(following);
    if (search.certainPlaced > deepestCertain) {
      deepestCertain = search.certainPlaced;
      const order = frames
        .slice(-REPORT_BEFORE - 1)
        .flatMap(({ placed }) => (placed === undefined ? [] : [placed.recorded]));
      deepest = { order, state, open: following.candidates };
    }
  }
}

/** Which operations are placed, and which may come next. */
class Search {
  certainLeft = 0;
  certainPlaced = 0;
  readonly #head: Event;
  readonly #events = new Map<Call, { readonly invoke: Event; readonly return: Event | undefined }>();
  /** Certain writes with a known revision, ascending: they can only be placed in this order. */
  readonly #byRevision: readonly Call[];
  #revisionsPlaced = 0;
  /** Placed certain operations: all below `#frontier`, and those in `#beyond`. */
  readonly #placed: boolean[] = [];
  #frontier = 0;
  readonly #beyond = new Set<number>();
  #uncertainPlaced = 0n;
  readonly #seen = new Set<string>();

  constructor(operations: readonly Operation[]) {
    const calls: Call[] = [];
    let uncertain = 0;
    const inInvocationOrder = operations.toSorted((a, b) => a.invokeMs - b.invokeMs);
    for (const { operation, recorded } of infer(inInvocationOrder)) {
      const certain = operation.outcome.type !== 'unknown';
      const { action } = operation;
      const blind =
        action.type !== 'get' && action.condition === undefined && (action.type === 'set' || !certain);
      const name = certain ? '' : JSON.stringify(action);
      const position = certain ? this.certainLeft : uncertain;
      calls.push({ operation, recorded, name, certain, blind, position });
      if (certain) this.certainLeft += 1;
      else uncertain += 1;
    }
    this.#byRevision = calls
      .filter(({ operation }) => writtenRevision(operation) !== undefined)
      .toSorted((a, b) => (writtenRevision(a.operation) ?? 0) - (writtenRevision(b.operation) ?? 0));
    this.#head = link(calls, this.#events);
  }

  /** What may be placed next: whatever was invoked before the first return of an operation not placed yet. */
  frame(state: Register, unseen: boolean): Frame {
    const certain: Call[] = [];
    const uncertain: Call[] = [];
    for (let event = this.#head.after; event !== undefined && !event.isReturn; event = event.after) {
      const { call } = event;
      if (!call.certain) {
        uncertain.push(call);
      } else if (step(state, call.operation) === state) {
        // It only looks, and what it saw is so now: if it fits anywhere later, it fits here.
        return { candidates: [call], next: 0, state, unseen, placed: undefined };
      } else {
        certain.push(call);
      }
    }
    return { candidates: [...certain, ...distinct(uncertain)], next: 0, state, unseen, placed: undefined };
  }

  inRevisionOrder(call: Call): boolean {
    if (writtenRevision(call.operation) === undefined) return true;
    return this.#byRevision[this.#revisionsPlaced] === call;
  }

  place(call: Call): void {
    const events = this.#events.get(call);
    if (events === undefined) return;
    unlink(events.invoke);
    if (events.return !== undefined) unlink(events.return);
    if (writtenRevision(call.operation) !== undefined) this.#revisionsPlaced += 1;
    if (!call.certain) {
      this.#uncertainPlaced |= 1n << BigInt(call.position);
      return;
    }
    this.certainLeft -= 1;
    this.certainPlaced += 1;
    this.#placed[call.position] = true;
    this.#beyond.add(call.position);
    while (this.#placed[this.#frontier] === true) {
      this.#beyond.delete(this.#frontier);
      this.#frontier += 1;
    }
  }

  /** Undoes the latest `place` not undone yet. */
  takeBack(call: Call): void {
    const events = this.#events.get(call);
    if (events === undefined) return;
    if (events.return !== undefined) relink(events.return);
    relink(events.invoke);
    if (writtenRevision(call.operation) !== undefined) this.#revisionsPlaced -= 1;
    if (!call.certain) {
      this.#uncertainPlaced &= ~(1n << BigInt(call.position));
      return;
    }
    this.certainLeft += 1;
    this.certainPlaced -= 1;
    this.#placed[call.position] = false;
    while (this.#frontier > call.position) {
      this.#frontier -= 1;
      this.#beyond.add(this.#frontier);
    }
    this.#beyond.delete(call.position);
  }

  /** False when the same operations were placed before and led to the same state: the rest would fail again. */
  isNew(state: Register, unseen: boolean): boolean {
    const beyond = [...this.#beyond].sort((a, b) => a - b).join(',');
    const placed = `${this.#frontier};${beyond};${this.#uncertainPlaced.toString(36)}`;
    const register = `${state.floor};${state.revision ?? ''};${state.excluded.join(',')};${state.value === undefined ? '' : JSON.stringify(state.value)}`;
    const name = `${placed};${unseen};${register}`;
    if (this.#seen.has(name)) return false;
    this.#seen.add(name);
    return true;
  }
}

/** Of uncertain operations that do the same, the first is enough: none of them has a return to be before of. */
function distinct(calls: readonly Call[]): readonly Call[] {
  const first = new Map<string, Call>();
  for (const call of calls) {
    if (!first.has(call.name)) first.set(call.name, call);
  }
  return [...first.values()];
}

function writtenRevision({ outcome }: Operation): number | undefined {
  return outcome.type === 'written' || outcome.type === 'deleted' ? outcome.revision : undefined;
}

function link(
  calls: readonly Call[],
  events: Map<Call, { readonly invoke: Event; readonly return: Event | undefined }>,
): Event {
  const timed: { readonly atMs: number; readonly event: Event }[] = [];
  const event = (call: Call, isReturn: boolean): Event => ({
    call,
    isReturn,
    before: undefined,
    after: undefined,
  });
  for (const call of calls) {
    const invoke = event(call, false);
    const end = call.certain ? event(call, true) : undefined;
    events.set(call, { invoke, return: end });
    timed.push({ atMs: call.operation.invokeMs, event: invoke });
    if (end !== undefined) timed.push({ atMs: call.operation.returnMs, event: end });
  }
  // What happens in one moment is concurrent: invocations first.
  timed.sort((a, b) => a.atMs - b.atMs || Number(a.event.isReturn) - Number(b.event.isReturn));
  const first = calls[0];
  if (first === undefined) throw new Error('a key without operations has no events');
  const head = event(first, false);
  let last = head;
  for (const { event: next } of timed) {
    last.after = next;
    next.before = last;
    last = next;
  }
  return head;
}

function unlink(event: Event): void {
  if (event.before !== undefined) event.before.after = event.after;
  if (event.after !== undefined) event.after.before = event.before;
}

function relink(event: Event): void {
  if (event.before !== undefined) event.before.after = event;
  if (event.after !== undefined) event.after.before = event;
}

function report(
  key: string,
  {
    order,
    state,
    open,
  }: { readonly order: readonly Operation[]; readonly state: Register; readonly open: readonly Call[] },
  kind: 'violation' | 'undecided',
): string {
  const value = state.value === undefined ? 'missing' : JSON.stringify(state.value);
  return [
    kind === 'violation'
      ? `The history of ${JSON.stringify(key)} is not linearizable. The longest order that fits ends with:`
      : `Undecided for ${JSON.stringify(key)}: the search was given up. The longest order found ends with:`,
    ...order.map((operation) => `  ${describeOperation(operation)}`),
    `Then the key is ${value}${state.revision === undefined ? '' : ` at revision ${state.revision}`}, and none of these may follow:`,
    ...open.map(({ recorded }) => `  ${describeOperation(recorded)}`),
  ].join('\n');
}
