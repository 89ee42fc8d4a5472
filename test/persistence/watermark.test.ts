import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import fc from 'fast-check';
import { StorageError } from '../../persistence/errors.js';
import { memoryWatermarkDisk, openMemoryWatermark } from '../../persistence/memory/watermark.js';
import type { RecoveredMark } from '../../persistence/watermark.js';
import { MARK_LAG_MS_MAX } from '../../persistence/watermark.js';
import { openWatermarkFile } from '../../persistence/watermark-file.js';
import { markOf, promised, watermarkContract } from '../contracts/watermark.js';
import { inTemporaryDirectory, temporaryDirectory, unexpected } from './directories.js';

const defer = (task: () => void): void => void setImmediate(task);

watermarkContract(test, 'memory', () => {
  const disk = memoryWatermarkDisk();
  return Promise.resolve({
    open: () => Promise.resolve(openMemoryWatermark({ disk, defer, lag: defer })),
    lag: () => new Promise<void>(setImmediate),
    dispose: () => Promise.resolve(),
  });
});

watermarkContract(test, 'file', async () => {
  const { path: directory, remove } = await temporaryDirectory();
  return {
    open: () => openWatermarkFile({ directory, owner: 'me', fatal: unexpected }),
    // What the port promises, and the time of a write on a busy machine.
    lag: () => delay(MARK_LAG_MS_MAX + 200),
    dispose: remove,
  };
});

/** Leaves a mark that was promised, and says what is then found after `befalls`. */
async function foundAfter(
  directory: string,
  befalls: (files: readonly string[]) => Promise<unknown>,
  owner = 'me',
): Promise<RecoveredMark> {
  const first = await openWatermarkFile({ directory, owner: 'me', fatal: unexpected });
  await promised(first.watermark, markOf(1, 'node1', [1, 5]));
  await promised(first.watermark, PROMISED);
  await first.watermark.close();
  await befalls([path.join(directory, 'watermark.0'), path.join(directory, 'watermark.1')]);
  const second = await openWatermarkFile({ directory, owner, fatal: unexpected });
  await second.watermark.close();
  return second.recovered;
}

const PROMISED = markOf(7, 'node2', [6, 40]);

async function flip(file: string, where: number): Promise<void> {
  const bytes = await readFile(file);
  const bit = where % (bytes.length * 8);
  const at = Math.floor(bit / 8);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (bit % 8)), at);
  await writeFile(file, bytes);
}

test('a promise outlives whatever befalls one of the two files', async (t) => {
  const fault = fc.oneof(
    fc.nat(100_000).map((where) => (file: string) => flip(file, where)),
    fc.nat(511).map((length) => (file: string) => truncate(file, length)),
    fc.constant((file: string) => rm(file)),
    fc.constant((file: string) => writeFile(file, Buffer.alloc(512))),
  );
  await fc.assert(
    fc.asyncProperty(fault, fc.constantFrom(0, 1), (befall, which) =>
      inTemporaryDirectory(async (directory) => {
        const found = { kind: 'found', mark: PROMISED };
        t.deepEqual(await foundAfter(directory, (files) => befall(files[which]!)), found);
        // It was put right, so that the other file may be next.
        const again = await openWatermarkFile({ directory, owner: 'me', fatal: unexpected });
        t.deepEqual(again.recovered, found);
        await again.watermark.close();
        await rm(path.join(directory, `watermark.${1 - which}`));
        const third = await openWatermarkFile({ directory, owner: 'me', fatal: unexpected });
        t.deepEqual(third.recovered, found);
        await third.watermark.close();
      }),
    ),
    { numRuns: 40 },
  );
});

test('with both gone bad nothing is believed; with both missing there is none', async (t) => {
  const lost = async (
    befalls: (files: readonly string[]) => Promise<unknown>,
    owner?: string,
  ): Promise<void> =>
    inTemporaryDirectory(async (directory) => {
      const recovered = await foundAfter(directory, befalls, owner);
      t.is(recovered.kind, 'lost');
      t.true(recovered.kind === 'lost' && recovered.why.includes(path.join(directory, 'watermark.0')));
    });
  await lost((files) => Promise.all(files.map((file) => truncate(file, 0))));
  await lost((files) => Promise.all(files.map((file) => flip(file, 100))));
  await lost(async ([one = '', two = '']) => {
    await rm(one);
    await flip(two, 3);
  });
  await lost(() => Promise.resolve(), 'somebody else');
  await inTemporaryDirectory(async (directory) => {
    const recovered = await foundAfter(directory, async (files) => {
      await Promise.all(files.map((file) => rm(file)));
    });
    t.deepEqual(recovered, { kind: 'none' });
  });
});

test('a failed write is fatal once, and the promise is never done', (t) =>
  inTemporaryDirectory(async (directory) => {
    const errors: StorageError[] = [];
    let report: () => void = () => undefined;
    const failed = new Promise<void>((resolve) => (report = resolve));
    const fatal = (error: StorageError): void => {
      errors.push(error);
      report();
    };
    const { watermark } = await openWatermarkFile({ directory, owner: 'me', fatal });
    // The record does not fit, so that nothing of it is written.
    watermark.promise(markOf(1, 'x'.repeat(300), [0, 0]), () => t.fail());
    await failed;
    watermark.promise(markOf(1, 'x', [0, 0]), () => t.fail());
    await watermark.close();
    t.is(errors.length, 1);
    t.is(errors[0]?.fault, 'write');
  }));

test('a path that cannot be a directory is refused', (t) =>
  inTemporaryDirectory(async (directory) => {
    const file = path.join(directory, 'file');
    await writeFile(file, '');
    const opening = openWatermarkFile({
      directory: path.join(file, 'below'),
      owner: 'me',
      fatal: unexpected,
    });
    const error = await t.throwsAsync(opening, { instanceOf: StorageError, message: /raft\.dataDir/ });
    t.is(error.fault, 'unusable');
  }));
