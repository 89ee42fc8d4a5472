/** The arithmetic of majorities against a naive twin. */

import test from 'ava';
import fc from 'fast-check';
import type { Member } from '../../membership/configuration.js';
import { configuration, memberOf, voters } from '../../membership/configuration.js';
import { agreed, majority, voteResult } from '../../membership/quorum.js';

const ids = fc.uniqueArray(fc.integer({ min: 0, max: 20 }), { maxLength: 9 });

/** All subsets that are a majority. */
function quorums(members: readonly number[]): number[][] {
  const all = members.reduce<number[][]>((sets, id) => [...sets, ...sets.map((set) => [...set, id])], [[]]);
  return all.filter((set) => set.length > members.length - set.length);
}

test('a majority is more than half, and the smallest such number', (t) => {
  for (let count = 1; count < 50; count += 1) {
    t.true(majority(count) * 2 > count);
    t.false((majority(count) - 1) * 2 > count);
  }
  t.deepEqual([1, 2, 3, 4, 5, 6, 7].map(majority), [1, 2, 2, 3, 3, 4, 4]);
});

test('agreed: the largest value that all of some majority have reached', (t) => {
  const values = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 21, maxLength: 21 });
  fc.assert(
    fc.property(ids, values, (members, of) => {
      const reached = quorums(members).map((set) => Math.min(...set.map((id) => of[id]!)));
      const before = [...members];
      t.is(
        agreed(members, (id) => of[id]!),
        Math.max(0, ...reached),
      );
      t.deepEqual(members, before);
    }),
    { numRuns: 300 },
  );
});

test('agreed: large numbers are compared as numbers', (t) => {
  const of: Record<string, number> = { a: 9, b: 10, c: 100 };
  t.is(
    agreed(['a', 'b', 'c'], (id) => of[id] ?? 0),
    10,
  );
});

test('voteResult: won when a majority granted, lost when none can any more', (t) => {
  const vote = fc.constantFrom(true, false, undefined);
  fc.assert(
    fc.property(ids, fc.array(vote, { minLength: 21, maxLength: 21 }), (members, of) => {
      fc.pre(members.length > 0);
      const won = quorums(members).some((set) => set.every((id) => of[id] === true));
      const open = quorums(members).some((set) => set.every((id) => of[id] !== false));
      const expected = won ? 'won' : open ? 'pending' : 'lost';
      t.is(
        voteResult(members, (id) => of[id]),
        expected,
      );
    }),
    { numRuns: 300 },
  );
});

test('with no voters nothing is agreed and nobody wins', (t) => {
  t.is(
    agreed([], () => 7),
    0,
  );
  t.is(
    voteResult([], () => true),
    'lost',
  );
});

const member = (id: string, voter = true): Member => {
  const [incarnation, raft, rpc, http] = [`${id}-1`, `${id}:1`, `${id}:2`, `${id}:3`];
  return { id, incarnation, raft, rpc, http, voter };
};

test('a configuration is sorted, tells voters from learners, and lists nobody twice', (t) => {
  const config = configuration('c1', [member('n3'), member('n1'), member('n2', false)]);
  t.deepEqual(
    config.members.map(({ id }) => id),
    ['n1', 'n2', 'n3'],
  );
  t.deepEqual(voters(config), ['n1', 'n3']);
  t.is(memberOf(config, 'n2')?.voter, false);
  t.is(memberOf(config, 'n4'), undefined);
  t.throws(() => configuration('c1', [member('n1'), member('n2'), member('n1')]), {
    message: /n1 is listed twice/,
  });
});
