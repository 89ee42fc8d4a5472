import test from 'ava';
import fc from 'fast-check';
import { setJson, writeBody } from '../../../server/http/answer.js';
import { jsonString } from '../../../server/http/json.js';
import { entryJson, wireEntry } from '../../../server/http/values.js';

/** Whatever a string can hold: escapes, control characters, halves of pairs. */
const texts = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom(
      'a',
      '"',
      '\\',
      '\n',
      '\u0000',
      '\u001f',
      '\u007f',
      '\u2028',
      '\ud800',
      '\udc00',
      '\u{10ffff}',
    ),
  }),
);
const values = fc.oneof(
  texts.map((text) => Buffer.from(text)),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
);
const revisions = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

test('a string is written as JSON.stringify does', (t) => {
  fc.assert(fc.property(texts, (text) => jsonString(text) === JSON.stringify(text)));
  t.pass();
});

test('an entry is written by hand as JSON.stringify does', (t) => {
  const entries = fc.record(
    { key: texts, value: values, revision: revisions, ttlMs: fc.nat() },
    { requiredKeys: ['key', 'value', 'revision'] },
  );
  fc.assert(fc.property(entries, (entry) => entryJson(entry) === JSON.stringify(wireEntry(entry))));
  t.pass();
});

test('a set is answered by hand as JSON.stringify does', (t) => {
  fc.assert(
    fc.property(texts, revisions, (key, revision) => {
      const result = { status: 'set', revision } as const;
      return setJson(key, revision) === JSON.stringify(writeBody(key, result));
    }),
  );
  t.pass();
});
