/** What every log store must do when its beginning is cut off or its content replaced. */

import type { TestFn } from 'ava';
import { entryBytes } from '../../raft/entry.js';
import { ALL, appended, compacted, entriesOf, entry, hardState, plain, readOf, reset } from './log-store.js';
import { MEMBERS, behind } from './log-model.js';
import type { LogContract, LogHarness } from './log-store.js';

export function logCompactionContract(
  test: TestFn,
  name: string,
  contract: Pick<LogContract, 'harness'>,
): void {
  const withHarness = async (body: (harness: LogHarness) => Promise<void>): Promise<void> => {
    const harness = await contract.harness();
    try {
      await body(harness);
    } finally {
      await harness.dispose();
    }
  };

  test(`${name}: a compacted log begins behind its base, and is found so again`, (t) =>
    withHarness(async (harness) => {
      const first = await harness.open(ALL);
      const entries = [...entriesOf(1, 3000, 1), ...entriesOf(3001, 5000, 2)];
      await appended(first.store, { entries, hardState: hardState(2, 'node1', 4000) });
      await compacted(first.store, { index: 2500, term: 1 });
      await compacted(first.store, { index: 3000, term: 1 });
      t.throws(() => first.store.read(3000, 3001, ALL, () => t.fail()), { message: /were asked/ });
      t.deepEqual(plain(await readOf(first.store, 3001, 3002)), plain(entriesOf(3001, 3002, 2)));
      await first.store.close();
      for (let i = 0; i < 2; i += 1) {
        const { store, recovered } = await harness.open(0);
        t.deepEqual(recovered, {
          hardState: hardState(2, 'node1', 4000),
          base: { index: 3000, term: 1 },
          configurations: [{ index: 1, configuration: MEMBERS }],
          bytes: entriesOf(3001, 5000, 2).reduce((sum, each) => sum + entryBytes(each), 0),
          termRuns: [{ index: 3001, term: 2 }],
          lastIndex: 5000,
          tail: [],
        });
        await store.close();
      }
    }));

  test(`${name}: a log may be compacted to its very end, and goes on`, (t) =>
    withHarness(async (harness) => {
      const first = await harness.open(ALL);
      await appended(first.store, { entries: entriesOf(1, 5, 3), hardState: hardState(3, undefined, 5) });
      await compacted(first.store, { index: 5, term: 3 });
      await appended(first.store, { entries: [entry(6, 3)] });
      await first.store.close();
      const { store, recovered } = await harness.open(ALL);
      t.deepEqual(
        [recovered.base, recovered.termRuns, recovered.lastIndex],
        [{ index: 5, term: 3 }, [{ index: 6, term: 3 }], 6],
      );
      t.deepEqual(plain(recovered.tail), plain([entry(6, 3)]));
      await store.close();
    }));

  test(`${name}: what lies up to the base is committed, whatever the hard state said`, (t) =>
    withHarness(async (harness) => {
      const first = await harness.open(ALL);
      await appended(first.store, { entries: entriesOf(1, 5, 1), hardState: hardState(1, 'node2', 1) });
      await compacted(first.store, { index: 4, term: 1 });
      await first.store.close();
      const { store, recovered } = await harness.open(ALL);
      t.deepEqual(recovered.hardState, hardState(1, 'node2', 4));
      await store.close();
    }));

  test(`${name}: an append and a compaction do not wait for each other`, (t) =>
    withHarness(async (harness) => {
      const { store } = await harness.open(ALL);
      await appended(store, { entries: entriesOf(1, 100, 1), hardState: hardState(1, undefined, 90) });
      const appending = appended(store, { entries: entriesOf(95, 110, 2), hardState: hardState(2) });
      // 96 is being replaced, and 101 is not durable.
      for (const index of [96, 101]) {
        t.throws(() => store.compact(behind({ index, term: 1 }), () => t.fail()), {
          message: /cannot begin behind/,
        });
      }
      const compacting = compacted(store, { index: 90, term: 1 });
      // Not durable yet: it can still be read.
      const reading = readOf(store, 1, 90);
      t.throws(() => store.compact(behind({ index: 92, term: 1 }), () => t.fail()), {
        message: /before the last one/,
      });
      t.throws(() => store.reset(behind({ index: 200, term: 1 }), undefined, () => t.fail()), {
        message: /in flight/,
      });
      await Promise.all([appending, compacting]);
      t.deepEqual(plain(await reading), plain(entriesOf(1, 90, 1)));
      const compactingAgain = compacted(store, { index: 93, term: 1 });
      t.throws(
        () => store.append({ entries: entriesOf(93, 93, 3), hardState: hardState(3) }, () => t.fail()),
        {
          message: /does not fit/,
        },
      );
      await Promise.all([
        compactingAgain,
        appended(store, { entries: entriesOf(94, 94, 3), hardState: hardState(3) }),
      ]);
      await store.close();
      const opened = await harness.open(ALL);
      t.deepEqual(opened.recovered.base, { index: 93, term: 1 });
      t.deepEqual(plain(opened.recovered.tail), plain(entriesOf(94, 94, 3)));
      await opened.store.close();
    }));

  test(`${name}: a read that began before a compaction or a reset keeps its view`, (t) =>
    withHarness(async (harness) => {
      const { store } = await harness.open(ALL);
      const entries = entriesOf(1, 3000, 1);
      await appended(store, { entries, hardState: hardState(1, undefined, 3000) });
      const before = readOf(store, 1, 3000);
      await compacted(store, { index: 2000, term: 1 });
      t.deepEqual(plain(await before), plain(entries));
      const between = readOf(store, 2001, 3000);
      await reset(store, { index: 3001, term: 1 });
      t.deepEqual(plain(await between), plain(entries.slice(2000)));
      await store.close();
    }));

  test(`${name}: a reset leaves an empty log behind its base, with term and vote`, (t) =>
    withHarness(async (harness) => {
      const first = await harness.open(ALL);
      await appended(first.store, { entries: entriesOf(1, 20, 2), hardState: hardState(5, 'node3', 4) });
      const resetting = reset(first.store, { index: 10, term: 4 });
      t.throws(() => first.store.append({ entries: entriesOf(21, 21, 5) }, () => t.fail()), {
        message: /being reset/,
      });
      t.throws(() => first.store.compact(behind({ index: 3, term: 2 }), () => t.fail()), {
        message: /being reset/,
      });
      await resetting;
      t.throws(() => first.store.read(11, 11, ALL, () => t.fail()), { message: /were asked/ });
      await first.store.close();
      const second = await harness.open(ALL);
      t.deepEqual(second.recovered, {
        hardState: hardState(5, 'node3', 10),
        base: { index: 10, term: 4 },
        configurations: [{ index: 1, configuration: MEMBERS }],
        bytes: 0,
        termRuns: [],
        lastIndex: 10,
        tail: [],
      });
      await appended(second.store, { entries: entriesOf(11, 12, 5) });
      // Far behind the end: there is nothing between the two.
      await reset(second.store, { index: 9_000_000_000, term: 5 });
      await appended(second.store, { entries: [entry(9_000_000_001, 5)] });
      await second.store.close();
      const { store, recovered } = await harness.open(ALL);
      t.deepEqual(recovered.base, { index: 9_000_000_000, term: 5 });
      t.deepEqual(plain(recovered.tail), plain([entry(9_000_000_001, 5)]));
      await store.close();
    }));

  test(`${name}: a base that does not fit is refused, and nothing changes`, (t) =>
    withHarness(async (harness) => {
      const first = await harness.open(ALL);
      t.throws(() => first.store.reset(behind({ index: 3, term: 1 }), undefined, () => t.fail()), {
        message: /term, none/,
      });
      await appended(first.store, { entries: entriesOf(1, 9, 2), hardState: hardState(2, undefined, 8) });
      await compacted(first.store, { index: 4, term: 2 });
      for (const base of [
        { index: 4, term: 2 },
        { index: 3, term: 2 },
        { index: 6, term: 1 },
        { index: 10, term: 2 },
      ]) {
        t.throws(() => first.store.compact(behind(base), () => t.fail()), { message: /cannot begin behind/ });
      }
      for (const [base, message] of [
        [{ index: 4, term: 2 }, /base goes/],
        [{ index: 12, term: 1 }, /base goes/],
        [{ index: 12, term: 3 }, /below that of its base/],
        [{ index: 7, term: 2 }, /are committed/],
      ] as const) {
        t.throws(() => first.store.reset(behind(base), undefined, () => t.fail()), { message });
      }
      await first.store.close();
      const { store, recovered } = await harness.open(ALL);
      t.deepEqual(recovered.base, { index: 4, term: 2 });
      t.deepEqual(plain(recovered.tail), plain(entriesOf(5, 9, 2)));
      await store.close();
    }));
}
