import test from 'ava';
import { parseEntry } from '../../cli/entry-line.js';
import { LINE_BYTES_MAX, LineTooLongError, readLines } from '../../cli/lines.js';
import { parseDuration } from '../../cli/duration.js';

const bytes = (text: string) => Buffer.from(text);

async function linesOf(...chunks: (string | Buffer)[]): Promise<[number, string][]> {
  const found: [number, string][] = [];
  for await (const line of readLines(streamOf(chunks)))
    found.push([line.number, Buffer.from(line.bytes).toString()]);
  return found;
}

async function* streamOf(chunks: Iterable<string | Buffer>): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk as string);
  await Promise.resolve();
}

test('lines end at line feeds, wherever the chunks do', async (t) => {
  t.deepEqual(await linesOf('a\nb', 'c\n', '\n', 'd'), [
    [1, 'a'],
    [2, 'bc'],
    [3, ''],
    [4, 'd'],
  ]);
  t.deepEqual(await linesOf(), []);
  t.deepEqual(await linesOf('\u2028\r\n'), [[1, '\u2028\r']]);
  const [high, low] = [bytes('é').subarray(0, 1), bytes('é').subarray(1)];
  t.deepEqual(await linesOf(high, low, '\n'), [[1, 'é']]);
});

test('a line without end is refused before it fills the memory', async (t) => {
  const chunk = Buffer.alloc(1 << 20, 'x');
  const error = await t.throwsAsync(
    linesOf('first\n', ...Array<Buffer>(LINE_BYTES_MAX / chunk.length + 1).fill(chunk)),
  );
  t.true(error instanceof LineTooLongError && error.line === 2);
});

test('entries', (t) => {
  t.deepEqual(parseEntry(bytes('{"key":"a","value":""}')), { key: 'a', value: '' });
  t.deepEqual(parseEntry(bytes(' {"valueBase64":"/wA=","key":"a"} \r')), {
    key: 'a',
    value: Buffer.from([0xff, 0]),
  });
  t.deepEqual(parseEntry(bytes('{"key":"a","value":"v","ttlMs":5}')), { key: 'a', value: 'v', ttlMs: 5 });
  t.is(parseEntry(bytes(' \r')), undefined);
});

test('what is wrong with a line', (t) => {
  const cases: [string | Buffer, RegExp][] = [
    ['{"key":"a"', /not JSON/],
    ['[]', /expected an object/],
    ['null', /expected an object/],
    ['{"value":"v"}', /"key" must be a string/],
    ['{"key":"","value":"v"}', /"key" must not be empty/],
    ['{"key":"\\ud800","value":"v"}', /"key" must not contain a lone surrogate/],
    ['{"key":"a"}', /expected one of "value" and "valueBase64"/],
    ['{"key":"a","value":"v","valueBase64":""}', /expected one of/],
    ['{"key":"a","value":5}', /"value" must be a string/],
    ['{"key":"a","value":"\\udc00"}', /"value" must not contain a lone surrogate/],
    ['{"key":"a","valueBase64":"a-_"}', /padded base64/],
    ['{"key":"a","value":"v","ttlMs":0}', /"ttlMs" must be a positive integer/],
    ['{"key":"a","value":"v","ttl":5}', /unknown field "ttl"/],
    [Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/],
  ];
  for (const [line, message] of cases) t.throws(() => parseEntry(Buffer.from(line as string)), { message });
});

test('durations need a unit', (t) => {
  t.is(parseDuration('500ms'), 500);
  t.is(parseDuration('1.5s'), 1_500);
  t.is(parseDuration('2m'), 120_000);
  for (const text of ['5', '', 's', '-1s', '0s', '99999h', '1 s']) t.throws(() => parseDuration(text));
});
