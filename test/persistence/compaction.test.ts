/** What is on the disk of a real log and a real state behind a compaction or a restore, and after a crash at any point of them. */

import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { StorageError } from '../../persistence/errors.js';
import { BASE_KEY, REMOVED_KEY, entryKey } from '../../persistence/keys.js';
import { openDatabase } from '../../persistence/database.js';
import type { Operation } from '../../persistence/engine.js';
import { openDiskLogStore } from '../../persistence/disk/log-store.js';
import { openDiskStateStore } from '../../persistence/disk/state-store.js';
import {
  ALL,
  appended,
  compacted,
  entriesOf,
  entry,
  hardState,
  readOf,
  reset,
} from '../contracts/log-store.js';
import { finished, restoreOf, restoredRows } from '../contracts/state-restore.js';
import { appliedAt, batchOf, scanOf, written } from '../contracts/state-store.js';
import { anyEngine as engine } from './engines.js';
import { inTemporaryDirectory, unexpected } from './directories.js';

async function withDatabase<T>(
  directory: string,
  body: (database: Awaited<ReturnType<typeof openDatabase<undefined>>>['database']) => Promise<T>,
): Promise<T> {
  const { database } = await openDatabase<undefined>(
    {
      engine,
      gap: 'refuse',
      directory,
      compression: false,
      cacheBytes: 1024,
      writeBufferBytes: 1024 * 1024,
      fatal: unexpected,
    },
    (_, done) => setImmediate(() => done(undefined)),
  );
  try {
    return await body(database);
  } finally {
    await database.close();
  }
}

/** Keys of entries, as they are on the disk. */
function entryKeysOf(directory: string): Promise<number> {
  return withDatabase(directory, (database) => {
    let count = 0;
    const visit = (): boolean => (count += 1) > 0;
    return new Promise((resolve) =>
      database.each({ gte: entryKey(0), lt: Buffer.from('f'), readAheadBytes: 1024 }, visit, () =>
        resolve(count),
      ),
    );
  });
}

function changed(directory: string, operations: readonly Operation[]): Promise<void> {
  return withDatabase(
    directory,
    (database) => new Promise((resolve) => database.write(operations, true, resolve)),
  );
}

const logOptions = (directory: string) => ({ engine, directory, tailBytesMax: ALL, fatal: unexpected });

async function compactedLog(directory: string): Promise<void> {
  const { store } = await openDiskLogStore(logOptions(directory));
  await appended(store, { entries: entriesOf(1, 5000, 1), hardState: hardState(1, 'node1', 5000) });
  await compacted(store, { index: 4900, term: 1 });
  await store.close();
}

async function whenRemoved(directory: string): Promise<void> {
  const { store } = await openDiskLogStore(logOptions(directory));
  // Batches of one store come in order, so behind as many of its own there are none of the removal.
  for (let i = 0; i < 10; i += 1)
    await appended(store, { entries: [], hardState: hardState(1, 'node1', 5000) });
  await store.close();
}

test('what lies before the base is freed, beside the appends or after the next opening', (t) =>
  inTemporaryDirectory(async (directory) => {
    await compactedLog(directory);
    // Closing interrupted the removal.
    t.true((await entryKeysOf(directory)) > 100);
    await whenRemoved(directory);
    t.is(await entryKeysOf(directory), 100);
    const { store, recovered } = await openDiskLogStore(logOptions(directory));
    t.deepEqual(recovered.base, { index: 4900, term: 1 });
    t.deepEqual(await readOf(store, 4901, 5000), recovered.tail);
    await store.close();
  }));

test('a crash between the new base and the removal leaves nothing in the way, even what is damaged there', (t) =>
  inTemporaryDirectory(async (directory) => {
    await compactedLog(directory);
    await changed(directory, [
      { type: 'del', key: REMOVED_KEY },
      { type: 'put', key: entryKey(17), value: Buffer.from('damaged') },
      { type: 'del', key: entryKey(18) },
    ]);
    await whenRemoved(directory);
    t.is(await entryKeysOf(directory), 100);
  }));

test('a lost or damaged base is found', (t) =>
  inTemporaryDirectory(async (directory) => {
    await compactedLog(directory);
    await whenRemoved(directory);
    const cases: [Operation, RegExp][] = [
      [{ type: 'del', key: BASE_KEY }, /entry 1 is damaged: it is missing/],
      [{ type: 'put', key: BASE_KEY, value: Buffer.alloc(20) }, /log's base is damaged: its checksum/],
      [{ type: 'put', key: REMOVED_KEY, value: Buffer.alloc(3) }, /removed entries is damaged/],
    ];
    for (const [operation, message] of cases) {
      const copy = `${directory}-copy`;
      try {
        await cp(directory, copy, { recursive: true });
        await changed(copy, [operation]);
        const error = await t.throwsAsync(openDiskLogStore(logOptions(copy)), {
          instanceOf: StorageError,
          message,
        });
        t.is(error.fault, 'damaged');
      } finally {
        await rm(copy, { recursive: true, force: true });
      }
    }
  }));

test('a lost base of an empty log is found', (t) =>
  inTemporaryDirectory(async (directory) => {
    const { store } = await openDiskLogStore(logOptions(directory));
    await appended(store, { entries: [entry(1, 1)], hardState: hardState(1) });
    await reset(store, { index: 50, term: 1 });
    await store.close();
    await changed(directory, [{ type: 'del', key: BASE_KEY }]);
    await t.throwsAsync(openDiskLogStore(logOptions(directory)), { message: /commit index 50 lies behind/ });
  }));

async function contentOf(directory: string): Promise<string[]> {
  const store = await openDiskStateStore({ engine, directory, fatal: unexpected });
  try {
    const scan = await scanOf(store);
    t0(scan.applied.index === store.recovered.index);
    return scan.entries.map(([key, value]) => `${key}=${value.toString()}`);
  } finally {
    await store.close();
  }
}

function t0(holds: boolean): void {
  if (!holds) throw new Error('the scan is of another position than the state');
}

/** A state with old content, and what a restore makes of a copy. */
async function oldAndNew(root: string): Promise<{ old: string; replaced: string }> {
  const old = path.join(root, 'old');
  const first = await openDiskStateStore({ engine, directory: old, fatal: unexpected });
  await written(first, batchOf(3, { a: 'old', b: 'old' }));
  await first.close();
  const replaced = path.join(root, 'replaced');
  await cp(old, replaced, { recursive: true });
  const second = await openDiskStateStore({ engine, directory: replaced, fatal: unexpected });
  const restore = await restoreOf(second);
  await restoredRows(restore, { a: 'new', c: 'new' });
  await finished(restore, appliedAt(8));
  await second.close();
  return { old, replaced };
}

const OLD = ['a=old', 'b=old'];
const NEW = ['a=new', 'c=new'];

test('a restore that a crash ends leaves the old content before the rename and the new one after it', (t) =>
  inTemporaryDirectory(async (root) => {
    const { old, replaced } = await oldAndNew(root);
    // Closing waited for the removal of the old content.
    t.deepEqual(await readdir(replaced), ['000002']);
    const crashed = path.join(root, 'crashed');
    const moments: [string, () => Promise<void>, string[]][] = [
      ['before anything is written', () => mkdir(path.join(crashed, '000002.part')), OLD],
      [
        'while it is written',
        async () => {
          await cp(path.join(replaced, '000002'), path.join(crashed, '000002.part'), { recursive: true });
          for (const name of await readdir(path.join(crashed, '000002.part'))) {
            if (name.endsWith('.log')) await rm(path.join(crashed, '000002.part', name));
          }
        },
        OLD,
      ],
      [
        'before the rename',
        () => cp(path.join(replaced, '000002'), path.join(crashed, '000002.part'), { recursive: true }),
        OLD,
      ],
      [
        'after the rename',
        () => cp(path.join(replaced, '000002'), path.join(crashed, '000002'), { recursive: true }),
        NEW,
      ],
      [
        'while the old content is removed',
        async () => {
          await cp(path.join(replaced, '000002'), path.join(crashed, '000002'), { recursive: true });
          await rm(path.join(crashed, '000001', 'CURRENT'));
        },
        NEW,
      ],
    ];
    for (const [moment, happen, content] of moments) {
      await cp(old, crashed, { recursive: true });
      await happen();
      t.deepEqual(await contentOf(crashed), content, moment);
      t.is((await readdir(crashed)).length, 1, moment);
      // And once more, without leftovers.
      t.deepEqual(await contentOf(crashed), content, moment);
      await rm(crashed, { recursive: true, maxRetries: 20, retryDelay: 10 });
    }
  }));

test('a directory that holds something else is refused, and left as it is', (t) =>
  inTemporaryDirectory(async (root) => {
    const { replaced } = await oldAndNew(root);
    await rename(path.join(replaced, '000002'), path.join(replaced, '000002.old'));
    await writeFile(path.join(replaced, 'CURRENT'), '');
    const error = await t.throwsAsync(
      openDiskStateStore({ engine, directory: replaced, fatal: unexpected }),
      {
        instanceOf: StorageError,
        message: /no state of this version/,
      },
    );
    t.is(error.fault, 'unusable');
    t.is((await readdir(replaced)).length, 2);
  }));

test('a restore whose directory is taken away fails for good, and nothing is called back after it', (t) =>
  inTemporaryDirectory(async (directory) => {
    const errors: StorageError[] = [];
    let report: () => void = () => undefined;
    const failed = new Promise<void>((resolve) => (report = resolve));
    const store = await openDiskStateStore({
      engine,
      directory,
      fatal: (error) => {
        errors.push(error);
        report();
      },
    });
    await written(store, batchOf(1, { a: '1' }));
    const restore = await restoreOf(store);
    await rm(path.join(directory, '000002.part'), { recursive: true, maxRetries: 20, retryDelay: 10 });
    restore.finish(appliedAt(9), () => t.fail());
    await failed;
    store.scan({ limit: 1, bytesMax: 1 }, () => t.fail());
    store.persist(() => t.fail());
    await store.close();
    t.is(errors.length, 1);
    t.is(errors[0]?.fault, 'write');
    t.deepEqual(await contentOf(directory), ['a=1']);
  }));
