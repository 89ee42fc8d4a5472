import test from 'ava';
import fc from 'fast-check';

import { duplicateName, nestsDeeper } from '../../../server/http/json-scan.js';

/** Slow and plain: parses the text by recursion, keeping every name of every object. */
function referenceDuplicate(text: string): string | undefined {
  let at = 0;
  const blank = (): void => {
    while (' \t\n\r'.includes(text[at] ?? 'x')) at += 1;
  };
  const string = (): string => {
    const start = at;
    for (at += 1; text[at] !== '"'; at += 1) if (text[at] === '\\') at += 1;
    at += 1;
    return JSON.parse(text.slice(start, at)) as string;
  };
  const value = (): string | undefined => {
    blank();
    if (text[at] === '"') {
      string();
    } else if (text[at] === '{' || text[at] === '[') {
      const names: string[] = [];
      const isObject = text[at] === '{';
      at += 1;
      for (;;) {
        blank();
        if (text[at] === ']' || text[at] === '}') break;
        if (isObject) {
          const name = string();
          if (names.includes(name)) return name;
          names.push(name);
          blank();
          at += 1;
        }
        const inner = value();
        if (inner !== undefined) return inner;
        blank();
        if (text[at] === ',') at += 1;
      }
      at += 1;
    } else {
      while (at < text.length && !',]} \t\n\r'.includes(text[at] ?? ',')) at += 1;
    }
    return undefined;
  };
  return value();
}

const nameText = fc.constantFrom(
  'a',
  'b',
  'key',
  '',
  '"',
  '\\',
  '\\"',
  '{',
  '}',
  ',',
  ':',
  'é',
  '\ud800',
  '__proto__',
);

/** A string as one of the several texts that mean it. */
const literal = (text: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(text, fc.boolean()).map(([plain, isEscaped]) =>
    isEscaped
      ? `"${plain
          .split('')
          .map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
          .join('')}"`
      : JSON.stringify(plain),
  );

const { json } = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('1', '-2.5e3', 'true', 'null', '""', '[]', '{}'),
    literal(fc.oneof(nameText, fc.string())),
    fc.array(tie('json'), { maxLength: 4 }).map((items) => `[${items.join(' , ')}]`),
    fc
      .array(fc.tuple(literal(nameText), tie('json')), { maxLength: 4 })
      .map((pairs) => `{ ${pairs.map(([name, value]) => `${name} :\n${value}`).join(',')} }`),
  ),
}));

test('a name given twice is found as a slow parser finds it', (t) => {
  fc.assert(
    fc.property(json, (text) => {
      JSON.parse(text);
      return duplicateName(text) === referenceDuplicate(text);
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

test('names are compared by what they mean, within one object', (t) => {
  t.is(duplicateName('{"a":1,"a":2}'), 'a');
  t.is(duplicateName('{"a":1,"\\u0061":2}'), 'a');
  t.is(duplicateName('{"__proto__":1,"__proto__":2}'), '__proto__');
  t.is(duplicateName('{"a":{"b":1,"c":[{"d":1,"d":2}]}}'), 'd');
  t.is(duplicateName('{"a":{"a":{"a":"a"}},"b":"a"}'), undefined);
  t.is(duplicateName('[{"a":1},{"a":1},"a","a"]'), undefined);
  t.is(duplicateName('{"a":"\\",\\"a\\":","b":["a","a"]}'), undefined);
  t.is(duplicateName('{"a\\\\":1,"a":2,"a\\"":3}'), undefined);
  t.is(duplicateName('{"a":[1,2],"a":3}'), 'a');
  t.is(duplicateName('"a"'), undefined);
});

test('depth counts brackets outside of strings only', (t) => {
  t.false(nestsDeeper('[[[]]]', 3));
  t.true(nestsDeeper('[[[]]]', 2));
  t.true(nestsDeeper('{"a":{"b":[1]}}', 2));
  t.false(nestsDeeper('["[[[[", "\\"[[[[", {}]', 2));
  t.false(nestsDeeper('[[],[],[],{}]', 2));
  t.true(nestsDeeper('['.repeat(10_000), 32));
  t.false(nestsDeeper('"unfinished [[[[[', 2));
});

test('long runs of quotes and backslashes take linear time', (t) => {
  const text = JSON.stringify({ value: '\\"'.repeat(500_000) });
  const startMs = performance.now();
  t.is(duplicateName(text), undefined);
  t.false(nestsDeeper(text, 5));
  t.true(performance.now() - startMs < 1000);
});
