/** What the state's buffer spares the store under it, and that nobody can tell. */

import test from 'ava';
import fc from 'fast-check';
import { bufferedStateStore } from '../../persistence/buffered-state-store.js';
import { memoryStateDisk, openMemoryStateStore } from '../../persistence/memory/state-store.js';
import type { StateBatch, StateStore } from '../../persistence/state-store.js';
import { batchOf, scanOf, valuesOf, written } from '../contracts/state-store.js';

const OPTIONS = {
  pendingBytesMax: 400,
  delayMs: 1,
  flushBytes: 200,
  isAskedFor: (id: string) => id === 'k' || id < 'c',
  failed: new Promise<void>(() => undefined),
  hasFailed: () => false,
};

interface Watched {
  readonly store: StateStore;
  /** What reached the store under it: one text an operation. */
  readonly reached: readonly string[];
  /** The keys that were read from there. */
  readonly asked: readonly string[];
  /** Writes what waits. */
  readonly flush: () => void;
}

/** `under` calls back when `step` is called, so that anything can happen while it reads or writes. */
function watched(cacheBytes: number, defer: (task: () => void) => void): Watched {
  const reached: string[] = [];
  const asked: string[] = [];
  let tasks: (() => void)[] = [];
  const under = openMemoryStateStore({ disk: memoryStateDisk(), defer });
  const spied: StateStore = {
    ...under,
    getMany(keys, done) {
      asked.push(...keys);
      under.getMany(keys, done);
    },
    write(batch, done) {
      for (const key of batch.deletes) reached.push(`-${key}`);
      for (const [key] of batch.puts) reached.push(`+${key}`);
      under.write(batch, done);
    },
  };
  const timers = {
    soon: (task: () => void): void => process.nextTick(task),
    after(_delayMs: number, task: () => void): () => void {
      tasks.push(task);
      return () => (tasks = tasks.filter((one) => one !== task));
    },
  };
  return {
    store: bufferedStateStore(spied, { ...OPTIONS, cacheBytes, timers }),
    reached,
    asked,
    flush() {
      const due = tasks;
      tasks = [];
      for (const task of due) task();
    },
  };
}

test('a row that was missing, comes and goes is never written', async (t) => {
  const { store, reached } = watched(10_000, setImmediate);
  t.deepEqual(await valuesOf(store, ['r']), [undefined]);
  await written(store, batchOf(1, { r: '1', k: '1' }));
  t.is((await valuesOf(store, ['r']))[0]?.toString(), '1');
  await written(store, batchOf(2, { k: '2' }, ['r']));
  t.deepEqual(await valuesOf(store, ['r']), [undefined]);
  t.is((await scanOf(store)).entries.length, 1);
  t.deepEqual(reached, ['+k']);
  await store.close();
});

test('a row of which nothing is known is deleted', async (t) => {
  const { store, reached } = watched(10_000, setImmediate);
  await written(store, batchOf(1, { r: '1' }));
  await written(store, batchOf(2, {}, ['r']));
  await scanOf(store);
  t.deepEqual(reached, ['-r']);
  await store.close();
});

test('a row that is said to be new, comes and goes is never written, though nothing was read of it', async (t) => {
  const { store, reached, flush } = watched(10_000, setImmediate);
  const isNew = (index: number): StateBatch => {
    const { puts, ...batch } = batchOf(index, { r: String(index) });
    return { ...batch, puts: puts.map(([key, value]) => [key, value, true] as const) };
  };
  await written(store, isNew(1));
  await written(store, batchOf(2, {}, ['r']));
  await scanOf(store);
  t.deepEqual(reached, []);
  await written(store, isNew(3));
  flush();
  // It is on its way: from now on it must be deleted where it goes.
  await written(store, batchOf(4, {}, ['r']));
  await written(store, isNew(5));
  await written(store, batchOf(6, {}, ['r']));
  t.deepEqual((await scanOf(store)).entries, []);
  t.deepEqual(reached, ['+r', '-r']);
  await store.close();
});

test('a row that is likely to be asked for is read from memory once it was written', async (t) => {
  const { store, asked } = watched(10_000, setImmediate);
  await written(store, batchOf(1, { k: '1', z: '1' }));
  await scanOf(store);
  const found = await valuesOf(store, ['k', 'z']);
  t.deepEqual(found.map(String), ['1', '1']);
  t.deepEqual(asked, ['z']);
  await store.close();
});

const id = fc.constantFrom('a', 'b', 'c', 'd');
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      puts: fc.array(id, { maxLength: 3 }),
      deletes: fc.array(id, { maxLength: 3 }),
      saysNew: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('get' as const), keys: fc.array(id, { maxLength: 3 }) }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'flush' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('under' as const), tasks: fc.array(fc.nat(9), { maxLength: 3 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'scan' as const }) },
);

/** Whatever the store under it is just doing: its reads and writes go on only where the history says so, and in any order. */
test('reads, and what is left in the end, are those of a plain store', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 80 }),
      fc.constantFrom(0, 600, 100_000),
      async (steps, cacheBytes) => {
        const tasks: (() => void)[] = [];
        const { store, flush } = watched(cacheBytes, (task) => tasks.push(task));
        const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
        const model = new Map<string, string>();
        const reads: Promise<void>[] = [];
        let writing: Promise<void> | undefined;
        let index = 0;
        /** Until `work` is over, everything goes on. */
        const finish = async (work: Promise<unknown>): Promise<void> => {
          const progress = { over: false };
          const over = (): void => void (progress.over = true);
          work.then(over, over);
          await settle();
          while (!progress.over) {
            tasks.shift()?.();
            await settle();
          }
          await work;
        };
        for (const drawn of steps) {
          if (drawn.do === 'write') {
            if (writing !== undefined) await finish(writing);
            index += 1;
            const value = `${drawn.puts.join('')}${index}`;
            const batch: StateBatch = batchOf(
              index,
              Object.fromEntries(drawn.puts.map((key) => [key, value])),
              drawn.deletes,
            );
            // Only ever of a row that there is not, as a writer has read.
            const isNew = (key: string): boolean => drawn.saysNew && !model.has(key);
            const puts = batch.puts.map(([key, row]) => [key, row, isNew(key)] as const);
            writing = written(store, { ...batch, puts });
            // Done at once, unless there is no room.
            await finish(writing);
            for (const key of drawn.deletes) model.delete(key);
            for (const key of drawn.puts) model.set(key, value);
          } else if (drawn.do === 'get') {
            const expected = drawn.keys.map((key) => model.get(key));
            const read = valuesOf(store, drawn.keys);
            reads.push(
              read.then(
                (found) =>
                  void t.deepEqual(
                    found.map((each) => each?.toString()),
                    expected,
                  ),
              ),
            );
          } else if (drawn.do === 'flush') flush();
          else if (drawn.do === 'under')
            for (const at of drawn.tasks) tasks.splice(at % Math.max(1, tasks.length), 1)[0]?.();
          else {
            const scanning = scanOf(store);
            await finish(scanning);
            t.is((await scanning).entries.length, model.size);
          }
          await settle();
        }
        await finish(Promise.all(reads));
        const scanning = scanOf(store);
        await finish(scanning);
        const { entries, applied } = await scanning;
        t.is(applied.index, index);
        t.deepEqual(
          entries.map(([key, value]) => [key, value.toString()]),
          [...model].sort(([a], [b]) => (a < b ? -1 : 1)),
        );
        await finish(store.close());
      },
    ),
    { numRuns: 1000 },
  );
});
