import test from 'ava';
import fc from 'fast-check';
import { checkHistory } from './checker.js';
import { describeOperation, type Action, type Condition, type Operation, type Outcome } from './history.js';
import { EMPTY, step, type Register } from './register.js';
import { random, simulate, type Random } from './simulate.js';

type Times = readonly [invokeMs: number, returnMs: number];

function operation(times: Times, action: Action, outcome: Outcome, key = 'k'): Operation {
  return { client: 'c', key, action, outcome, invokeMs: times[0], returnMs: times[1] };
}

const read = (times: Times, value: string | undefined, revision?: number): Operation =>
  operation(
    times,
    { type: 'get' },
    value === undefined
      ? { type: 'missing' }
      : { type: 'value', value, ...(revision === undefined ? {} : { revision }) },
  );

const write = (times: Times, value: string, revision?: number): Operation =>
  operation(
    times,
    { type: 'set', value },
    { type: 'written', ...(revision === undefined ? {} : { revision }) },
  );

const uncertain = (invokeMs: number, value: string, condition?: Condition): Operation =>
  operation(
    [invokeMs, invokeMs],
    { type: 'set', value, ...(condition === undefined ? {} : { condition }) },
    { type: 'unknown' },
  );

const remove = (times: Times, existed: boolean): Operation =>
  operation(times, { type: 'delete' }, { type: existed ? 'deleted' : 'not-found' });

const good: Record<string, readonly Operation[]> = {
  'nothing at all': [],
  'only what was refused': [operation([0, 1], { type: 'set', value: 'a' }, { type: 'not-applied' })],
  'one after the other': [
    read([0, 1], undefined),
    write([2, 3], 'a', 5),
    read([4, 5], 'a', 5),
    remove([6, 7], true),
    remove([8, 9], false),
    read([10, 11], undefined),
  ],
  'a read during a write sees the old value': [
    write([0, 1], 'a'),
    write([2, 9], 'b'),
    read([3, 4], 'a'),
    read([5, 6], 'b'),
  ],
  'concurrent writes in the order that a later read shows': [
    write([0, 10], 'a'),
    write([1, 9], 'b'),
    read([11, 12], 'a'),
  ],
  'an uncertain write that took effect late': [
    uncertain(0, 'a'),
    write([1, 2], 'b'),
    read([3, 4], 'b'),
    read([5, 6], 'a'),
  ],
  'an uncertain write that never took effect': [uncertain(0, 'a'), read([1, 2], undefined)],
  'an uncertain write that only a delete noticed': [uncertain(0, 'a'), remove([1, 2], true)],
  'an uncertain delete': [
    write([0, 1], 'a'),
    operation([2, 2], { type: 'delete' }, { type: 'unknown' }),
    read([3, 4], 'a'),
    read([5, 6], undefined),
  ],
  'an uncertain conditional write that took effect': [
    write([0, 1], 'a', 5),
    uncertain(2, 'b', { type: 'revision', revision: 5 }),
    read([3, 4], 'b', 8),
  ],
  'an uncertain delete, then an uncertain write if absent': [
    write([0, 1], 'a', 5),
    operation([2, 2], { type: 'delete' }, { type: 'unknown' }),
    uncertain(3, 'b', { type: 'absent' }),
    read([4, 5], 'b', 9),
  ],
  'conditions that hold and do not hold': [
    operation(
      [0, 1],
      { type: 'set', value: 'a', condition: { type: 'absent' } },
      { type: 'written', revision: 3 },
    ),
    operation([2, 3], { type: 'set', value: 'b', condition: { type: 'absent' } }, { type: 'mismatch' }),
    operation(
      [4, 5],
      { type: 'set', value: 'b', condition: { type: 'revision', revision: 2 } },
      { type: 'mismatch', currentRevision: 3 },
    ),
    operation(
      [6, 7],
      { type: 'delete', condition: { type: 'revision', revision: 3 } },
      { type: 'deleted', revision: 6 },
    ),
    read([8, 9], undefined),
  ],
  'keys are independent': [
    write([0, 1], 'a'),
    operation([2, 3], { type: 'get' }, { type: 'missing' }, 'other'),
    read([4, 5], 'a'),
  ],
};

const bad: Record<string, readonly Operation[]> = {
  'a stale read': [write([0, 1], 'a'), write([2, 3], 'b'), read([4, 5], 'a')],
  'a lost write': [write([0, 1], 'a'), read([2, 3], undefined)],
  'a lost overwrite, told by its revision': [
    write([0, 1], 'a', 4),
    write([2, 3], 'a', 7),
    read([4, 5], 'a', 4),
  ],
  'a doubled write': [
    uncertain(0, 'a'),
    read([1, 2], 'a'),
    write([3, 4], 'b'),
    read([5, 6], 'b'),
    read([7, 8], 'a'),
  ],
  'an acknowledged write applied a second time': [
    write([0, 1], 'a', 4),
    write([2, 3], 'b', 5),
    read([4, 5], 'a', 6),
  ],
  'a value that nobody wrote': [write([0, 1], 'a'), read([2, 3], 'x')],
  'a write that was certainly not applied': [
    operation([0, 1], { type: 'set', value: 'a' }, { type: 'not-applied' }),
    read([2, 3], 'a'),
  ],
  'a value from the future': [read([0, 1], 'a'), uncertain(2, 'a')],
  'a deleted key that is back': [write([0, 1], 'a'), remove([2, 3], true), read([4, 5], 'a')],
  'reads that go back in time': [
    write([0, 1], 'a'),
    write([2, 20], 'b'),
    read([3, 4], 'b'),
    read([5, 6], 'a'),
  ],
  'two clients disagree about the order of two writes': [
    write([0, 30], 'a'),
    write([0, 30], 'b'),
    read([1, 2], 'a'),
    read([3, 4], 'b'),
    read([5, 6], 'a'),
  ],
  'two deletes of one write': [write([0, 1], 'a'), remove([2, 9], true), remove([3, 8], true)],
  'two conditional writes on one revision': [
    write([0, 1], 'a', 4),
    ...['b', 'c'].map((value, at) =>
      operation(
        [2, 9],
        { type: 'set', value, condition: { type: 'revision', revision: 4 } },
        { type: 'written', revision: 5 + at },
      ),
    ),
  ],
  'a condition refused that held': [
    operation([0, 1], { type: 'set', value: 'a', condition: { type: 'absent' } }, { type: 'mismatch' }),
  ],
  'an uncertain write refused by its condition and yet seen': [
    write([0, 1], 'a', 4),
    write([2, 3], 'b', 5),
    uncertain(4, 'c', { type: 'revision', revision: 4 }),
    read([5, 6], 'c'),
  ],
  'revisions against the order of time': [write([0, 1], 'a', 9), write([2, 3], 'b', 8)],
  'one write at two revisions': [uncertain(0, 'a'), read([1, 2], 'a', 4), read([3, 4], 'a', 5)],
};

for (const [name, history] of Object.entries(good)) {
  test(`accepts ${name}`, (t) => t.deepEqual(checkHistory(history), { type: 'linearizable' }));
}

for (const [name, history] of Object.entries(bad)) {
  test(`rejects ${name}`, (t) => t.is(checkHistory(history).type, 'violation'));
}

test('the report names the key and shows what does not fit', (t) => {
  const verdict = checkHistory([write([0, 1], 'a', 2), write([2, 3], 'b', 4), read([4, 5], 'a', 2)]);
  if (verdict.type !== 'violation') return t.fail(verdict.type);
  t.is(verdict.key, 'k');
  t.regex(verdict.report, /"b" at revision 4, and none of these may follow:\n.* get k -> "a" at revision 2$/);
});

test('a search that is too long ends undecided', (t) => {
  const verdict = checkHistory([write([0, 1], 'a'), write([2, 3], 'b')], { stepsMax: 1 });
  t.is(verdict.type, 'undecided');
});

test('whatever a linearizable store answers is accepted', (t) => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 8 }), (seed, clients) => {
      const history = simulate(random(seed), { clients, operations: 150, keys: 2, uncertain: 0.1 });
      const verdict = checkHistory(history);
      if (verdict.type !== 'linearizable') throw new Error(verdict.report);
    }),
    { numRuns: 150 },
  );
  t.pass();
});

test('a read changed to a value that was overwritten before it began is rejected', (t) => {
  let changed = 0;
  fc.assert(
    fc.property(fc.integer(), fc.boolean(), (seed, revisions) => {
      const history = simulate(random(seed), {
        clients: 4,
        operations: 150,
        keys: 1,
        uncertain: 0,
        revisions,
      });
      const stale = withStaleRead(history);
      if (stale === undefined) return;
      changed += 1;
      if (checkHistory(stale).type !== 'violation') throw new Error('accepted');
    }),
    { numRuns: 100 },
  );
  t.true(changed > 50);
});

test('it agrees with trying every order, on small histories of any kind', (t) => {
  let linearizable = 0;
  const runs = 4_000;
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const history = anyHistory(random(seed), 5);
      const expected = byEveryOrder(history, EMPTY);
      if (expected) linearizable += 1;
      const verdict = checkHistory(history).type;
      if (verdict !== (expected ? 'linearizable' : 'violation')) {
        throw new Error([`not ${verdict}:`, ...history.map(describeOperation)].join('\n'));
      }
    }),
    { numRuns: runs },
  );
  t.true(linearizable > runs / 20 && linearizable < runs / 1.2, String(linearizable));
});

test('tens of thousands of operations are checked in seconds', (t) => {
  const history = simulate(random(7), { clients: 24, operations: 20_000, keys: 12, uncertain: 0.02 });
  const startMs = performance.now();
  t.is(checkHistory(history).type, 'linearizable');
  t.true(performance.now() - startMs < 10_000);
  const stale = withStaleRead(history);
  t.is(checkHistory(stale ?? []).type, 'violation');
});

/** The history with one read, in its later half, of a value that a later acknowledged write had replaced. */
function withStaleRead(history: readonly Operation[]): readonly Operation[] | undefined {
  for (let at = Math.floor(history.length / 2); at < history.length; at += 1) {
    const victim = history[at];
    if (victim?.outcome.type !== 'value') continue;
    const before = history.filter(
      ({ key, action, outcome, returnMs }) =>
        key === victim.key &&
        action.type === 'set' &&
        outcome.type === 'written' &&
        returnMs < victim.invokeMs,
    );
    const last = before.toSorted((a, b) => b.invokeMs - a.invokeMs)[0];
    const older = before.find(({ returnMs }) => last !== undefined && returnMs < last.invokeMs);
    if (older?.action.type !== 'set' || older.outcome.type !== 'written') continue;
    const { revision } = older.outcome;
    const outcome: Outcome = {
      type: 'value',
      value: older.action.value,
      ...(revision === undefined ? {} : { revision }),
    };
    return history.with(at, { ...victim, outcome });
  }
  return undefined;
}

/** Some order of all certain operations, and of any of the uncertain ones, that time and the register allow. */
function byEveryOrder(left: readonly Operation[], state: Register): boolean {
  const certain = left.filter(({ outcome }) => outcome.type !== 'unknown');
  if (certain.length === 0) return true;
  return left.some((operation) => {
    if (certain.some(({ returnMs }) => returnMs < operation.invokeMs)) return false;
    const next = step(state, operation);
    return (
      next !== undefined &&
      byEveryOrder(
        left.filter((other) => other !== operation),
        next,
      )
    );
  });
}

/** Operations on one key with arbitrary answers, few enough of each kind that some fit. */
function anyHistory(next: Random, length: number): readonly Operation[] {
  const pick = <T>(...choices: readonly T[]): T => choices[Math.floor(next() * choices.length)]!;
  return Array.from({ length }, () => {
    const invokeMs = Math.floor(next() * 12);
    const times: Times = [invokeMs, invokeMs + 1 + Math.floor(next() * 8)];
    const revision = pick(undefined, 1, 2, 3);
    const known = revision === undefined ? {} : { revision };
    const value = pick('a', 'b');
    const condition = pick<Condition | undefined>(
      undefined,
      undefined,
      { type: 'absent' },
      { type: 'revision', revision: pick(1, 2) },
    );
    const conditional = condition === undefined ? {} : { condition };
    const kind = pick('get', 'get', 'set', 'set', 'delete');
    if (kind === 'get') {
      return operation(
        times,
        { type: 'get' },
        pick<Outcome>({ type: 'missing' }, { type: 'value', value, ...known }),
      );
    }
    const refused: Outcome = condition === undefined ? { type: 'unknown' } : { type: 'mismatch' };
    if (kind === 'set') {
      const outcome = pick<Outcome>({ type: 'written', ...known }, { type: 'unknown' }, refused);
      return operation(times, { type: 'set', value, ...conditional }, outcome);
    }
    const outcome = pick<Outcome>(
      { type: 'deleted', ...known },
      { type: 'not-found' },
      { type: 'unknown' },
      refused,
    );
    return operation(times, { type: 'delete', ...conditional }, outcome);
  });
}
