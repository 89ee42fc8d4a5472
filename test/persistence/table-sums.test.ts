import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type { Database } from '../../persistence/database.js';
import { openDatabase } from '../../persistence/database.js';
import type { Engine } from '../../persistence/engine.js';
import { StorageError } from '../../persistence/errors.js';
import type { TableSums } from '../../persistence/table-sums.js';
import { checkTables } from '../../persistence/table-sums.js';
import { inTemporaryDirectory } from './directories.js';
import { onEachEngine } from './engines.js';

const NAMES = ['000004.sst', '000007.ldb', '000012.sst'];

function fail(error: unknown): never {
  throw error;
}

async function written(directory: string, name: string, text: string): Promise<void> {
  await writeFile(path.join(directory, name), text);
}

/** One life of a database that leaves these files behind. */
async function live(
  directory: string,
  change: () => Promise<void> = () => Promise.resolve(),
  openBytesMax?: number,
): Promise<TableSums> {
  const sums = await checkTables(directory, openBytesMax);
  await change();
  sums.start(fail);
  await sums.stop();
  await sums.finish();
  return sums;
}

const fillAll = async (directory: string): Promise<void> => {
  for (const name of NAMES) await written(directory, name, `the rows of ${name}`.repeat(1000));
};

async function opened(engine: Engine, directory: string): Promise<Database> {
  const sizes = { cacheBytes: 1024, writeBufferBytes: 1024 ** 2 };
  const { database } = await openDatabase<undefined>(
    { engine, directory, gap: 'refuse', compression: false, ...sizes, fatal: fail },
    (_, done) => setImmediate(() => done(undefined)),
  );
  return database;
}

async function damaged(directory: string, name: string): Promise<void> {
  const file = path.join(directory, name);
  const bytes = await readFile(file);
  bytes.writeUInt8(bytes.readUInt8(700) ^ 4, 700);
  await writeFile(file, bytes);
}

test('a table file that differs from what was there at the end is refused', async (t) => {
  for (const name of NAMES) {
    await inTemporaryDirectory(async (directory) => {
      await live(directory, () => fillAll(directory));
      await live(directory);
      await damaged(directory, name);
      const error = await t.throwsAsync(checkTables(directory), { instanceOf: StorageError });
      t.is(error.fault, 'damaged');
      t.is(error.message, `${directory} is damaged: ${name} is not what was written`);
    });
  }
});

test('one that is shorter, or of another file, is refused as well', (t) =>
  inTemporaryDirectory(async (directory) => {
    await live(directory, () => fillAll(directory));
    await written(directory, NAMES[0]!, 'the rows');
    await t.throwsAsync(checkTables(directory), { message: /000004\.sst is not what was written/ });
    await written(directory, NAMES[0]!, await readFile(path.join(directory, NAMES[1]!), 'utf8'));
    await t.throwsAsync(checkTables(directory), { message: /000004\.sst is not what was written/ });
  }));

test('what the engine deletes and writes anew under the same number, has its sum anew', (t) =>
  inTemporaryDirectory(async (directory) => {
    await live(directory, () => fillAll(directory));
    await live(directory, async () => {
      await rm(path.join(directory, NAMES[0]!));
      await written(directory, NAMES[1]!, 'something else');
    });
    await live(directory, () => written(directory, NAMES[0]!, 'back again'));
    await live(directory);
    await damaged(directory, NAMES[2]!);
    await t.throwsAsync(checkTables(directory), { message: /000012/ });
  }));

test('what is too much for a start is compared afterwards', (t) =>
  inTemporaryDirectory(async (directory) => {
    await live(directory, () => fillAll(directory));
    await damaged(directory, NAMES[2]!);
    const sums = await checkTables(directory, 20_000);
    const error = await new Promise((resolve) => sums.start(resolve));
    t.regex(String(error), /000012\.sst is not what was written/);
    await sums.stop();
    await t.throwsAsync(sums.finish());
  }));

onEachEngine(test, (engine) => {
  test(`${engine.name}: a close sums what is new, but not where the files are removed next`, async (t) => {
    for (const then of [undefined, 'removed'] as const) {
      await inTemporaryDirectory(async (directory) => {
        const first = await opened(engine, directory);
        const row = { type: 'put', key: Buffer.from('k'), value: Buffer.from('v') } as const;
        await new Promise<void>((done) => first.write([row], true, done));
        await first.close();
        // What was in the write-ahead log, the engine makes a table file of when it opens.
        await (await opened(engine, directory)).close(then);
        const sums = await readFile(path.join(directory, 'tables.sums'), 'utf8');
        t.is(/\.(sst|ldb)/.test(sums), then === undefined, sums);
      });
    }
  });
});

test('a manifest may grow and go, but its beginning stays', (t) =>
  inTemporaryDirectory(async (directory) => {
    const name = 'MANIFEST-000005';
    const text = 'the tables are 4, 7 and 12;'.repeat(40);
    await live(directory, () => written(directory, name, text));
    await live(directory, () => written(directory, name, `${text} and 15`));
    for (const spoiled of [text, `${text} and 1`, `${text} and 16`, `X${text.slice(1)} and 15`]) {
      await written(directory, name, spoiled);
      await t.throwsAsync(checkTables(directory), { message: /MANIFEST-000005 is not what was written/ });
    }
    // What a process added that was killed then.
    await written(directory, name, `${text} and 15, and 18`);
    await t.notThrowsAsync(checkTables(directory));
    await live(directory, async () => {
      await rm(path.join(directory, name));
      await written(directory, 'MANIFEST-000021', 'all');
    });
    await live(directory);
  }));

test('sums that are damaged or missing vouch for nothing, and are made anew', (t) =>
  inTemporaryDirectory(async (directory) => {
    const file = path.join(directory, 'tables.sums');
    await live(directory, () => fillAll(directory));
    const text = await readFile(file, 'utf8');
    for (const spoiled of [undefined, '', text.slice(0, 40), text.replace(/"crc":(\d)/g, '"crc":1$1')]) {
      if (spoiled === undefined) await rm(file);
      else await writeFile(file, spoiled);
      await live(directory);
      t.is(await readFile(file, 'utf8'), text);
    }
    t.deepEqual((await readdir(directory)).sort(), [...NAMES, 'tables.sums'].sort());
  }));

test('a process that is killed leaves no sum of a file that is being written', (t) =>
  inTemporaryDirectory(async (directory) => {
    await live(directory, () => fillAll(directory));
    const sums = await checkTables(directory);
    await written(directory, '000020.sst', 'half');
    sums.start(fail);
    await new Promise(setImmediate);
    // It is left behind as it is.
    await written(directory, '000020.sst', 'half and whole');
    await t.notThrowsAsync(checkTables(directory));
    await sums.stop();
  }));
