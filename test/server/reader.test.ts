import test from 'ava';
import fc from 'fast-check';
import { KEY_COUNT_ROW, encodeCount, encodeValue, keyOfRow, keyRow } from '../../kv/rows.js';
import { memoryStateDisk, openMemoryStateStore } from '../../persistence/memory/state-store.js';
import { Reader, rangeOf } from '../../server/reader.js';
import type { ListQuery } from '../../server/service.js';
import { systemClock } from '../../server/clock.js';
import { keys } from '../kv/arbitraries.js';

const bytes = (key: string): Buffer => Buffer.from(key);
const compare = (a: string, b: string): number => Buffer.compare(bytes(a), bytes(b));

/** What a user would say that a listing holds. */
function naive(all: readonly string[], query: ListQuery): string[] {
  const { prefix, start, end, after, reverse } = query;
  const found = all
    .filter(
      (key) => prefix === undefined || bytes(key).subarray(0, bytes(prefix).length).equals(bytes(prefix)),
    )
    .filter((key) => start === undefined || compare(key, start) >= 0)
    .filter((key) => end === undefined || compare(key, end) < 0)
    .toSorted(compare);
  if (reverse) found.reverse();
  return found.filter(
    (key) => after === undefined || (reverse ? compare(key, after) < 0 : compare(key, after) > 0),
  );
}

function storeOf(all: readonly string[]): ReturnType<typeof openMemoryStateStore> {
  const disk = memoryStateDisk();
  const rows = [
    ...all.map((key, at) => [keyRow(key), encodeValue(at + 1, bytes(`v${at}`))] as const),
    [KEY_COUNT_ROW, encodeCount(all.length)] as const,
  ];
  disk.rows.push(...rows.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  disk.applied = { ...disk.applied, index: all.length, term: 1 };
  return openMemoryStateStore({ disk, defer: (task) => void setImmediate(task) });
}

// Short, from few letters: ranges that cross, nest, are empty or upside down.
const shortKeys = fc.string({
  unit: fc.constantFrom('a', 'b', '\u007f', '\uffff', '\u{10ffff}'),
  minLength: 1,
  maxLength: 3,
});
const someKeys = fc.uniqueArray(fc.oneof(shortKeys, shortKeys, keys), { maxLength: 20 });
const parts = {
  prefix: shortKeys,
  start: shortKeys,
  end: shortKeys,
  limit: fc.integer({ min: 1, max: 25 }),
  reverse: fc.boolean(),
  keysOnly: fc.constant(false),
};
const required: { requiredKeys: ['limit', 'reverse', 'keysOnly'] } = {
  requiredKeys: ['limit', 'reverse', 'keysOnly'],
};
const firstPages = fc.record(parts, required);
const queries = fc.record({ ...parts, after: shortKeys }, required);

test('a listing holds what a naive model says, and says whether there is more', async (t) => {
  await fc.assert(
    fc.asyncProperty(someKeys, queries, async (all, query) => {
      const store = storeOf(all);
      const reader = new Reader(store, systemClock, {
        appliedIndex: all.length,
        isStopped: false,
        logTimeMs: () => 0,
      });
      const { entries, more, revision } = await reader.list(query);
      const expected = naive(all, query);
      t.deepEqual(
        entries.map(({ key }) => key),
        expected.slice(0, query.limit),
      );
      t.is(more, expected.length > query.limit);
      t.is(revision, all.length);
    }),
    { numRuns: 500 },
  );
});

test('page by page, each behind the last key of the one before, a listing is whole', async (t) => {
  await fc.assert(
    fc.asyncProperty(someKeys, firstPages, async (all, query) => {
      const reader = new Reader(storeOf(all), systemClock, {
        appliedIndex: all.length,
        isStopped: false,
        logTimeMs: () => 0,
      });
      const seen: string[] = [];
      let cursor: { after?: string } = {};
      for (;;) {
        const { entries, more } = await reader.list({ ...query, ...cursor });
        seen.push(...entries.map(({ key }) => key));
        const last = entries.at(-1);
        if (!more || last === undefined) break;
        cursor = { after: last.key };
      }
      t.deepEqual(seen, naive(all, query));
    }),
    { numRuns: 100 },
  );
});

test('a range never leaves the rows of keys', (t) => {
  fc.assert(
    fc.property(queries, (query) => {
      const range = rangeOf(query);
      const lower = range.gt ?? range.gte;
      t.is(lower?.[0], 'k');
      t.true(range.lt! <= 'l');
      t.is(typeof keyOfRow(lower!), 'string');
    }),
  );
});

test('a page ends with the bytes that the caller wants at most', async (t) => {
  const reader = new Reader(storeOf(['a', 'b', 'c']), systemClock, {
    appliedIndex: 3,
    isStopped: false,
    logTimeMs: () => 0,
  });
  const query = { limit: 10, reverse: false, keysOnly: false };
  t.is((await reader.list({ ...query, bytesMax: 1 })).entries.length, 1);
  t.is((await reader.list({ ...query, bytesMax: 1 })).more, true);
  t.is((await reader.list(query)).entries.length, 3);
});

test('reads of one turn share a fetch, and each gets its own keys in order', async (t) => {
  const store = storeOf(['a', 'b']);
  let fetches = 0;
  const counting = {
    ...store,
    getMany(...args: Parameters<typeof store.getMany>): void {
      fetches += 1;
      store.getMany(...args);
    },
  };
  const reader = new Reader(counting, systemClock, { appliedIndex: 2, isStopped: false, logTimeMs: () => 0 });
  const [first, none, both] = await Promise.all([
    reader.get(['a']),
    reader.get([]),
    reader.get(['b', 'x', 'a']),
  ]);
  t.is(fetches, 1);
  const text = (read: typeof first): (string | undefined)[] =>
    read.entries.map((entry) => entry && `${entry.key}=${entry.value.toString()}@${entry.revision}`);
  t.deepEqual(text(first), ['a=v0@1']);
  t.deepEqual(text(none), []);
  t.deepEqual(text(both), ['b=v1@2', undefined, 'a=v0@1']);
  t.is(both.revision, 2);
});

test('an answer that holds a newer entry says so', async (t) => {
  const reader = new Reader(storeOf(['a', 'b']), systemClock, {
    appliedIndex: 1,
    isStopped: false,
    logTimeMs: () => 0,
  });
  t.is((await reader.get(['b'])).revision, 2);
});
