/** What every state store must do, whatever it is made of. */

import type { TestFn } from 'ava';
import fc from 'fast-check';
import type { Applied, Range, Scan, StateBatch, StateStore } from '../../persistence/state-store.js';
import { NOTHING_APPLIED } from '../../persistence/state-store.js';

/** One place to store to, through any number of restarts. */
export interface StateHarness {
  /** After the store before it was closed. */
  open(): Promise<StateStore>;
  dispose(): Promise<void>;
}

export interface StateContract {
  readonly harness: () => Promise<StateHarness>;
  /** How many random histories to try. */
  readonly runs: number;
}

export const ALL = Number.MAX_SAFE_INTEGER;
const EVERYTHING: Range = { limit: ALL, bytesMax: ALL };

export function written(store: StateStore, batch: StateBatch): Promise<void> {
  return new Promise((resolve) => store.write(batch, resolve));
}

export function valuesOf(
  store: StateStore,
  keys: readonly string[],
): Promise<ReadonlyArray<Buffer | undefined>> {
  return new Promise((resolve) => store.getMany(keys, resolve));
}

export function scanOf(store: StateStore, range: Range = EVERYTHING): Promise<Scan> {
  return new Promise((resolve) => store.scan(range, resolve));
}

export function appliedAt(index: number, term = 1): Applied {
  return { ...NOTHING_APPLIED, index, term };
}

/** A batch from plain strings. */
export function batchOf(
  index: number,
  puts: Readonly<Record<string, string>>,
  deletes: readonly string[] = [],
): StateBatch {
  return {
    applied: appliedAt(index),
    puts: Object.entries(puts).map(([key, value]) => [key, Buffer.from(value)]),
    deletes,
  };
}

function hexOfKey(key: string): string {
  return Buffer.from(key, 'latin1').toString('hex');
}

/** Keys and values in hex, the order of which is that of the bytes. */
type Model = Map<string, string>;

function scanModel(model: Model, range: Range): { entries: [string, string][]; more: boolean } {
  const hex = (key: string | undefined): string | undefined =>
    key === undefined ? undefined : hexOfKey(key);
  const [gte, gt, lt, lte] = [hex(range.gte), hex(range.gt), hex(range.lt), hex(range.lte)];
  const inside = [...model]
    .filter(
      ([key]) =>
        (gte === undefined || key >= gte) &&
        (gt === undefined || key > gt) &&
        (lt === undefined || key < lt) &&
        (lte === undefined || key <= lte),
    )
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (range.reverse === true) inside.reverse();
  const entries: [string, string][] = [];
  let bytes = 0;
  for (const [key, value] of inside) {
    if (entries.length >= range.limit || (entries.length > 0 && bytes >= range.bytesMax)) break;
    entries.push([key, value]);
    bytes += (key.length + value.length) / 2;
  }
  return { entries, more: entries.length < inside.length };
}

function hexOf(scan: Scan): { entries: [string, string][]; more: boolean } {
  const entries = scan.entries.map(([key, value]): [string, string] => [
    hexOfKey(key),
    value.toString('hex'),
  ]);
  return { entries, more: scan.more };
}

/** Few different ones, so that they meet: empty, prefixes of each other, both ends of the byte range, letters of metadata. */
const key = fc
  .array(fc.constantFrom(0x00, 0x61, 0x72, 0x73, 0xff), { maxLength: 3 })
  .map((bytes) => String.fromCharCode(...bytes));
const value = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const range: fc.Arbitrary<Range> = fc.record(
  {
    gte: key,
    gt: key,
    lt: key,
    lte: key,
    reverse: fc.boolean(),
    limit: fc.oneof(fc.nat(6), fc.constant(ALL)),
    bytesMax: fc.oneof(fc.nat(120), fc.constant(ALL)),
  },
  { requiredKeys: ['limit', 'bytesMax'] },
);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      puts: fc.array(fc.tuple(key, value), { maxLength: 12 }),
      deletes: fc.array(key, { maxLength: 6 }),
      growth: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('scan' as const), range }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('get' as const), keys: fc.array(key, { maxLength: 8 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
);

/** Runs the suite on one implementation. */
export function stateStoreContract(test: TestFn, name: string, contract: StateContract): void {
  const withHarness = async (body: (harness: StateHarness) => Promise<void>): Promise<void> => {
    const harness = await contract.harness();
    try {
      await body(harness);
    } finally {
      await harness.dispose();
    }
  };

  test(`${name}: an empty state`, (t) =>
    withHarness(async (harness) => {
      for (let i = 0; i < 2; i += 1) {
        const store = await harness.open();
        t.deepEqual(store.recovered, NOTHING_APPLIED);
        t.deepEqual(await valuesOf(store, []), []);
        t.deepEqual(await valuesOf(store, ['a', '']), [undefined, undefined]);
        t.deepEqual(await scanOf(store), { entries: [], more: false, applied: { index: 0, term: 0 } });
        await store.close();
      }
    }));

  test(`${name}: reads and scans what was written, through restarts`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) =>
        withHarness(async (harness) => {
          const model: Model = new Map();
          let index = 0;
          let store = await harness.open();
          for (const drawn of steps) {
            if (drawn.do === 'write') {
              index += drawn.growth;
              for (const each of drawn.deletes) model.delete(hexOfKey(each));
              for (const [k, v] of drawn.puts) model.set(hexOfKey(k), v.toString('hex'));
              const { puts, deletes } = drawn;
              await written(store, { applied: appliedAt(index), puts, deletes });
            } else if (drawn.do === 'get') {
              const found = await valuesOf(store, drawn.keys);
              t.deepEqual(
                found.map((each) => each?.toString('hex')),
                drawn.keys.map((each) => model.get(hexOfKey(each))),
              );
            } else if (drawn.do === 'scan') {
              const scan = await scanOf(store, drawn.range);
              t.deepEqual(hexOf(scan), scanModel(model, drawn.range));
              t.is(scan.applied.index, index);
            } else {
              await store.close();
              store = await harness.open();
              t.is(store.recovered.index, index);
            }
          }
          t.deepEqual(hexOf(await scanOf(store)), scanModel(model, EVERYTHING));
          await store.close();
        }),
      ),
      { numRuns: contract.runs },
    );
  });

  test(`${name}: the applied position comes back with its configuration`, (t) =>
    withHarness(async (harness) => {
      const applied: Applied = {
        index: Number.MAX_SAFE_INTEGER,
        term: 7,
        configuration: {
          clusterId: 'c1',
          members: [{ id: 'nöde', incarnation: 'i', raft: 'h:1', rpc: 'h:2', http: 'h:3', voter: true }],
        },
        configurationIndex: 5,
      };
      const first = await harness.open();
      await written(first, { applied, puts: [], deletes: [] });
      t.deepEqual(first.recovered, NOTHING_APPLIED);
      t.deepEqual((await scanOf(first)).applied, { index: applied.index, term: 7 });
      await first.close();
      const store = await harness.open();
      t.deepEqual(store.recovered, applied);
      await store.close();
    }));

  test(`${name}: a scan reflects exactly the writes up to its applied position`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      const keys = Array.from({ length: 300 }, (_, i) => `k${String(i).padStart(3, '0')}`);
      const last = 60;
      const scans: Promise<Scan>[] = [];
      await new Promise<void>((resolve) => {
        const write = (index: number): void => {
          // Every key holds the index of the batch that wrote it last.
          const puts = Object.fromEntries(keys.map((each) => [each, String(index)]));
          store.write(batchOf(index, puts), () => {
            scans.push(scanOf(store));
            if (index === last) resolve();
            else write(index + 1);
            if (index < last) scans.push(scanOf(store, { ...EVERYTHING, reverse: true }));
          });
          scans.push(scanOf(store));
        };
        write(1);
      });
      for (const scan of await Promise.all(scans)) {
        const { index } = scan.applied;
        t.is(scan.entries.length, index === 0 ? 0 : keys.length);
        t.true(scan.entries.every(([, each]) => each.toString() === String(index)));
      }
      await store.close();
    }));

  test(`${name}: a scan that was asked for after a write is done sees it`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      for (let index = 1; index <= 20; index += 1) {
        const scan = await new Promise<Scan>((resolve) =>
          store.write(batchOf(index, { k: String(index) }), () => store.scan(EVERYTHING, resolve)),
        );
        t.is(scan.applied.index, index);
        t.is(scan.entries[0]?.[1].toString(), String(index));
      }
      await store.close();
    }));

  test(`${name}: deletes come before puts, and the last put counts`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      await written(store, batchOf(1, { a: '1', b: '1' }));
      await written(store, {
        applied: appliedAt(2),
        puts: [
          ['a', Buffer.from('2')],
          ['a', Buffer.from('3')],
        ],
        deletes: ['a', 'b', 'missing'],
      });
      t.deepEqual(await valuesOf(store, ['a', 'b']), [Buffer.from('3'), undefined]);
      await store.close();
    }));

  test(`${name}: heads are the beginnings of values, wherever those are kept`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      await written(store, batchOf(1, { a: 'abcdef', b: 'ab', k: 'abcdef' }));
      const look = async (): Promise<void> => {
        const asked = ['a', 'missing', 'b', 'k'];
        const heads = await new Promise<ReadonlyArray<Buffer | undefined>>((resolve) =>
          store.getHeads(asked, 3, resolve),
        );
        t.deepEqual(
          heads.map((head) => head?.toString('latin1', 0, 3)),
          ['abc', undefined, 'ab', 'abc'],
        );
        t.deepEqual((await valuesOf(store, asked)).map(String), ['abcdef', 'undefined', 'ab', 'abcdef']);
      };
      await look();
      await new Promise<void>((done) => store.persist(() => done()));
      await look();
      await look();
      await store.close();
    }));

  test(`${name}: nothing is applied twice, and one write at a time`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      await written(store, { applied: appliedAt(5, 3), puts: [], deletes: [] });
      for (const applied of [appliedAt(5, 3), appliedAt(4, 3), appliedAt(6, 2)]) {
        t.throws(() => store.write({ applied, puts: [], deletes: [] }, () => t.fail()), {
          message: /applied position/,
        });
      }
      const writing = written(store, { applied: appliedAt(6, 3), puts: [], deletes: [] });
      t.throws(() => store.write({ applied: appliedAt(7, 3), puts: [], deletes: [] }, () => t.fail()), {
        message: /before the last one/,
      });
      await writing;
      await store.close();
    }));

  test(`${name}: completes later, and never changes a buffer that it was given or gave`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      const keys = Array.from({ length: 40 }, (_, i) => `key${i}`);
      const held: { readonly buffer: Buffer; readonly text: string }[] = [];
      const hold = (buffer: Buffer | undefined): void => {
        if (buffer !== undefined) held.push({ buffer, text: buffer.toString('latin1') });
      };
      for (let index = 1; index <= 20; index += 1) {
        // The same lengths, so that what is in one's place might take its memory, too.
        const puts = keys.map((each): [string, Buffer] => [
          each,
          Buffer.from(`${index}`.padStart(3 + (index % 2))),
        ]);
        const deletes = index % 3 === 0 ? puts.splice(0, 5).map(([each]) => each) : [];
        for (const [, each] of puts) hold(each);
        let within = true;
        await new Promise<void>((resolve) => {
          store.write({ applied: appliedAt(index), puts, deletes }, () => {
            t.false(within);
            resolve();
          });
          within = false;
        });
        for (const asked of [keys, keys.slice(3, 8), []]) {
          within = true;
          const values = new Promise<ReadonlyArray<Buffer | undefined>>((resolve) =>
            store.getMany(asked, (found) => {
              t.false(within);
              resolve(found);
            }),
          );
          within = false;
          (await values).forEach(hold);
        }
        if (index % 4 === 0) for (const [, each] of (await scanOf(store)).entries) hold(each);
      }
      for (const { buffer, text } of held) t.is(buffer.toString('latin1'), text);
      await store.close();
    }));

  test(`${name}: close waits for what is in flight, and nothing goes on after it`, (t) =>
    withHarness(async (harness) => {
      const first = await harness.open();
      const order: string[] = [];
      first.write(batchOf(1, { a: '1' }), () => order.push('write'));
      first.scan(EVERYTHING, () => order.push('scan'));
      first.getMany(['a'], () => order.push('get'));
      const closing = first.close().then(() => order.push('close'));
      t.throws(() => first.getMany([], () => t.fail()), { message: /closed/ });
      await closing;
      t.deepEqual([...order].sort(), ['close', 'get', 'scan', 'write']);
      t.is(order.at(-1), 'close');
      const store = await harness.open();
      t.is(store.recovered.index, 1);
      await store.close();
    }));
}
