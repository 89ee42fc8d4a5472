/** What every log store must do, whatever it is made of. */

import type { TestFn } from 'ava';
import fc from 'fast-check';
import type { LogBatch, LogStore, RecoveredLog } from '../../persistence/log-store.js';
import type { Entry, HardState, Position } from '../../raft/entry.js';
import { encodeConfiguration } from '../../membership/configuration.js';
import { ORIGIN } from '../../raft/entry.js';
import type { Model } from './log-model.js';
import {
  batchFor,
  behind,
  compactionOf,
  firstWithin,
  lastIndexOf,
  recoveredOf,
  resetOf,
  runsOf,
  step,
  tailOf,
} from './log-model.js';

/** One place to store to, through any number of restarts. */
export interface LogHarness {
  /** After the store before it was closed. */
  open(tailBytesMax: number): Promise<{ store: LogStore; recovered: RecoveredLog }>;
  dispose(): Promise<void>;
}

export interface LogContract {
  readonly harness: () => Promise<LogHarness>;
  /** How many random histories to try. */
  readonly runs: number;
}

export const ALL = Number.MAX_SAFE_INTEGER;

export function appended(store: LogStore, batch: LogBatch): Promise<void> {
  return new Promise((resolve) => store.append(batch, resolve));
}

export function readOf(store: LogStore, from: number, to: number, bytesMax = ALL): Promise<readonly Entry[]> {
  return new Promise((resolve) => store.read(from, to, bytesMax, resolve));
}

export function entry(index: number, term: number, data = `${index}@${term}`): Entry {
  return { index, term, type: 'command', data: Buffer.from(data) };
}

/** Entries `from`..`to` of one term. */
export function entriesOf(from: number, to: number, term: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term));
}

export function hardState(term: number, vote?: string, commit = 0): HardState {
  return { term, vote, commit };
}

/** Comparable, whichever kind of byte array holds the payload. */
export function plain(entries: readonly Entry[]): unknown[] {
  return entries.map(({ data, ...rest }) => ({ ...rest, data: Buffer.from(data).toString('hex') }));
}

export function compacted(store: LogStore, base: Position): Promise<void> {
  return new Promise((resolve) => store.compact(behind(base), resolve));
}

export function reset(store: LogStore, base: Position): Promise<void> {
  return new Promise((resolve) => store.reset(behind(base), undefined, resolve));
}

/** Runs the suite on one implementation. */
export function logStoreContract(test: TestFn, name: string, contract: LogContract): void {
  const withHarness = async (body: (harness: LogHarness) => Promise<void>): Promise<void> => {
    const harness = await contract.harness();
    try {
      await body(harness);
    } finally {
      await harness.dispose();
    }
  };

  test(`${name}: an empty log`, (t) =>
    withHarness(async (harness) => {
      for (let i = 0; i < 2; i += 1) {
        const { store, recovered } = await harness.open(ALL);
        t.deepEqual(recovered, {
          hardState: undefined,
          base: ORIGIN,
          configurations: [],
          bytes: 0,
          termRuns: [],
          lastIndex: 0,
          tail: [],
        });
        await store.close();
      }
    }));

  test(`${name}: gives back what was appended, through truncations, compactions, resets and restarts`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) =>
        withHarness(async (harness) => {
          const model: Model = { base: ORIGIN, entries: [], hardState: undefined };
          let { store } = await harness.open(ALL);
          const reopen = async (tailBytesMax: number): Promise<void> => {
            await store.close();
            const opened = await harness.open(tailBytesMax);
            store = opened.store;
            const { tail, ...shape } = opened.recovered;
            t.deepEqual(shape, {
              base: model.base,
              ...recoveredOf(model),
              hardState: model.hardState,
              lastIndex: lastIndexOf(model),
              termRuns: runsOf(model.entries),
            });
            t.deepEqual(plain(tail), plain(tailOf(model.entries, tailBytesMax)));
          };
          for (const drawn of steps) {
            if (drawn.do === 'append') {
              await appended(store, batchFor(model, drawn));
            } else if (drawn.do === 'reopen') {
              await reopen(drawn.tailBytesMax);
            } else if (drawn.do === 'compact') {
              const base = compactionOf(model, drawn.to);
              if (base !== undefined) await compacted(store, base);
            } else if (drawn.do === 'reset') {
              const base = resetOf(model, drawn.to);
              if (base !== undefined) await reset(store, base);
            } else if (model.entries.length > 0) {
              const at = drawn.from % model.entries.length;
              const end = at + 1 + (drawn.count % (model.entries.length - at));
              const expected = firstWithin(model.entries.slice(at, end), drawn.bytesMax);
              const { index } = model.base;
              const found = await readOf(store, index + at + 1, index + end, drawn.bytesMax);
              t.deepEqual(plain(found), plain(expected));
            }
          }
          await reopen(ALL);
          await store.close();
        }),
      ),
      { numRuns: contract.runs },
    );
  });

  test(`${name}: extreme values come back`, (t) =>
    withHarness(async (harness) => {
      const term = Number.MAX_SAFE_INTEGER;
      const entries: Entry[] = [
        { index: 1, term, type: 'noop', data: new Uint8Array() },
        { index: 2, term, type: 'command', data: new Uint8Array(1024 * 1024).fill(255) },
        { index: 3, term, type: 'configuration', data: encodeConfiguration({ clusterId: 'ü', members: [] }) },
      ];
      const vote = { term, vote: 'n'.repeat(300) + '☃', commit: 3 };
      const first = await harness.open(ALL);
      await appended(first.store, { entries, hardState: vote });
      await first.store.close();
      const { store, recovered } = await harness.open(ALL);
      t.deepEqual(recovered.hardState, vote);
      t.deepEqual(plain(recovered.tail), plain(entries));
      t.deepEqual(plain(await readOf(store, 1, 3)), plain(entries));
      await store.close();
    }));

  test(`${name}: the hard state alone, entries alone, nothing at all`, (t) =>
    withHarness(async (harness) => {
      const first = await harness.open(ALL);
      await appended(first.store, { entries: [], hardState: hardState(2) });
      await appended(first.store, { entries: [], hardState: hardState(2, 'node3') });
      await appended(first.store, { entries: entriesOf(1, 3, 2) });
      await appended(first.store, { entries: [] });
      await first.store.close();
      const { store, recovered } = await harness.open(0);
      t.deepEqual(recovered.hardState, hardState(2, 'node3'));
      t.deepEqual(
        [recovered.lastIndex, recovered.termRuns, recovered.tail],
        [3, [{ index: 1, term: 2 }], []],
      );
      await store.close();
    }));

  test(`${name}: completes later, never within the call`, (t) =>
    withHarness(async (harness) => {
      const { store } = await harness.open(ALL);
      let called = 0;
      const batches: LogBatch[] = [{ entries: [] }, { entries: entriesOf(1, 1, 1), hardState: hardState(1) }];
      for (const batch of batches) {
        await new Promise<void>((resolve) => {
          store.append(batch, () => {
            called += 1;
            resolve();
          });
          t.is(called, batches.indexOf(batch));
        });
      }
      let answered = false;
      const answer = readOf(store, 1, 1).then(() => (answered = true));
      t.false(answered);
      await answer;
      await store.close();
    }));

  test(`${name}: the next append may be made from within done`, (t) =>
    withHarness(async (harness) => {
      const { store } = await harness.open(ALL);
      await new Promise<void>((resolve) => {
        const append = (index: number): void =>
          store.append({ entries: entriesOf(index, index, 1), hardState: hardState(1) }, () => {
            if (index === 20) resolve();
            else append(index + 1);
          });
        append(1);
      });
      t.deepEqual(plain(await readOf(store, 1, 20)), plain(entriesOf(1, 20, 1)));
      await store.close();
    }));

  test(`${name}: a breach of the contract throws and writes nothing`, (t) =>
    withHarness(async (harness) => {
      const first = await harness.open(ALL);
      t.throws(() => first.store.append({ entries: entriesOf(1, 1, 1) }, () => t.fail()), {
        message: /term and vote/,
      });
      const good = entriesOf(1, 5, 3);
      await appended(first.store, { entries: good, hardState: hardState(4, 'node1', 2) });
      const breaches: [LogBatch, RegExp][] = [
        [{ entries: entriesOf(7, 7, 4) }, /does not fit/],
        [{ entries: entriesOf(0, 1, 4) }, /does not fit/],
        [{ entries: [entry(6, 4), entry(8, 4)] }, /follows/],
        [{ entries: [entry(6, 2)] }, /goes back/],
        [{ entries: [entry(6, 4), entry(7, 3)] }, /goes back/],
        [{ entries: [entry(6, 5)] }, /below the last entry/],
        [{ entries: [entry(2, 4)], hardState: hardState(4, 'node1', 3) }, /commit index/],
        [{ entries: [], hardState: hardState(3, 'node1', 2) }, /term goes back/],
        [{ entries: [], hardState: hardState(4, 'node2', 2) }, /vote of term 4/],
        [{ entries: [], hardState: hardState(4, undefined, 2) }, /vote of term 4/],
        [{ entries: [], hardState: hardState(5, undefined, 6) }, /commit index/],
      ];
      for (const [batch, message] of breaches)
        t.throws(() => first.store.append(batch, () => t.fail()), { message });
      // The one that replaces committed entries.
      t.throws(() => first.store.append({ entries: [entry(1, 4)] }, () => t.fail()), {
        message: /commit index/,
      });
      for (const [from, to] of [
        [0, 1],
        [1, 6],
        [6, 6],
        [3, 2],
      ] as const) {
        t.throws(() => first.store.read(from, to, ALL, () => t.fail()), { message: /were asked/ });
      }
      await first.store.close();
      const { store, recovered } = await harness.open(ALL);
      t.deepEqual(recovered.hardState, hardState(4, 'node1', 2));
      t.deepEqual(plain(recovered.tail), plain(good));
      await store.close();
    }));

  test(`${name}: one append at a time; its entries can be read once it is done`, (t) =>
    withHarness(async (harness) => {
      const { store } = await harness.open(ALL);
      const done = appended(store, { entries: entriesOf(1, 1, 1), hardState: hardState(1) });
      t.throws(() => store.append({ entries: entriesOf(2, 2, 1) }, () => t.fail()), {
        message: /before the last one/,
      });
      t.throws(() => store.read(1, 1, ALL, () => t.fail()), { message: /were asked/ });
      await done;
      t.is((await readOf(store, 1, 1)).length, 1);
      await store.close();
    }));

  test(`${name}: a read is of one view, also when its entries are replaced meanwhile`, (t) =>
    withHarness(async (harness) => {
      const { store } = await harness.open(ALL);
      const old = entriesOf(1, 200, 1);
      const fresh = entriesOf(1, 100, 2);
      await appended(store, { entries: old, hardState: hardState(1) });
      const reading = readOf(store, 1, 200);
      const appending = appended(store, { entries: fresh, hardState: hardState(2) });
      t.deepEqual(plain(await reading), plain(old));
      await appending;
      t.deepEqual(plain(await readOf(store, 1, 100)), plain(fresh));
      t.throws(() => store.read(1, 101, ALL, () => t.fail()));
      await store.close();
    }));

  test(`${name}: the caller's buffers are its own again after the call`, (t) =>
    withHarness(async (harness) => {
      const { store } = await harness.open(ALL);
      const data = Buffer.from('before');
      const appending = appended(store, {
        entries: [{ index: 1, term: 1, type: 'command', data }],
        hardState: hardState(1),
      });
      data.fill(0);
      await appending;
      const [read] = await readOf(store, 1, 1);
      read!.data.fill(1);
      t.deepEqual(plain(await readOf(store, 1, 1)), plain([entry(1, 1, 'before')]));
      await store.close();
    }));

  test(`${name}: close waits for what is in flight, and nothing goes on after it`, (t) =>
    withHarness(async (harness) => {
      const first = await harness.open(ALL);
      await appended(first.store, { entries: entriesOf(1, 50, 1), hardState: hardState(1) });
      const order: string[] = [];
      first.store.read(1, 50, ALL, () => order.push('read'));
      first.store.append({ entries: entriesOf(51, 60, 1) }, () => order.push('append'));
      const closing = first.store.close().then(() => order.push('close'));
      t.throws(() => first.store.read(1, 1, ALL, () => t.fail()), { message: /closed/ });
      await closing;
      t.deepEqual([...order].sort(), ['append', 'close', 'read']);
      t.is(order.at(-1), 'close');
      const { store, recovered } = await harness.open(ALL);
      t.is(recovered.lastIndex, 60);
      await store.close();
    }));
}
