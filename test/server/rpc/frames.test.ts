import test from 'ava';
import fc from 'fast-check';
import { createFrameParser, encodeFrames, FrameError } from '../../../server/rpc/frames.js';

function framed(texts: readonly string[]): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text));
  return encodeFrames(
    texts,
    lengths,
    lengths.reduce((a, b) => a + b, 0),
  );
}

function parsing(frameBytesMax = 1024): { push: (chunk: Buffer) => void; texts: string[] } {
  const texts: string[] = [];
  const parser = createFrameParser(frameBytesMax, (frame) => texts.push(frame.toString()));
  return { push: (chunk) => parser.push(chunk), texts };
}

test('frames come out the same, split at any one byte', (t) => {
  const texts = ['{"a":1}', '', 'é€😀', 'x'.repeat(300)];
  const bytes = framed(texts);
  for (let at = 0; at <= bytes.length; at += 1) {
    const parser = parsing();
    parser.push(bytes.subarray(0, at));
    parser.push(bytes.subarray(at));
    if (parser.texts.join('|') !== texts.join('|')) t.fail(`split at ${at}`);
  }
  t.pass();
});

test('frames come out the same, a byte at a time', (t) => {
  const texts = ['{"a":1}', '', 'é€😀', 'x'.repeat(300)];
  const parser = parsing();
  for (const byte of framed(texts)) parser.push(Buffer.from([byte]));
  t.deepEqual(parser.texts, texts);
});

test('frames come out the same, in any pieces', (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), fc.array(fc.nat({ max: 40 })), (texts, sizes) => {
      const parser = parsing();
      let rest = framed(texts);
      for (const size of sizes) {
        parser.push(rest.subarray(0, size));
        rest = rest.subarray(size);
      }
      parser.push(rest);
      // A lone surrogate is no character in UTF-8: it comes out as the replacement character.
      return parser.texts.join('|') === texts.map((text) => text.toWellFormed()).join('|');
    }),
  );
  t.pass();
});

test('a frame over the bound is refused by its header, one at the bound is not', (t) => {
  const fits = parsing(10);
  fits.push(framed(['0123456789']));
  t.deepEqual(fits.texts, ['0123456789']);
  t.throws(() => fits.push(Buffer.from([0, 0, 0, 11, 0, 0, 0, 0])), { instanceOf: FrameError });
  t.throws(() => parsing(10).push(Buffer.from('GET / HTTP/1.1\r\n')), { instanceOf: FrameError });
});

test('a frame in many small pieces is joined once', (t) => {
  // Joining anew at every piece would copy 16 MiB 16,384 times: minutes.
  const lengths: number[] = [];
  const parser = createFrameParser(32 * 1024 * 1024, (frame) => lengths.push(frame.length));
  const bytes = framed(['x'.repeat(16 * 1024 * 1024)]);
  const began = performance.now();
  for (let at = 0; at < bytes.length; at += 1024) parser.push(bytes.subarray(at, at + 1024));
  t.deepEqual(lengths, [16 * 1024 * 1024]);
  t.true(performance.now() - began < 5000);
});

test('a flipped bit anywhere in a payload or its checksum is found', (t) => {
  const bytes = framed(['{"term":7}']);
  for (let at = 4 * 8; at < bytes.length * 8; at += 1) {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at >> 3) ^ (1 << (at & 7)), at >> 3);
    const parser = parsing();
    t.throws(() => parser.push(damaged), { instanceOf: FrameError, message: /damaged/ });
    t.deepEqual(parser.texts, []);
  }
});
