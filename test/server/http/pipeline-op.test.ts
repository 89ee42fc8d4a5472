import test from 'ava';
import fc from 'fast-check';

import type { JsonObject } from '../../../server/http/json.js';
import { checkedOpOf, opOf, plainOpOf } from '../../../server/http/pipeline-op.js';

const VALUE_BYTES_MAX = 16;

/** What each field may be, right or wrong; absent with the chance of one in so many. */
const field = (...values: fc.Arbitrary<unknown>[]): fc.Arbitrary<unknown> =>
  fc.oneof({ arbitrary: fc.oneof(...values), weight: 4 }, fc.constantFrom(undefined, null, 5, true, {}, []));

const text = fc.oneof(
  fc.string({ maxLength: 20, unit: 'binary' }),
  fc.constantFrom('', 'key', '\ud800', 'a\udc00', '😀😀😀😀', '😀😀😀😀x', 'é'.repeat(9), 'k'.repeat(4097)),
);
const tag = fc.oneof(
  fc.tuple(fc.nat(3), fc.nat(1100), fc.nat(1100)).map((numbers) => numbers.join('/')),
  fc.constantFrom('1/2/1', '1/2', '1/2/3/4', '-1/2/1', '1/2/1 ', '1234567890123456/2/1', ''),
);
const operation: fc.Arbitrary<JsonObject> = fc
  .record({
    op: field(fc.constantFrom('set', 'delete', 'get', 'put')),
    key: field(text),
    value: fc.option(field(text), { nil: undefined }),
    session: fc.option(field(tag), { nil: undefined }),
    more: fc.oneof(
      { arbitrary: fc.constant({}), weight: 3 },
      fc.constantFrom(
        { ttlMs: 1 },
        { ifAbsent: true },
        { ifRevision: '7' },
        { valueBase64: '/w==' },
        { x: 1 },
        JSON.parse('{"__proto__":{"value":"v"}}') as object,
      ),
    ),
  })
  // What a body brings has come through JSON.
  .map(({ more, ...fields }) => ({ ...(JSON.parse(JSON.stringify(fields)) as object), ...ownOf(more) }));

/** A name `__proto__` stays a name of its own, as `JSON.parse` makes it. */
function ownOf(more: object): object {
  return Object.defineProperties({}, Object.getOwnPropertyDescriptors(more));
}

/** What it gives, or the words in which it refuses. */
function told(work: () => unknown): unknown {
  try {
    return { taken: work() };
  } catch (error) {
    return { refused: String(error), field: (error as { field?: string }).field };
  }
}

test('the short way takes nothing else than the schema does, and makes the same of it', (t) => {
  let isShort = 0;
  fc.assert(
    fc.property(operation, (op) => {
      const short = told(() => plainOpOf(op, VALUE_BYTES_MAX));
      const bySchema = told(() => checkedOpOf(op, VALUE_BYTES_MAX));
      t.deepEqual(
        told(() => opOf(op, VALUE_BYTES_MAX)),
        bySchema,
      );
      if ((short as { taken?: unknown }).taken !== undefined) isShort += 1;
    }),
    { numRuns: 5_000 },
  );
  t.true(isShort > 50, `${isShort} went the short way`);
});

test('the usual operations go the short way', (t) => {
  const session = '7/5/3';
  for (const op of [
    { op: 'get', key: 'k' },
    { op: 'set', key: 'k', value: 'v' },
    { op: 'set', key: 'k', value: '', session },
    { op: 'delete', key: 'k' },
    { op: 'delete', key: 'k', session },
  ])
    t.deepEqual(plainOpOf(op, VALUE_BYTES_MAX), checkedOpOf(op, VALUE_BYTES_MAX));
  for (const op of [
    { op: 'set', key: 'k', value: 'v', ttlMs: 5 },
    { op: 'delete', key: 'k', ifRevision: '5' },
    { op: 'get', key: 'k', session },
    { op: 'set', key: 'k', value: 'v'.repeat(VALUE_BYTES_MAX + 1) },
  ])
    t.is(plainOpOf(op, VALUE_BYTES_MAX), undefined);
});
