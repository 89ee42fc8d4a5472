import { crc32, deflateRawSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import type { StateRow } from '../../persistence/state-store.js';
import type { Codec } from '../../snapshot/codec.js';
import { snapshotDecoder } from '../../snapshot/decoder.js';
import { ZLIB_CODEC } from '../../snapshot/files/zlib-codec.js';
import type { SnapshotHeader } from '../../snapshot/format.js';
import { BLOCK_BYTES, PREFIX_BYTES, encodeRows, snapshotEncoder } from '../../snapshot/format.js';
import type { Outcome } from '../../snapshot/outcome.js';
import { SnapshotError } from '../../snapshot/outcome.js';
import type { ReadSnapshot } from '../../snapshot/reading.js';
import { readSnapshot } from '../../snapshot/reading.js';
import { verifySnapshot } from '../../snapshot/verify.js';
import { APPLIED, PLAIN, rowsOf, sample, sourceOf } from './samples.js';

const HEADER: SnapshotHeader = {
  clusterId: 'c1',
  nodeId: 'nöde',
  createdAtMs: 7,
  applied: APPLIED,
  codec: 1,
};

function verified(bytes: Buffer, codec: Codec = ZLIB_CODEC): Promise<Outcome<ReadSnapshot>> {
  return new Promise((resolve) => verifySnapshot(sourceOf(bytes), codec, undefined, resolve));
}

function rowsFrom(bytes: Buffer, codec: Codec): Promise<{ rows: StateRow[]; read: Outcome<ReadSnapshot> }> {
  const rows: StateRow[] = [];
  return new Promise((resolve) =>
    readSnapshot(
      sourceOf(bytes),
      codec,
      {
        rows: (found, next) => {
          rows.push(...found);
          setImmediate(next);
        },
      },
      (read) => resolve({ rows, read }),
    ),
  );
}

/** A file of these blocks, whatever they hold. */
function fileOf(blocks: readonly (readonly StateRow[])[], compress?: (raw: Buffer) => Buffer): Buffer {
  const encoder = snapshotEncoder();
  const parts = [encoder.header(HEADER)];
  for (const block of blocks) {
    const { raw, ...totals } = encodeRows(block);
    parts.push(encoder.block(raw, totals, compress?.(raw)));
  }
  return Buffer.concat([...parts, encoder.footer().data]);
}

for (const [name, codec] of [
  ['plain', PLAIN],
  ['compressed', ZLIB_CODEC],
] as const) {
  test(`${name}: what is written comes back`, async (t) => {
    for (const rows of [[], rowsOf(1, 0), rowsOf(3, 200_000), rowsOf(5000, 60)]) {
      const bytes = await sample(rows, codec);
      const found = await rowsFrom(bytes, codec);
      t.deepEqual(found.rows, rows);
      if (!found.read.ok) throw found.read.error;
      const { header, totals } = found.read.value;
      t.deepEqual(header.applied, APPLIED);
      t.deepEqual([header.clusterId, header.nodeId, header.createdAtMs], ['c1', 'n1', 1_700_000_000_000]);
      t.is(totals.rows, rows.length);
      if (codec === ZLIB_CODEC && rows.length > 100) t.true(bytes.length < totals.bytes / 3);
    }
  });

  test(`${name}: any flipped bit is found, and said where`, async (t) => {
    const rows = [...rowsOf(4, 40), ...rowsOf(9, 40).slice(4)];
    const bytes = await sample(rows, codec);
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (at % 8)), at);
      const outcome = await verified(flipped, codec);
      if (outcome.ok) t.fail(`byte ${at}`);
      else if (!(outcome.error instanceof SnapshotError) || outcome.error.offset === undefined)
        t.fail(`byte ${at}`);
      else if (outcome.error.offset > at) t.fail(`byte ${at} is reported at ${outcome.error.offset}`);
    }
    t.true((await verified(bytes, codec)).ok);
  });

  test(`${name}: any cut and any addition is found`, async (t) => {
    const bytes = await sample(rowsOf(6, 30), codec);
    for (let length = 0; length < bytes.length; length += 1) {
      t.false((await verified(bytes.subarray(0, length), codec)).ok);
    }
    t.false((await verified(Buffer.concat([bytes, Buffer.of(0)]), codec)).ok);
    // Behind what is read at a time.
    t.false((await verified(Buffer.concat([bytes, Buffer.alloc(400_000)]), codec)).ok);
  });
}

test('pieces of any size give the same', async (t) => {
  const bytes = await sample(rowsOf(40, 50), ZLIB_CODEC);
  for (const size of [1, 7, 100, bytes.length]) {
    const decoder = snapshotDecoder();
    const kinds: string[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      decoder.push(bytes.subarray(at, at + size));
      for (let piece = decoder.next(); piece !== undefined; piece = decoder.next()) kinds.push(piece.kind);
    }
    t.deepEqual(kinds, ['header', 'block', 'end']);
    t.is(decoder.soundBytes, bytes.length);
  }
});

test('rows out of order, twice, or not as many as it says are refused, though every checksum matches', async (t) => {
  const [a, b, c] = rowsOf(3, 10);
  const cases: [Buffer, RegExp | undefined][] = [
    [fileOf([[a!, b!], [c!]]), undefined],
    [fileOf([[b!, a!]]), /out of order/],
    [
      fileOf([
        [a!, b!],
        [b!, c!],
      ]),
      /out of order/,
    ],
    [fileOf([[c!], [a!]]), /out of order/],
  ];
  for (const [bytes, message] of cases) {
    const outcome = await verified(bytes);
    t.is(outcome.ok, message === undefined);
    if (!outcome.ok && message !== undefined) t.regex(outcome.error.message, message);
  }
  const encoder = snapshotEncoder();
  const head = encoder.header(HEADER);
  const { raw } = encodeRows([a!]);
  const file = Buffer.concat([
    head,
    encoder.block(raw, { rows: 2, bytes: 20 }, undefined),
    encoder.footer().data,
  ]);
  const outcome = await verified(file);
  t.true(!outcome.ok && /1 rows, not 2/.test(outcome.error.message));
});

test('a block that unpacks to more or less than it says takes no more memory than that', async (t) => {
  const bomb = deflateRawSync(Buffer.alloc(50_000_000));
  const rows = rowsOf(2, 10);
  for (const compressed of [bomb, deflateRawSync(Buffer.alloc(3)), Buffer.from('not deflated')]) {
    const before = process.memoryUsage().arrayBuffers;
    const outcome = await verified(fileOf([rows], () => compressed));
    t.true(!outcome.ok && outcome.error.fault === 'damaged' && (outcome.error.offset ?? 0) > PREFIX_BYTES);
    t.true(process.memoryUsage().arrayBuffers - before < 20_000_000);
  }
});

/** The header of a frame whose own checksum matches. */
function frameOf(kind: number, rawBytes: number, storedBytes: number): Buffer {
  const head = Buffer.alloc(17);
  head.writeUInt8(kind, 0);
  head.writeUInt32BE(rawBytes, 1);
  head.writeUInt32BE(storedBytes, 5);
  head.writeUInt32BE(crc32(head.subarray(0, 9)), 9);
  return head;
}

test('lengths beyond their bounds, and frames where they do not belong, are refused before anything is read by them', (t) => {
  const header = snapshotEncoder().header(HEADER);
  const prefix = header.subarray(0, PREFIX_BYTES);
  const files = [
    Buffer.concat([prefix, frameOf(1, 4_000_000_000, 4_000_000_000)]),
    Buffer.concat([prefix, frameOf(2, 10, 10)]),
    Buffer.concat([header, frameOf(2, 4_000_000_000, 4_000_000_000)]),
    Buffer.concat([header, frameOf(3, 4_000_000_000, 10)]),
    Buffer.concat([header, frameOf(3, 10, 4_000_000_000)]),
    Buffer.concat([header, frameOf(2, 10, 11)]),
    Buffer.concat([header, frameOf(4, 25, 25)]),
    Buffer.concat([header, frameOf(9, 1, 1)]),
    Buffer.concat([header, frameOf(1, 10, 10)]),
  ];
  for (const file of files) {
    const decoder = snapshotDecoder();
    decoder.push(file);
    t.throws(
      () => {
        decoder.next();
        decoder.next();
      },
      { instanceOf: SnapshotError, message: /does not belong there/ },
    );
  }
});

test('garbage of any kind is a typed error', async (t) => {
  const good = await sample(rowsOf(30, 30), ZLIB_CODEC);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.nat(good.length - 32), async (garbage, at) => {
      t.false((await verified(Buffer.from(garbage))).ok);
      t.false((await verified(Buffer.concat([good.subarray(0, at), garbage]))).ok);
    }),
    { numRuns: 200 },
  );
});

test('a newer format and an unknown compression are told apart from damage', async (t) => {
  const bytes = fileOf([rowsOf(2, 10)]);
  const newer = Buffer.from(bytes);
  newer.writeUInt32BE(2, 8);
  const other = await verified(bytes, PLAIN);
  for (const outcome of [await verified(newer), other]) {
    t.true(!outcome.ok && outcome.error.fault === 'unsupported');
  }
});

test('a hundred thousand empty blocks are read without a deep stack', async (t) => {
  const outcome = await verified(fileOf(Array.from({ length: 100_000 }, () => [])), ZLIB_CODEC);
  t.true(outcome.ok);
});

test('blocks are bounded, whatever the rows', async (t) => {
  const bytes = await sample(rowsOf(3000, 100), PLAIN);
  const decoder = snapshotDecoder();
  decoder.push(bytes);
  let blocks = 0;
  for (let piece = decoder.next(); piece?.kind !== 'end' && piece !== undefined; piece = decoder.next()) {
    if (piece.kind === 'block') {
      blocks += 1;
      t.true(piece.rawBytes < BLOCK_BYTES * 1.2);
    }
  }
  t.true(blocks > 3);
});
