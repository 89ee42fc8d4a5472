import test from 'ava';
import fc from 'fast-check';
import { rowCache } from '../../persistence/row-cache.js';

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e');
// Up to rows that have memory of their own.
const row = fc.option(fc.integer({ min: 0, max: 40 }).map((size) => Buffer.alloc(size * size * 20, size)));
const step = fc.oneof(
  fc.record({ do: fc.constantFrom('keep' as const, 'written' as const), id, row }),
  fc.record({ do: fc.constantFrom('get' as const), id }),
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
);

test('what it knows is what was told last, however it lies', (t) => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.constantFrom(0, 3000, 100_000, 10_000_000),
      (steps, bytesMax) => {
        const cache = rowCache(bytesMax);
        const told = new Map<string, Buffer | null>();
        for (const drawn of steps) {
          if (drawn.do === 'clear') {
            cache.clear();
            told.clear();
          } else if (drawn.do === 'get') {
            const found = cache.get(drawn.id);
            if (found === undefined) continue;
            const expected = told.get(drawn.id);
            t.true(found === null ? expected === null : expected?.equals(found));
          } else {
            cache[drawn.do](drawn.id, drawn.row);
            told.set(drawn.id, drawn.row);
          }
          for (const [name, last] of told) if (cache.isMissing(name)) t.is(last, null);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('what it gives stays as it is when the row is written again', (t) => {
  const cache = rowCache(10_000);
  cache.keep('a', Buffer.from('before'));
  const before = cache.get('a');
  cache.written('a', Buffer.from('behind'));
  t.is(before?.toString(), 'before');
  t.is(cache.get('a')?.toString(), 'behind');
});

test('rows that are written over and over take no more room; the oldest of too many are forgotten', (t) => {
  const cache = rowCache(4000);
  cache.keep('first', Buffer.alloc(100));
  for (let at = 0; at < 1000; at += 1) cache.keep('again', Buffer.alloc(100, at));
  t.true(cache.get('first') !== undefined);
  for (let at = 0; at < 100; at += 1) cache.keep(`k${at}`, Buffer.alloc(100));
  t.is(cache.get('first'), undefined);
  t.true(cache.get('k99') !== undefined);
});

test('with no room nothing is kept', (t) => {
  const cache = rowCache(0);
  cache.keep('a', Buffer.from('a'));
  t.is(cache.get('a'), undefined);
});
