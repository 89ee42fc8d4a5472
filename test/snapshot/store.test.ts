import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { openSnapshotDirectory } from '../../snapshot/files/directory.js';
import {
  crashSnapshotDisk,
  memorySnapshotDisk,
  openMemorySnapshotDirectory,
} from '../../snapshot/memory/directory.js';
import type { Done } from '../../snapshot/outcome.js';
import {
  finished,
  offerOf,
  outcomeOf,
  snapshotStoreContract,
  storeOn,
  valueOf,
} from '../contracts/snapshot-store.js';
import { inTemporaryDirectory, temporaryDirectory } from '../persistence/directories.js';

const defer = (task: () => void): void => void setImmediate(task);

snapshotStoreContract(test, 'memory', () => {
  const disk = memorySnapshotDisk();
  return Promise.resolve({
    open: () => Promise.resolve(openMemorySnapshotDirectory({ disk, defer })),
    names: () => Promise.resolve([...disk.files.keys()]),
    dispose: () => Promise.resolve(),
  });
});

snapshotStoreContract(test, 'files', async () => {
  const { path: root, remove } = await temporaryDirectory();
  const directory = path.join(root, 'snapshots');
  return {
    open: () => openSnapshotDirectory(directory),
    names: () => readdir(directory),
    dispose: remove,
  };
});

test('a crash takes what was not synced, and nothing else', async (t) => {
  const disk = memorySnapshotDisk();
  const store = await storeOn(openMemorySnapshotDirectory({ disk, defer }));
  const writer = store.create();
  await valueOf((done: Done<undefined>) => writer.append(Buffer.from('complete'), done));
  await finished(writer, offerOf(1, 1));
  const incoming = store.beginIncoming(offerOf(2, 100));
  await valueOf((done: Done<undefined>) => incoming.append(Buffer.from('partial'), done));
  crashSnapshotDisk(disk, (unsynced) => Math.max(0, unsynced - 3));
  const after = await storeOn(openMemorySnapshotDirectory({ disk, defer }));
  t.deepEqual(
    after.list().map(({ bytes }) => bytes),
    [8],
  );
  t.is(after.incoming()?.bytes, 4);
});

test('a directory that cannot be written is a failure that is answered', (t) =>
  inTemporaryDirectory(async (root) => {
    const file = path.join(root, 'file');
    await writeFile(file, '');
    await t.throwsAsync(openSnapshotDirectory(path.join(file, 'snapshots')));
    const directory = path.join(root, 'snapshots');
    const store = await storeOn(await openSnapshotDirectory(directory));
    await rm(directory, { recursive: true });
    const writer = store.create();
    const outcome = await outcomeOf((done: Done<undefined>) => writer.append(Buffer.from('x'), done));
    t.true(!outcome.ok && outcome.error.fault === 'io' && outcome.error.message.includes(directory));
    await valueOf((done: Done<undefined>) => writer.abandon(done));
    await store.close();
  }));
