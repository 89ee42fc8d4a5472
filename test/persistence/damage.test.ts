import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import fc from 'fast-check';
import { StorageError } from '../../persistence/errors.js';
import { APPLIED_KEY, HARD_STATE_KEY, entryKey, rowKey } from '../../persistence/keys.js';
import { encodeEntry } from '../../persistence/records.js';
import { openDatabase } from '../../persistence/database.js';
import type { Engine, Operation } from '../../persistence/engine.js';
import { openDiskLogStore } from '../../persistence/disk/log-store.js';
import { openDiskStateStore } from '../../persistence/disk/state-store.js';
import type { StateStore } from '../../persistence/state-store.js';
import { ALL, appended, entriesOf, entry, hardState } from '../contracts/log-store.js';
import { nextOf, viewOf } from '../contracts/state-restore.js';
import { batchOf, scanOf, valuesOf, written } from '../contracts/state-store.js';
import { inTemporaryDirectory, unexpected } from './directories.js';
import { onEachEngine } from './engines.js';

/** Opens the database behind a store's back. */
async function tamper(
  engine: Engine,
  directory: string,
  change: (value: (key: Buffer) => Buffer) => readonly Operation[],
  keys: readonly Buffer[] = [],
): Promise<void> {
  const { database, recovered } = await openDatabase<ReadonlyArray<Buffer | undefined>>(
    {
      engine,
      gap: 'refuse',
      directory,
      compression: false,
      cacheBytes: 1024,
      writeBufferBytes: 1024 * 1024,
      fatal: unexpected,
    },
    (opened, done) => opened.getMany(keys, done),
  );
  const operations = change((key) => {
    const value = recovered[keys.findIndex((each) => each.equals(key))];
    if (value === undefined) throw new Error(`there is no ${key.toString('hex')}`);
    return value;
  });
  await new Promise<void>((resolve) => database.write(operations, true, resolve));
  await database.close();
}

/** One bit, anywhere in the record. */
function flip(engine: Engine, directory: string, key: Buffer, where: number): Promise<void> {
  return tamper(
    engine,
    directory,
    (valueOf) => {
      const value = Buffer.from(valueOf(key));
      const bit = where % (value.length * 8);
      const at = Math.floor(bit / 8);
      value.writeUInt8(value.readUInt8(at) ^ (1 << (bit % 8)), at);
      return [{ type: 'put', key, value }];
    },
    [key],
  );
}

async function filledLog(engine: Engine, directory: string): Promise<void> {
  const { store } = await openDiskLogStore({ engine, directory, tailBytesMax: 0, fatal: unexpected });
  await appended(store, { entries: entriesOf(1, 6, 2), hardState: hardState(3, 'node1', 4) });
  await store.close();
}

async function refused(engine: Engine, t: ExecutionContext, directory: string, what: RegExp): Promise<void> {
  const opening = openDiskLogStore({ engine, directory, tailBytesMax: ALL, fatal: unexpected });
  const error = await t.throwsAsync(opening, { instanceOf: StorageError, message: what });
  t.is(error.fault, 'damaged');
  t.true(error.message.startsWith(directory));
  t.notRegex(error.message, /\n/);
}

const OTHER_DAMAGE: [string, readonly Operation[], RegExp][] = [
  ['a missing entry in the middle', [{ type: 'del', key: entryKey(3) }], /entry 3 is damaged: it is missing/],
  ['a missing first entry', [{ type: 'del', key: entryKey(1) }], /entry 1 is damaged: it is missing/],
  [
    'committed entries missing at the end',
    [4, 5, 6].map((index) => ({ type: 'del', key: entryKey(index) })),
    /commit index 4 lies behind the last entry, 3/,
  ],
  ['a missing hard state', [{ type: 'del', key: HARD_STATE_KEY }], /no term and vote/],
  [
    'an intact record under another key',
    [{ type: 'put', key: entryKey(4), value: encodeEntry(entryKey(5), entry(5, 2)) }],
    /entry 4 is damaged: its checksum/,
  ],
  [
    'a term that goes back',
    [{ type: 'put', key: entryKey(4), value: encodeEntry(entryKey(4), entry(4, 1)) }],
    /entry 4 is damaged: its term 1 is below 2/,
  ],
  [
    'a term above that of the hard state',
    [{ type: 'put', key: entryKey(6), value: encodeEntry(entryKey(6), entry(6, 4)) }],
    /term 3 lies below the last entry's, 4/,
  ],
  [
    'an empty record',
    [{ type: 'put', key: entryKey(2), value: Buffer.alloc(0) }],
    /entry 2 is .* only 0 bytes/,
  ],
  [
    'a record of zeros',
    [{ type: 'put', key: entryKey(2), value: Buffer.alloc(40) }],
    /entry 2 is .* checksum/,
  ],
  ['a key that no record has', [{ type: 'put', key: Buffer.from('f'), value: Buffer.of(1) }], /record 66 is/],
];

/** Where the first database of a state lies. */
function rowsOf(directory: string): string {
  return path.join(directory, '000001');
}

async function filledState(engine: Engine, directory: string): Promise<void> {
  const store = await openDiskStateStore({ engine, directory, fatal: unexpected });
  await written(store, batchOf(1, { a: 'one', b: 'two', c: 'three' }));
  await store.close();
}

/** What a damaged store does instead of answering. */
async function failureOf(
  engine: Engine,
  directory: string,
  use: (store: StateStore) => unknown,
): Promise<StorageError> {
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
  const answered = Promise.resolve(use(store)).then(() => {
    throw new Error('it answered');
  });
  await Promise.race([failed, answered]);
  // Anything more would come before the store is closed.
  await store.close();
  const [error, ...more] = errors;
  if (error === undefined || more.length > 0) throw new Error(`${errors.length} errors`);
  return error;
}

onEachEngine(test, (engine) => {
  test(`${engine.name}: a flipped bit anywhere in a record of the log is found, and the record named`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 7 }), fc.nat(100_000), (record, where) =>
        inTemporaryDirectory(async (directory) => {
          await filledLog(engine, directory);
          const key = record === 7 ? HARD_STATE_KEY : entryKey(record);
          await flip(engine, directory, key, where);
          await refused(
            engine,
            t,
            directory,
            record === 7 ? /term and vote is damaged/ : new RegExp(`entry ${record} is`),
          );
        }),
      ),
      { numRuns: 25 },
    );
  });
  for (const [name, operations, message] of OTHER_DAMAGE) {
    test(`${engine.name}: log: ${name} is found`, (t) =>
      inTemporaryDirectory(async (directory) => {
        await filledLog(engine, directory);
        await tamper(engine, directory, () => operations);
        await refused(engine, t, directory, message);
        // A refusal leaves the directory closed, so that it can be looked at and refused again.
        await refused(engine, t, directory, message);
      }));
  }

  test(`${engine.name}: log: a database without its CURRENT is not taken for a new one`, (t) =>
    inTemporaryDirectory(async (directory) => {
      await filledLog(engine, directory);
      await rm(path.join(directory, 'CURRENT'));
      await refused(engine, t, directory, /CURRENT is missing/);
      t.true((await readdir(directory)).some((name) => name.endsWith('.log')));
    }));

  test(`${engine.name}: log: a path that cannot be a directory is refused`, (t) =>
    inTemporaryDirectory(async (directory) => {
      const file = path.join(directory, 'file');
      await writeFile(file, '');
      const opening = openDiskLogStore({
        engine,
        directory: path.join(file, 'log'),
        tailBytesMax: 0,
        fatal: unexpected,
      });
      const error = await t.throwsAsync(opening, { instanceOf: StorageError, message: /raft\.dataDir/ });
      t.is(error.fault, 'unusable');
    }));
  test(`${engine.name}: state: a flipped bit anywhere in a row is found by reads and scans`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.nat(10_000), (where) =>
        inTemporaryDirectory(async (directory) => {
          await filledState(engine, directory);
          await flip(engine, rowsOf(directory), rowKey('b'), where);
          const uses: ((store: StateStore) => unknown)[] = [
            (store) => valuesOf(store, ['a', 'b']),
            (store) => scanOf(store),
            (store) => scanOf(store, { reverse: true, limit: 2, bytesMax: 1000 }),
            async (store) => nextOf(await viewOf(store)),
            // Each of these finds it; it is reported once all the same.
            (store) => Promise.all([scanOf(store), scanOf(store), valuesOf(store, ['b'])]),
          ];
          for (const use of uses) {
            const error = await failureOf(engine, directory, use);
            t.is(error.fault, 'damaged');
            t.regex(error.message, /the row 62 is damaged/);
          }
          // What is sound can still be read.
          const store = await openDiskStateStore({ engine, directory, fatal: unexpected });
          t.deepEqual(await valuesOf(store, ['a']), [Buffer.from('one')]);
          await store.close();
        }),
      ),
      { numRuns: 10 },
    );
  });

  test(`${engine.name}: state: a flipped bit anywhere in the applied position is found at the start`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.nat(10_000), (where) =>
        inTemporaryDirectory(async (directory) => {
          await filledState(engine, directory);
          await flip(engine, rowsOf(directory), APPLIED_KEY, where);
          const opening = openDiskStateStore({ engine, directory, fatal: unexpected });
          const error = await t.throwsAsync(opening, {
            instanceOf: StorageError,
            message: /applied position is/,
          });
          t.is(error.fault, 'damaged');
        }),
      ),
      { numRuns: 15 },
    );
  });

  test(`${engine.name}: state: a missing applied position is found at the start`, (t) =>
    inTemporaryDirectory(async (directory) => {
      await filledState(engine, directory);
      await tamper(engine, rowsOf(directory), () => [{ type: 'del', key: APPLIED_KEY }]);
      const opening = openDiskStateStore({ engine, directory, fatal: unexpected });
      await t.throwsAsync(opening, { message: /applied position is damaged: it is missing/ });
    }));
});
