import test from 'ava';
import type { Clock } from '../../server/ports.js';
import type { ProposalOutcome } from '../../server/waiters.js';
import { AppliedWaiters, ProposalWaiters } from '../../server/waiters.js';

function waiting(): { waiters: ProposalWaiters; add: (index: number, term: number) => ProposalOutcome[] } {
  const waiters = new ProposalWaiters();
  return {
    waiters,
    add(index, term) {
      const outcomes: ProposalOutcome[] = [];
      waiters.add(index, term, [(outcome) => void outcomes.push(outcome)]);
      return outcomes;
    },
  };
}

const result = { status: 'set', revision: 5 } as const;

test('a proposal is applied when its entry is, once', (t) => {
  const { waiters, add } = waiting();
  const outcomes = add(5, 2);
  waiters.applied(4, 2, [result]);
  t.deepEqual(outcomes, []);
  waiters.applied(5, 2, [result]);
  waiters.applied(5, 2, [result]);
  waiters.abandon();
  t.deepEqual(outcomes, [{ status: 'applied', index: 5, result }]);
  t.is(waiters.size, 0);
});

test('a proposal is displaced when an entry of another term is applied at its index', (t) => {
  const { waiters, add } = waiting();
  const [byCommand, byNoop] = [add(5, 2), add(6, 2)];
  waiters.applied(5, 3, [result]);
  waiters.applied(6, 3, []);
  t.deepEqual([...byCommand, ...byNoop], [{ status: 'displaced' }, { status: 'displaced' }]);
  t.is(waiters.size, 0);
});

test('a proposal whose index is taken again, with nothing committed there, is not called displaced', (t) => {
  // Leader A of term 2 replicated (5, 2) to B, and lost it from its own log to a leader of term 3 that reached only A. A leads
  // term 4 and appends (5, 4); B may still be elected in term 5, with (5, 2) in its log, and commit it.
  const { waiters, add } = waiting();
  const first = add(5, 2);
  const second = add(5, 4);
  t.deepEqual(first, [{ status: 'unresolved' }]);
  waiters.applied(5, 2, [result]);
  t.deepEqual(second, [{ status: 'displaced' }]);
});

test('those who share an entry are answered each with the result of its own command, and all displaced together', (t) => {
  const { waiters } = waiting();
  const outcomes: ProposalOutcome[] = [];
  const settle = (outcome: ProposalOutcome): void => void outcomes.push(outcome);
  waiters.add(5, 2, [settle, settle]);
  waiters.add(6, 2, [settle, settle]);
  t.is(waiters.size, 4);
  waiters.applied(5, 2, [result, { status: 'not-found', revision: 5 }]);
  waiters.applied(6, 3, [result, result]);
  t.deepEqual(outcomes, [
    { status: 'applied', index: 5, result },
    { status: 'applied', index: 5, result: { status: 'not-found', revision: 5 } },
    { status: 'displaced' },
    { status: 'displaced' },
  ]);
  t.is(waiters.size, 0);
  t.is(waiters.added, 4);
});

test('what is abandoned is unresolved', (t) => {
  const { waiters, add } = waiting();
  const outcomes = [add(5, 2), add(6, 2)];
  waiters.abandon();
  t.deepEqual(outcomes.flat(), [{ status: 'unresolved' }, { status: 'unresolved' }]);
  t.is(waiters.size, 0);
});

test('what a snapshot skips is unresolved, and what follows it waits on', (t) => {
  const { waiters, add } = waiting();
  const [before, at, behind] = [add(5, 2), add(6, 2), add(7, 2)];
  waiters.skipped(6);
  t.deepEqual([...before, ...at], [{ status: 'unresolved' }, { status: 'unresolved' }]);
  t.deepEqual(behind, []);
  t.is(waiters.size, 1);
});

test('reads go on at their index, or when their time is over, or when they are abandoned', async (t) => {
  const waiters = new AppliedWaiters();
  const timers: (() => void)[] = [];
  const clock: Pick<Clock, 'after'> = {
    after: (_, task) => {
      timers.push(task);
      return () => undefined;
    },
  };
  const events: string[] = [];
  const add = (name: string, index: number): void =>
    void waiters.wait(index, clock, 100).then((reached) => events.push(`${name} ${reached}`));
  add('a', 5);
  add('b', 5);
  add('c', 6);
  add('d', 9);
  timers[1]?.();
  waiters.applied(4);
  await Promise.resolve();
  t.deepEqual(events, ['b false']);
  waiters.applied(6);
  await Promise.resolve();
  t.deepEqual(events, ['b false', 'a true', 'c true']);
  t.is(waiters.size, 1);
  waiters.abandon();
  await Promise.resolve();
  t.deepEqual(events.slice(3), ['d false']);
  t.is(waiters.size, 0);
});
