/** One end against the other, over a line that loses, doubles, delays and damages what is sent, through restarts at any point. */

import { crc32 } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import type { SnapshotFile } from '../../snapshot/identity.js';
import {
  crashSnapshotDisk,
  memorySnapshotDisk,
  openMemorySnapshotDirectory,
} from '../../snapshot/memory/directory.js';
import type { SnapshotReceiver } from '../../snapshot/receiver.js';
import { REQUESTS_WAITING_MAX, snapshotReceiver } from '../../snapshot/receiver.js';
import type { SendResult, SnapshotSender } from '../../snapshot/sender.js';
import { tokenBucket } from '../../snapshot/throttle.js';
import type { SnapshotChunk, TransferAnswer, TransferRequest } from '../../snapshot/transfer.js';
import { CHUNK_BYTES, deliver, ends, openIn, opening, prepared, senderOf } from './ends.js';
import { PLAIN, bytesOf, rowsOf, sample, storeInMemory } from './samples.js';
import { storeOn } from '../contracts/snapshot-store.js';

interface Line {
  /** What happens to each message, in turn: 0 lost, 1 doubled, 2 damaged, 3 late, else delivered. */
  readonly fates: readonly number[];
  /** The receiver crashes when so many messages have come. */
  readonly crashes: readonly number[];
}

const line: fc.Arbitrary<Line> = fc.record({
  fates: fc.array(fc.nat(12), { minLength: 1, maxLength: 60 }),
  crashes: fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 4 }),
});

/** One whole transfer over such a line; what the receiver has in the end. */
async function transferOver({
  fates,
  crashes,
}: Line): Promise<{ result: SendResult | undefined; data: Buffer | undefined }> {
  const both = await ends();
  const { scene, file } = both;
  const disk = memorySnapshotDisk();
  let life = 0;
  let receiver: SnapshotReceiver | undefined;
  const start = (): void => {
    life += 1;
    const own = life;
    receiver = undefined;
    opening(
      scene,
      disk,
      () => own === life,
      (store) => (receiver = snapshotReceiver({ store, codec: PLAIN, received: () => undefined })),
    );
  };
  start();
  let count = 0;
  let messages = 0;
  let result: SendResult | undefined;
  const fate = (): number => {
    count += 1;
    // Only so many go wrong: a line that loses everything for ever proves nothing.
    return count > 400 ? 9 : fates[count % fates.length]!;
  };
  const answered = (answer: TransferAnswer): void => {
    const what = fate();
    if (what !== 0) scene.after(what === 3 ? 120 : 2, () => sender.answered(answer, scene.nowMs));
  };
  const arrive = (request: TransferRequest): void => {
    messages += 1;
    if (crashes.includes(messages)) {
      crashSnapshotDisk(disk, (unsynced) => Math.floor((unsynced * (messages % 4)) / 3));
      start();
      return;
    }
    const own = life;
    // A process that is not up yet hears nothing.
    if (receiver === undefined) return;
    deliver(receiver, request, (answer) => {
      if (own === life) answered(answer);
    });
  };
  const send = (request: TransferRequest): void => {
    const what = fate();
    if (what === 0) return;
    const sent = what === 2 && request.type === 'chunk' ? { ...request, crc: request.crc ^ 1 } : request;
    scene.after(what === 3 ? 150 : 2, () => arrive(sent));
    if (what === 1) scene.after(7, () => arrive(sent));
  };
  const sender: SnapshotSender = senderOf(both, {
    send,
    giveUpMs: 60_000,
    done: (each) => (result = each),
  });
  for (let i = 0; i < 1000 && result === undefined; i += 1) scene.run(scene.nowMs + 100);
  return { result, data: disk.files.get(`${file.id}.snap`)?.data };
}

test('a clean line: the snapshot arrives, whole', async (t) => {
  const { result, data } = await transferOver({ fates: [9], crashes: [] });
  t.deepEqual(result, { type: 'received' });
  t.deepEqual(data, (await prepared).bytes);
});

test('it arrives whatever is lost, doubled, damaged or late, and whenever the receiver crashes', async (t) => {
  const { bytes } = await prepared;
  await fc.assert(
    fc.asyncProperty(line, async (drawn) => {
      const { result, data } = await transferOver(drawn);
      t.deepEqual(result, { type: 'received' });
      t.true(data?.equals(bytes));
    }),
    { numRuns: 60 },
  );
});

test('a crash at every chunk: it goes on where what was synced ends, and ends with the same bytes', async (t) => {
  const { bytes } = await prepared;
  for (let at = 1; at <= Math.ceil(bytes.length / CHUNK_BYTES) + 2; at += 1) {
    const { result, data } = await transferOver({ fates: [9], crashes: [at] });
    t.deepEqual(result, { type: 'received' }, `crash at message ${at}`);
    t.true(data?.equals(bytes));
  }
});

test('what was received before a restart is not sent again', async (t) => {
  const { bytes, file } = await prepared;
  const disk = memorySnapshotDisk();
  const first = await storeOn(
    openMemorySnapshotDirectory({ disk, defer: (task) => void setImmediate(task) }),
  );
  const offer = { position: file.position, digest: file.digest, totalBytes: file.bytes };
  const incoming = first.beginIncoming(offer);
  const half = Math.floor(bytes.length / 2);
  await new Promise((resolve) => incoming.append(bytes.subarray(0, half), resolve));
  // What a crash left behind it is garbage.
  await new Promise((resolve) => incoming.append(Buffer.alloc(50_000), resolve));
  const received: SnapshotFile[] = [];
  const store = await storeInMemory(disk);
  const receiver = snapshotReceiver({ store, codec: PLAIN, received: (each) => received.push(each) });
  const asked = await answerTo(receiver, { type: 'offer', id: file.id, totalBytes: file.bytes, term: 1 });
  const offset = asked.type === 'wanted' ? asked.offset : -1;
  t.true(offset > 0 && offset <= half && offset > half - 80_000, `${offset} of ${half}`);
  const answer = await answerTo(receiver, chunkOf(file, bytes, offset, bytes.length));
  t.is(answer.type, 'received');
  t.deepEqual(received, store.list());
  t.true((await bytesOf(store, received[0]!)).equals(bytes));
});

function answerTo(receiver: SnapshotReceiver, request: TransferRequest): Promise<TransferAnswer> {
  return new Promise((resolve) => deliver(receiver, request, resolve));
}

function chunkOf(file: SnapshotFile, bytes: Buffer, from: number, to: number): SnapshotChunk {
  const data = Buffer.from(bytes.subarray(from, to));
  return { type: 'chunk', id: file.id, offset: from, data, crc: crc32(data) };
}

test('what does not fit is answered with what is wanted, and changes nothing', async (t) => {
  const { bytes, file } = await prepared;
  const store = await storeInMemory();
  const receiver = snapshotReceiver({ store, codec: PLAIN, received: () => t.fail() });
  const unknown = await answerTo(receiver, chunkOf(file, bytes, 0, 10));
  t.true(unknown.type === 'refused' && unknown.reason === 'unknown');
  for (const bad of [
    { id: '../../etc/passwd', totalBytes: 10 },
    { id: file.id, totalBytes: 0 },
    { id: file.id, totalBytes: -1 },
    { id: file.id, totalBytes: 1.5 },
    { id: file.id, totalBytes: 2 ** 60 },
  ]) {
    const answer = await answerTo(receiver, { type: 'offer', term: 1, ...bad });
    t.true(answer.type === 'refused' && answer.reason === 'malformed');
  }
  t.is(store.incoming(), undefined);
  const wanted = (offset: number): TransferAnswer => ({ type: 'wanted', id: file.id, offset });
  const offer = { type: 'offer', id: file.id, totalBytes: bytes.length, term: 1 } as const;
  t.deepEqual(await answerTo(receiver, offer), wanted(0));
  t.deepEqual(await answerTo(receiver, chunkOf(file, bytes, 0, 100)), wanted(100));
  t.deepEqual(await answerTo(receiver, chunkOf(file, bytes, 0, 100)), wanted(100));
  t.deepEqual(await answerTo(receiver, chunkOf(file, bytes, 200, 300)), wanted(100));
  t.deepEqual(await answerTo(receiver, { ...chunkOf(file, bytes, 100, 200), crc: 1 }), wanted(100));
  t.deepEqual(await answerTo(receiver, offer), wanted(100));
  const tooLong = await answerTo(
    receiver,
    chunkOf(file, Buffer.alloc(bytes.length + 1), 100, bytes.length + 1),
  );
  t.true(tooLong.type === 'refused' && tooLong.reason === 'malformed');
  t.deepEqual(receiver.progress(), { id: file.id, receivedBytes: 100, totalBytes: bytes.length });
  await new Promise<void>((resolve) => receiver.discard(resolve));
  t.is(store.incoming(), undefined);
  t.is(receiver.progress(), undefined);
});

test('requests beyond the bound are answered as if they had been lost', async (t) => {
  const { bytes, file } = await prepared;
  const receiver = snapshotReceiver({ store: await storeInMemory(), codec: PLAIN, received: () => t.fail() });
  await answerTo(receiver, { type: 'offer', id: file.id, totalBytes: bytes.length, term: 1 });
  let atOnce = 0;
  const answers = Array.from({ length: REQUESTS_WAITING_MAX + 4 }, (_, i) => {
    let within = true;
    const answer = new Promise<TransferAnswer>((resolve) =>
      receiver.chunk(chunkOf(file, bytes, i * 10, i * 10 + 10), (each) => {
        atOnce += within ? 1 : 0;
        resolve(each);
      }),
    );
    within = false;
    return answer;
  });
  t.is(atOnce, 3);
  await Promise.all(answers);
  t.is(receiver.progress()?.receivedBytes, (REQUESTS_WAITING_MAX + 1) * 10);
});

test('a newer snapshot, or one of a later leader, takes the place of an unfinished one; an older one does not', async (t) => {
  const { file } = await prepared;
  const store = await storeInMemory();
  const receiver = snapshotReceiver({ store, codec: PLAIN, received: () => t.fail() });
  const idAt = (index: number): string => file.id.replace(/^\d+/, String(index).padStart(16, '0'));
  const offered = (index: number, term: number): Promise<TransferAnswer> =>
    answerTo(receiver, { type: 'offer', id: idAt(index), totalBytes: 1000, term });
  t.is((await offered(50, 2)).type, 'wanted');
  t.is((await offered(60, 2)).type, 'wanted');
  t.is(store.incoming()?.offer.position.index, 60);
  const older = await offered(55, 2);
  t.true(older.type === 'refused' && older.reason === 'older');
  t.is((await offered(99, 1)).type, 'refused');
  t.is((await offered(40, 3)).type, 'wanted');
  t.is(store.incoming()?.offer.position.index, 40);
});

test('what is not what its id says is dropped whole, and may be sent anew', async (t) => {
  const { bytes, file } = await prepared;
  const store = await storeInMemory();
  const receiver = snapshotReceiver({ store, codec: PLAIN, received: () => undefined });
  const offer = { type: 'offer', id: file.id, totalBytes: bytes.length, term: 1 } as const;
  const damaged = Buffer.from(bytes);
  damaged.writeUInt8(damaged.readUInt8(5000) ^ 1, 5000);
  const other = await sample(rowsOf(900, 100).slice(1), PLAIN);
  for (const bad of [damaged, Buffer.concat([other, Buffer.alloc(bytes.length)]).subarray(0, bytes.length)]) {
    await answerTo(receiver, offer);
    const answer = await answerTo(receiver, chunkOf(file, bad, 0, bad.length));
    t.true(answer.type === 'refused' && answer.reason === 'damaged');
    t.is(store.incoming(), undefined);
    t.deepEqual(store.list(), []);
  }
  await answerTo(receiver, offer);
  t.is((await answerTo(receiver, chunkOf(file, bytes, 0, bytes.length))).type, 'received');
  t.is((await answerTo(receiver, offer)).type, 'received');
});

test('a receiver that cannot write says so', async (t) => {
  const { bytes, file } = await prepared;
  const disk = memorySnapshotDisk();
  const receiver = snapshotReceiver({
    store: await storeInMemory(disk),
    codec: PLAIN,
    received: () => t.fail(),
  });
  await answerTo(receiver, { type: 'offer', id: file.id, totalBytes: bytes.length, term: 1 });
  disk.writeFault = 'no space left on device';
  const answer = await answerTo(receiver, chunkOf(file, bytes, 0, 100));
  t.true(answer.type === 'refused' && answer.reason === 'failed' && /no space/.test(answer.message));
});

test('the throttle is kept, and what it holds back is no silence', async (t) => {
  const both = await ends();
  const { scene, file } = both;
  const disk = memorySnapshotDisk();
  const receiver = snapshotReceiver({ store: openIn(scene, disk), codec: PLAIN, received: () => undefined });
  const bytesPerSecond = 20_000;
  const start = scene.nowMs;
  let sentBytes = 0;
  let offers = 0;
  let result: SendResult | undefined;
  const sender: SnapshotSender = senderOf(both, {
    throttle: tokenBucket(bytesPerSecond, CHUNK_BYTES, start),
    send: (request) => {
      if (request.type === 'offer') offers += 1;
      else {
        sentBytes += request.data.length;
        t.true(sentBytes <= 2 * CHUNK_BYTES + ((scene.nowMs - start) * bytesPerSecond) / 1000);
      }
      scene.after(1, () => deliver(receiver, request, (answer) => sender.answered(answer, scene.nowMs)));
    },
    done: (each) => (result = each),
  });
  while (result === undefined && scene.nowMs < start + 60_000) scene.run(scene.nowMs + 10);
  t.deepEqual(result, { type: 'received' });
  t.is(offers, 1);
  t.is(sentBytes, file.bytes);
  t.true(scene.nowMs - start >= ((file.bytes - 2 * CHUNK_BYTES) / bytesPerSecond) * 1000);
  t.deepEqual(sender.progress(), { sentBytes: file.bytes, totalBytes: file.bytes });
});

test('who has all of it, and says so while installing it, is waited for; who falls silent then is not', async (t) => {
  const installing = await ends();
  const results: SendResult[] = [];
  let isSilent = false;
  const sender: SnapshotSender = senderOf(installing, {
    send: ({ id }) => {
      const has = { type: 'wanted', id, offset: installing.file.bytes } as const;
      if (!isSilent) installing.scene.after(2, () => sender.answered(has, installing.scene.nowMs));
    },
    giveUpMs: 500,
    done: (result) => void results.push(result),
  });
  installing.scene.run(installing.scene.nowMs + 20_000);
  t.deepEqual(results, []);
  isSilent = true;
  installing.scene.run(installing.scene.nowMs + 600);
  t.deepEqual(results, [{ type: 'stalled' }]);
});

test('a transfer that does not move is given up; one that is refused or cannot be read ends', async (t) => {
  const silent = await ends();
  const results: SendResult[] = [];
  const done = (result: SendResult): void => void results.push(result);
  let offers = 0;
  senderOf(silent, { send: () => (offers += 1), giveUpMs: 500, done });
  silent.scene.run(silent.scene.nowMs + 495);
  t.deepEqual(results, []);
  silent.scene.run(silent.scene.nowMs + 20);
  t.deepEqual(results, [{ type: 'stalled' }]);
  t.true(offers >= 9 && offers <= 11);

  const refusing = await ends();
  const refused = senderOf(refusing, { done });
  refused.answered({ type: 'refused', id: refusing.file.id, reason: 'older', message: 'no' }, 0);
  refused.answered({ type: 'received', id: refusing.file.id }, 0);
  t.deepEqual(results.slice(1), [{ type: 'refused', message: 'older: no' }]);

  const unreadable = await ends();
  const gone = senderOf({ ...unreadable, from: openIn(unreadable.scene, memorySnapshotDisk()) }, { done });
  gone.answered({ type: 'wanted', id: unreadable.file.id, offset: 0 }, 0);
  unreadable.scene.run(unreadable.scene.nowMs + 10);
  t.is(results[2]?.type, 'unreadable');

  const cancelled = senderOf(await ends(), { done });
  cancelled.cancel();
  cancelled.cancel();
  t.deepEqual(results.slice(3), [{ type: 'cancelled' }]);
});

test('nonsense for an answer moves nothing', async (t) => {
  const both = await ends();
  let chunks = 0;
  const sender = senderOf(both, { send: (request) => (chunks += request.type === 'chunk' ? 1 : 0) });
  for (const offset of [-1, 0.5, Number.NaN, both.file.bytes + 1]) {
    sender.answered({ type: 'wanted', id: both.file.id, offset }, 0);
  }
  sender.answered({ type: 'wanted', id: 'another', offset: 0 }, 0);
  both.scene.run(both.scene.nowMs + 20);
  t.is(chunks, 0);
});
