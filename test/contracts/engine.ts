/** What every storage engine must do; the stores build on no more than this. */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { TestFn } from 'ava';
import type { Engine, EngineDatabase, Operation, RowRange } from '../../persistence/engine.js';

const HOLDER = path.join(import.meta.dirname, 'engine-holder.js');

export interface EngineContract {
  readonly engine: Engine;
  readonly inTemporaryDirectory: (body: (directory: string) => Promise<void>) => Promise<void>;
}

const ALL: RowRange = { reverse: false, limit: -1, readAheadBytes: 1024 };

export function openOn(engine: Engine, directory: string): Promise<EngineDatabase> {
  return engine.open({ directory, compression: false, cacheBytes: 65_536, writeBufferBytes: 1024 * 1024 });
}

export function put(key: string, value: string): Operation {
  return { type: 'put', key: Buffer.from(key), value: Buffer.from(value) };
}

export function del(key: string): Operation {
  return { type: 'del', key: Buffer.from(key) };
}

export function batched(
  database: EngineDatabase,
  operations: readonly Operation[],
  sync = true,
): Promise<void> {
  return new Promise((resolve, reject) =>
    database.batch(operations, sync, (error) => {
      if (error) reject(error);
      else resolve();
    }),
  );
}

export function valuesIn(
  database: EngineDatabase,
  keys: readonly string[],
): Promise<ReadonlyArray<string | undefined>> {
  return new Promise((resolve, reject) =>
    database.getMany(
      keys.map((key) => Buffer.from(key)),
      (error, values = []) => {
        if (error) reject(error);
        else resolve(values.map((value) => value?.toString()));
      },
    ),
  );
}

/** Begins at once; the rows are read one by one, `between` each. */
export async function rowsIn(
  database: EngineDatabase,
  range: Partial<RowRange> = {},
  between: () => Promise<void> = () => Promise.resolve(),
): Promise<string[]> {
  const iterator = database.iterator({ ...ALL, ...range });
  const rows: string[] = [];
  try {
    for (;;) {
      const row = await new Promise<string | undefined>((resolve, reject) =>
        iterator.next((error, key, value) => {
          if (error) reject(error);
          else resolve(key === undefined ? undefined : `${key.toString()}=${value?.toString()}`);
        }),
      );
      if (row === undefined) return rows;
      rows.push(row);
      await between();
    }
  } finally {
    await new Promise<void>((resolve) => iterator.end(resolve));
  }
}

/** Runs the suite on one engine. */
export function engineContract(test: TestFn, { engine, inTemporaryDirectory }: EngineContract): void {
  const name = (what: string): string => `${engine.name}: ${what}`;
  const withDatabase = (
    body: (database: EngineDatabase, directory: string) => Promise<void>,
  ): Promise<void> =>
    inTemporaryDirectory(async (directory) => {
      const database = await openOn(engine, directory);
      try {
        await body(database, directory);
      } finally {
        await database.close();
      }
    });

  test(name('what a batch put and deleted is there after a restart, in order'), (t) =>
    inTemporaryDirectory(async (directory) => {
      let database = await openOn(engine, directory);
      t.deepEqual(await rowsIn(database), []);
      t.deepEqual(await valuesIn(database, []), []);
      await batched(database, [put('b', '1'), put('a', '1'), put('c', ''), put('d', '1')]);
      await batched(
        database,
        [del('a'), put('b', '2'), put('b', '3'), del('missing'), del('d'), put('d', '4')],
        false,
      );
      for (let i = 0; i < 2; i += 1) {
        t.deepEqual(await rowsIn(database), ['b=3', 'c=', 'd=4']);
        t.deepEqual(await valuesIn(database, ['d', 'a', 'c', 'b']), ['4', undefined, '', '3']);
        await database.close();
        database = await openOn(engine, directory);
      }
      await database.close();
    }),
  );

  test(name('ranges: either bound, both directions, a limit'), (t) =>
    withDatabase(async (database) => {
      const keys = ['a', 'b', 'b\0', 'c', 'd'];
      await batched(
        database,
        keys.map((key) => put(key, '1')),
      );
      const key = (text: string): Buffer => Buffer.from(text);
      const cases: [Partial<RowRange>, string[]][] = [
        [{ gte: key('b'), lt: key('d') }, ['b', 'b\0', 'c']],
        [{ gt: key('b'), lte: key('d') }, ['b\0', 'c', 'd']],
        [{ gte: key('b'), lt: key('d'), reverse: true }, ['c', 'b\0', 'b']],
        [{ gt: key('b'), lte: key('e'), reverse: true }, ['d', 'c', 'b\0']],
        [{ limit: 2 }, ['a', 'b']],
        [{ limit: 2, reverse: true }, ['d', 'c']],
        [{ limit: 0 }, []],
        [{ gt: key('d') }, []],
        [{ lt: key('a'), reverse: true }, []],
        [{ gt: undefined, lte: key('a') }, ['a']],
      ];
      for (const [range, expected] of cases) {
        t.deepEqual(
          await rowsIn(database, range),
          expected.map((each) => `${each}=1`),
        );
      }
    }),
  );

  test(name('a batch is seen whole or not at all'), (t) =>
    withDatabase(async (database) => {
      const keys = Array.from({ length: 200 }, (_, i) => `k${1000 + i}`);
      const seen: Promise<unknown>[] = [];
      for (let round = 1; round <= 20; round += 1) {
        const writing = batched(
          database,
          keys.map((key) => put(key, String(round))),
          false,
        );
        seen.push(
          valuesIn(database, keys).then((values) => t.is(new Set(values).size, 1)),
          rowsIn(database).then((rows) => t.true(new Set(rows.map((row) => row.slice(5))).size <= 1)),
        );
        await writing;
      }
      await Promise.all(seen);
    }),
  );

  test(name('an iteration shows the rows as of its beginning, whatever is written meanwhile'), (t) =>
    withDatabase(async (database) => {
      const keys = Array.from({ length: 30 }, (_, i) => `k${100 + i}`);
      await batched(
        database,
        keys.map((key) => put(key, 'old')),
      );
      let n = 0;
      const reading = rowsIn(database, {}, () => {
        n += 1;
        return batched(
          database,
          [put(`k${100 + n}`, 'new'), put(`new${n}`, 'new'), del(`k${131 - n}`)],
          false,
        );
      });
      t.deepEqual(
        await reading,
        keys.map((key) => `${key}=old`),
      );
      t.true((await rowsIn(database)).includes('new30=new'));
    }),
  );

  test(name("no callback comes within the call, and buffers are the caller's again after it"), (t) =>
    withDatabase(async (database) => {
      const key = Buffer.from('key');
      const value = Buffer.from('value');
      let within = true;
      const calls: Promise<void>[] = [];
      const later = (start: (done: () => void) => void): void => {
        calls.push(
          new Promise((resolve) =>
            start(() => {
              t.false(within);
              resolve();
            }),
          ),
        );
      };
      later((done) => database.batch([{ type: 'put', key, value }], true, done));
      later((done) => database.getMany([key], done));
      later((done) => database.getMany([], done));
      const iterator = database.iterator(ALL);
      later((done) => iterator.next(() => iterator.end(done)));
      key.fill(0);
      value.fill(0);
      within = false;
      await Promise.all(calls);
      t.deepEqual(await rowsIn(database), ['key=value']);
    }),
  );

  test(name('a directory that another process has open is refused, until that one is dead'), (t) =>
    inTemporaryDirectory(async (directory) => {
      const holder = fork(HOLDER, [engine.name, directory]);
      const dead = once(holder, 'exit');
      try {
        await Promise.race([once(holder, 'message'), dead]);
        await t.throwsAsync(openOn(engine, directory), { message: /\block\b/i });
      } finally {
        holder.kill('SIGKILL');
        await dead;
      }
      const database = await openOn(engine, directory);
      t.deepEqual(await rowsIn(database), ['held=1']);
      await database.close();
    }),
  );

  test(name('it says numbers of itself'), (t) =>
    inTemporaryDirectory(async (directory) => {
      const database = await openOn(engine, directory);
      await batched(database, [put('key', 'value')]);
      const properties = Object.entries(database.properties());
      t.true(properties.length >= 2);
      for (const [property, value] of properties) t.true(Number.isFinite(value), property);
      await database.close();
    }),
  );

  test(name('what cannot be opened is refused with the reason'), (t) =>
    inTemporaryDirectory(async (directory) => {
      // A directory where a file must be: not even root can lock it.
      await mkdir(path.join(directory, 'LOCK'));
      await t.throwsAsync(openOn(engine, directory), { message: /LOCK/ });
    }),
  );

  test(name('a write that fails is told to its caller'), (t) =>
    inTemporaryDirectory(async (directory) => {
      const database = await openOn(engine, directory);
      // What is open stays writable; the first new file is the downfall.
      await rm(directory, { recursive: true });
      const big = 'x'.repeat(256 * 1024);
      const writes = async (): Promise<void> => {
        for (let i = 0; i < 100; i += 1) await batched(database, [put(`k${i}`, big)]);
      };
      await t.throwsAsync(writes(), { message: /IO error|No such file/ });
      await database.close();
    }),
  );
}
