/** The log, its term runs and its cache, each against a naive model: an array of entries. */

import test from 'ava';
import fc from 'fast-check';
import { InvariantError } from '../../raft/assert.js';
import type { Entry, Index, Term } from '../../raft/entry.js';
import { ENTRY_OVERHEAD_BYTES, ORIGIN, entryBytes } from '../../raft/entry.js';
import { EntryCache } from '../../raft/entry-cache.js';
import { RaftLog } from '../../raft/log.js';
import { TermRuns } from '../../raft/term-runs.js';
import { entriesOf, runsOf } from './tools.js';

const sum = (entries: readonly Entry[]): number =>
  entries.reduce((bytes, entry) => bytes + entryBytes(entry), 0);

/** Terms that never go back. */
const terms = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 30 }).map((steps) =>
  steps.map(
    (
      (term) => (step: number) =>
        (term += step)
    )(1),
  ),
);

test('term runs give every entry its term, and the last index of a term at most', (t) => {
  fc.assert(
    fc.property(terms, fc.nat(31), fc.nat(60), (of, cut, term) => {
      const runs = new TermRuns(runsOf(entriesOf(of.slice(0, 5))));
      of.slice(5).forEach((each, at) => runs.push(at + 6, each));
      runs.truncateFrom(cut + 1);
      const kept = of.slice(0, cut);
      t.deepEqual(
        kept.map((_, at) => runs.at(at + 1)),
        kept,
      );
      for (let index = 0; index <= kept.length; index += 1) {
        const below = kept.slice(0, index).findLastIndex((each) => each <= term) + 1;
        t.is(runs.lastIndexOfTermAtMost(index, term), below);
      }
      t.is(runs.runs.length, new Set(kept).size);
    }),
    { numRuns: 300 },
  );
});

/** What a slice of `entries` gives: at least one entry, and no more than fit. */
function sliced(entries: readonly Entry[], from: Index, to: Index, bytesMax: number): Entry[] {
  const out: Entry[] = [];
  for (const entry of entries) {
    if (entry.index < from || entry.index > to) continue;
    if (out.length > 0 && sum(out) + entryBytes(entry) > bytesMax) break;
    out.push(entry);
  }
  return out;
}

interface Op {
  readonly kind: 'push' | 'truncate' | 'evict';
  readonly at: number;
  readonly bytes: number;
}

const ops = fc.array(
  fc.record<Op>({
    kind: fc.constantFrom('push', 'push', 'push', 'truncate', 'evict'),
    at: fc.nat(40),
    bytes: fc.nat(60),
  }),
  { maxLength: 60 },
);

test('the cache holds the newest entries, within its bound where it may', (t) => {
  fc.assert(
    fc.property(ops, fc.nat(600), fc.nat(5), (deeds, bytesMax, tail) => {
      const all = entriesOf([1, 1, 1, 1, 1]);
      const cache = new EntryCache(bytesMax, all.slice(5 - tail), 5);
      let first = 6 - tail;
      for (const { kind, at, bytes } of deeds) {
        if (kind === 'push') {
          const entry: Entry = {
            index: all.length + 1,
            term: 1,
            type: 'command',
            data: new Uint8Array(bytes),
          };
          all.push(entry);
          cache.push(entry);
        } else if (kind === 'truncate') {
          all.length = Math.max(first - 1, Math.min(all.length, at));
          cache.truncateFrom(all.length + 1);
        } else {
          const held = (): Entry[] => all.slice(first - 1);
          while (sum(held()) > bytesMax && first <= all.length && first <= at) first += 1;
          cache.evict(at);
        }
        const held = all.slice(first - 1);
        t.is(cache.bytes, sum(held));
        t.deepEqual(cache.slice(first, all.length, Infinity), held);
        t.is(cache.slice(first - 1, all.length, Infinity), undefined);
        t.deepEqual(
          cache.slice(first, all.length - 1, bytes + 60),
          sliced(held, first, all.length - 1, bytes + 60),
        );
        t.is(cache.bytesBehind(at), sum(held.filter(({ index }) => index > at)));
      }
    }),
    { numRuns: 300 },
  );
});

test('evicting thousands of entries keeps the rest in place, and lets the payloads go', (t) => {
  const cache = new EntryCache(10 * (ENTRY_OVERHEAD_BYTES + 8), [], 0);
  for (let index = 1; index <= 5000; index += 1) {
    cache.push({ index, term: 1, type: 'command', data: new Uint8Array(8) });
    cache.evict(index);
  }
  t.is(cache.slice(4990, 5000, Infinity), undefined);
  t.deepEqual(
    cache.slice(4991, 5000, Infinity)?.map(({ index }) => index),
    Array.from({ length: 10 }, (_, at) => 4991 + at),
  );
  t.true(cache.slots <= 21, `${cache.slots} slots for 10 entries`);
});

class Model {
  entries: Entry[] = [];
  durable = 0;
  commit = 0;
  applied = 0;
}

const logOps = fc.array(
  fc.record({
    kind: fc.constantFrom('append', 'append', 'replace', 'commit', 'durable', 'stale', 'apply'),
    at: fc.nat(30),
    step: fc.nat(1),
  }),
  { maxLength: 80 },
);

test('the log does what an array of entries does', (t) => {
  fc.assert(
    fc.property(logOps, fc.constantFrom(0, 100, 65536), (deeds, cacheBytes) => {
      const seed = { base: ORIGIN, termRuns: [], lastIndex: 0, tail: [], commit: 0, applied: 0 };
      const log = new RaftLog(seed, cacheBytes);
      const model = new Model();
      let term: Term = 1;
      for (const { kind, at, step } of deeds) {
        term += step;
        const { entries } = model;
        if (kind === 'append' || kind === 'replace') {
          const from =
            kind === 'append' ? entries.length + 1 : Math.max(model.commit + 1, Math.min(at, entries.length));
          if (from <= entries.length) log.truncateFrom(from);
          const added = entriesOf([term, term], from);
          log.append(added);
          model.entries = [...entries.slice(0, from - 1), ...added];
          model.durable = Math.min(model.durable, from - 1);
        } else if (kind === 'commit') {
          const to = Math.min(at, entries.length);
          t.is(log.commitTo(to), to > model.commit);
          model.commit = Math.max(model.commit, to);
        } else if (kind === 'durable' && at >= 1 && at <= entries.length) {
          log.durableTo({ index: at, term: entries[at - 1]!.term });
          model.durable = Math.max(model.durable, at);
        } else if (kind === 'stale') {
          log.durableTo({ index: at, term: term + 1 });
        } else if (kind === 'apply') {
          model.applied = Math.min(model.commit, model.durable);
          log.appliedTo(model.applied);
        }
        compare(t, log, model);
      }
    }),
    { numRuns: 300 },
  );
});

function compare(
  t: { is: (a: unknown, b: unknown) => void; true: (a: boolean) => void },
  log: RaftLog,
  model: Model,
): void {
  const { entries, commit, durable, applied } = model;
  t.is(log.lastIndex, entries.length);
  t.is(log.lastTerm, entries.at(-1)?.term ?? 0);
  t.is(log.durable, durable);
  t.is(log.commit, commit);
  t.is(log.applied, applied);
  t.is(log.applicable, Math.min(commit, durable));
  t.is(log.uncommittedBytes, sum(entries.slice(commit)));
  for (let index = 0; index <= entries.length + 1; index += 1)
    t.is(log.termAt(index), index === 0 ? 0 : entries[index - 1]?.term);
  // What is not committed and durable yet is always in memory.
  const must = Math.min(commit, durable) + 1;
  const held = log.entries(must, entries.length, Infinity);
  t.is(held?.length, entries.length - must + 1);
}

test('a log that was compacted and recovered goes on where it was', (t) => {
  const log = new RaftLog(
    {
      base: { index: 100, term: 4 },
      termRuns: [
        { index: 101, term: 4 },
        { index: 103, term: 6 },
      ],
      lastIndex: 104,
      tail: entriesOf([6, 6], 103),
      commit: 101,
      applied: 102,
    },
    1000,
  );
  t.like(log, { firstIndex: 101, lastIndex: 104, lastTerm: 6, durable: 104, commit: 102, applied: 102 });
  t.deepEqual(
    [99, 100, 101, 102, 103, 104, 105].map((index) => log.termAt(index)),
    [undefined, 4, 4, 4, 6, 6, undefined],
  );
  t.true(log.holds({ index: 100, term: 4 }));
  t.is(log.lastIndexOfTermAtMost(104, 5), 102);
  t.is(log.lastIndexOfTermAtMost(104, 3), 100, 'no further back than the log goes');
  t.is(log.lastIndexOfTermAtMost(50, 9), 100);
  t.is(log.entries(102, 104, 1000), undefined);
  t.is(log.entries(103, 109, 1000)?.length, 2);
});

test('§5.4.1: up to date means the later last term, then the longer log', (t) => {
  const seed = {
    base: ORIGIN,
    termRuns: runsOf(entriesOf([1, 3, 3])),
    lastIndex: 3,
    tail: [],
    commit: 0,
    applied: 0,
  };
  const log = new RaftLog(seed, 1000);
  t.true(log.isUpToDate(3, 3));
  t.true(log.isUpToDate(1, 4));
  t.false(log.isUpToDate(2, 3));
  t.false(log.isUpToDate(10, 2));
});

test('the log refuses what would break it', (t) => {
  const make = (): RaftLog => {
    const of = entriesOf([1, 2, 2]);
    return new RaftLog(
      { base: ORIGIN, termRuns: runsOf(of), lastIndex: 3, tail: of, commit: 2, applied: 1 },
      1000,
    );
  };
  const broken: ((log: RaftLog) => unknown)[] = [
    (log) => log.append(entriesOf([2], 5)),
    (log) => log.append(entriesOf([1], 4)),
    (log) => log.truncateFrom(2),
    (log) => log.commitTo(4),
    (log) => log.appliedTo(0),
    (log) => log.appliedTo(3),
  ];
  for (const deed of broken) t.throws(() => deed(make()), { instanceOf: InvariantError });
});
