import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type { Engine } from '../../persistence/engine.js';
import { StorageError } from '../../persistence/errors.js';
import { cutGap, findGap, refuseGap } from '../../persistence/write-ahead-log.js';
import { batched, openOn, put, rowsIn } from '../contracts/engine.js';
import { inTemporaryDirectory } from './directories.js';
import { onEachEngine } from './engines.js';

const BATCHES = 40;
const VALUE_BYTES = 3000;
const HEADER_BYTES = 7;

/** Batches that fill several blocks, in a write-ahead log that no table file has taken over. */
async function filled(engine: Engine, directory: string): Promise<string> {
  const database = await openOn(engine, directory);
  for (let i = 0; i < BATCHES; i += 1) {
    await batched(database, [put(keyOf(i), String(i).padEnd(VALUE_BYTES, '.')), put('newest', String(i))]);
  }
  await database.close();
  const name = (await readdir(directory)).find((each) => each.endsWith('.log'));
  return path.join(directory, name ?? '');
}

function keyOf(batch: number): string {
  return `key${100 + batch}`;
}

async function change(file: string, edit: (bytes: Buffer) => Buffer): Promise<void> {
  await writeFile(file, edit(await readFile(file)));
}

/** Flips a bit in the value of a batch. */
function spoil(file: string, batch: number): Promise<void> {
  return change(file, (bytes) => {
    const at = bytes.indexOf(keyOf(batch)) + 500;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    return bytes;
  });
}

onEachEngine(test, (engine) => {
  const name = (what: string): string => `${engine.name}: ${what}`;

  test(name('a log that is whole, torn or empty has no gap'), (t) =>
    inTemporaryDirectory(async (directory) => {
      const file = await filled(engine, directory);
      const whole = await readFile(file);
      t.is(await findGap(directory), undefined);
      for (const length of [whole.length - 1, whole.length - 2000, 40_000, 32_770, 32_768, 5, 0]) {
        await writeFile(file, whole.subarray(0, length));
        t.is(await findGap(directory), undefined, `cut at ${length}`);
      }
      // The last write, as a crash may leave it: there in part, or its length but not its bytes.
      const tail = whole.indexOf(keyOf(BATCHES - 1)) + 100;
      await writeFile(file, Buffer.concat([whole.subarray(0, tail), Buffer.alloc(whole.length - tail)]));
      t.is(await findGap(directory), undefined);
      await spoil(file, BATCHES - 1);
      t.is(await findGap(directory), undefined);
    }),
  );

  test(name('what does not check, with records behind it, is a gap'), (t) =>
    inTemporaryDirectory(async (directory) => {
      const file = await filled(engine, directory);
      const whole = await readFile(file);
      const edits: ((bytes: Buffer) => Buffer)[] = [];
      // A bit of every byte of a header and what follows it, wherever that falls.
      for (let i = 0; i < 40; i += 1) {
        edits.push((bytes) => {
          const at = bytes.indexOf(keyOf(7)) - 24 + i;
          bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (i % 8)), at);
          return bytes;
        });
      }
      const from = whole.indexOf(keyOf(9));
      edits.push((bytes) => bytes.fill(0, from, from + 4096));
      edits.push((bytes) => Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 32_768)]));
      edits.push((bytes) => bytes.fill(0xff, from, from + 70_000));
      for (const [i, edit] of edits.entries()) {
        await writeFile(file, edit(Buffer.from(whole)));
        const gap = await findGap(directory);
        t.is(gap?.file, path.basename(file), `edit ${i}`);
        const error = await t.throwsAsync(refuseGap(directory), { instanceOf: StorageError });
        t.is(error.fault, 'damaged');
        t.true(error.message.startsWith(`${directory} is damaged: ${path.basename(file)} does not check at`));
      }
    }),
  );

  test(name('a value that looks like a record is none'), (t) =>
    inTemporaryDirectory(async (directory) => {
      const record = (await readFile(await filled(engine, directory))).subarray(0, 4000);
      t.is(record.readUInt8(6), 1);
      const file = path.join(directory, '999999.log');
      // The last write, torn, with a whole record in its value.
      await writeFile(
        file,
        Buffer.concat([Buffer.alloc(HEADER_BYTES, 1), Buffer.alloc(300), record, record]),
      );
      t.is(await findGap(directory), undefined);
    }),
  );

  test(name('a gap is cut to what there was at one moment'), (t) =>
    inTemporaryDirectory(async (directory) => {
      const file = await filled(engine, directory);
      const { size } = await stat(file);
      await cutGap(directory);
      t.is((await stat(file)).size, size);
      await spoil(file, 12);
      await cutGap(directory);
      t.true((await stat(file)).size < size);
      t.is(await findGap(directory), undefined);
      const database = await openOn(engine, directory);
      const rows = (await rowsIn(database)).map((row) => row.replace(/\.+$/, ''));
      t.deepEqual(rows, [...Array.from({ length: 12 }, (_, i) => `${keyOf(i)}=${i}`), 'newest=11']);
      await database.close();
    }),
  );

  test(name('later files go with what is cut'), (t) =>
    inTemporaryDirectory(async (directory) => {
      const file = await filled(engine, directory);
      const next = path.join(directory, '999999.log');
      await writeFile(next, await readFile(file));
      await spoil(file, BATCHES - 1);
      t.is((await findGap(directory))?.file, path.basename(file));
      await cutGap(directory);
      t.false((await readdir(directory)).includes('999999.log'));
    }),
  );
});
