/** What every state store must do with views, `persist` and restores. */

import type { TestFn } from 'ava';
import type {
  Applied,
  StateRestore,
  StateRow,
  StateStore,
  StateView,
} from '../../persistence/state-store.js';
import { NOTHING_APPLIED, VIEWS_MAX } from '../../persistence/state-store.js';
import type { StateContract, StateHarness } from './state-store.js';
import { ALL, appliedAt, batchOf, scanOf, valuesOf, written } from './state-store.js';

export function viewOf(store: StateStore): Promise<StateView> {
  return new Promise((resolve) => store.openView(resolve));
}

export function nextOf(view: StateView, bytesMax = ALL): Promise<readonly StateRow[]> {
  return new Promise((resolve) => view.next(bytesMax, resolve));
}

export function closed(view: StateView): Promise<void> {
  return new Promise((resolve) => view.close(resolve));
}

export function persisted(store: StateStore): Promise<{ index: number; term: number }> {
  return new Promise((resolve) => store.persist(resolve));
}

export function restoreOf(store: StateStore): Promise<StateRestore> {
  return new Promise((resolve) => store.beginRestore(resolve));
}

export function restoredRows(restore: StateRestore, rows: Readonly<Record<string, string>>): Promise<void> {
  const list = Object.entries(rows).map(([k, v]): StateRow => [k, Buffer.from(v)]);
  return new Promise((resolve) => restore.write(list, resolve));
}

export function finished(restore: StateRestore, applied: Applied): Promise<void> {
  return new Promise((resolve) => restore.finish(applied, resolve));
}

export function abandoned(restore: StateRestore): Promise<void> {
  return new Promise((resolve) => restore.abandon(resolve));
}

function text(rows: readonly StateRow[]): string[] {
  return rows.map(([key, value]) => `${key}=${value.toString()}`);
}

async function contentOf(store: StateStore): Promise<string[]> {
  return text((await scanOf(store)).entries);
}

export function stateRestoreContract(
  test: TestFn,
  name: string,
  contract: Pick<StateContract, 'harness'>,
): void {
  const withHarness = async (body: (harness: StateHarness) => Promise<void>): Promise<void> => {
    const harness = await contract.harness();
    try {
      await body(harness);
    } finally {
      await harness.dispose();
    }
  };

  test(`${name}: a view is all rows and their applied position, in pieces`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      const empty = await viewOf(store);
      t.deepEqual(empty.applied, NOTHING_APPLIED);
      t.deepEqual(await nextOf(empty), []);
      await closed(empty);
      const applied: Applied = {
        ...appliedAt(7, 3),
        configuration: { clusterId: 'c', members: [] },
        configurationIndex: 1,
      };
      const rows: Record<string, string> = {};
      for (let i = 100; i < 600; i += 1) rows[`k${i}`] = `v${i}`;
      await written(store, { ...batchOf(7, rows), applied });
      const view = await viewOf(store);
      t.deepEqual(view.applied, applied);
      t.deepEqual(text(await nextOf(view, 1)), ['k100=v100']);
      const rest: string[] = [];
      for (;;) {
        const piece = await nextOf(view, 800);
        if (piece.length === 0) break;
        t.true(piece.length <= 100);
        rest.push(...text(piece));
      }
      t.is(rest.length, 499);
      t.deepEqual(await nextOf(view, 800), []);
      await closed(view);
      t.throws(() => view.next(1, () => t.fail()), { message: /the view is closed/ });
      t.throws(() => view.close(() => t.fail()), { message: /the view is closed/ });
      await store.close();
    }));

  test(`${name}: a view stays as it was while writes go on`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      const keys = Array.from({ length: 200 }, (_, i) => `k${1000 + i}`);
      const views: Promise<StateView>[] = [];
      const last = 30;
      await new Promise<void>((resolve) => {
        const write = (index: number): void => {
          store.write(batchOf(index, Object.fromEntries(keys.map((k) => [k, String(index)]))), () => {
            if (index === last) resolve();
            else write(index + 1);
          });
          if (index % 5 === 0) views.push(viewOf(store));
        };
        write(1);
      });
      t.is(views.length, 6);
      for (const view of await Promise.all(views)) {
        const { index } = view.applied;
        const rows = await nextOf(view);
        t.is(rows.length, index === 0 ? 0 : keys.length);
        t.true(rows.every(([, value]) => value.toString() === String(index)));
        await closed(view);
      }
      await store.close();
    }));

  test(`${name}: views are bounded, and closing one makes room`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      const views = await Promise.all(Array.from({ length: VIEWS_MAX }, () => viewOf(store)));
      t.throws(() => store.openView(() => t.fail()), { message: /views of the state are open/ });
      await closed(views[0]!);
      views[0] = await viewOf(store);
      // The others are closed with the store.
      await store.close();
      t.throws(() => views[1]!.next(1, () => t.fail()), { message: /closed/ });
    }));

  test(`${name}: persist tells the last write that is done`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      t.deepEqual(await persisted(store), { index: 0, term: 0 });
      await written(store, batchOf(3, { a: '1' }));
      const writing = written(store, batchOf(4, { a: '2' }));
      t.deepEqual(await persisted(store), { index: 3, term: 1 });
      await writing;
      t.deepEqual(await persisted(store), { index: 4, term: 1 });
      await store.close();
      const again = await harness.open();
      t.deepEqual(await persisted(again), { index: 4, term: 1 });
      t.deepEqual(await contentOf(again), ['a=2']);
      await again.close();
    }));

  test(`${name}: a restore replaces everything, and only when it is finished`, (t) =>
    withHarness(async (harness) => {
      const first = await harness.open();
      await written(first, batchOf(5, { a: 'old', b: 'old' }));
      const restore = await restoreOf(first);
      t.throws(() => first.write(batchOf(6, {}), () => t.fail()), { message: /during a restore/ });
      t.throws(() => first.beginRestore(() => t.fail()), { message: /during a restore/ });
      await restoredRows(restore, { c: 'new', a: 'new' });
      t.deepEqual(await contentOf(first), ['a=old', 'b=old']);
      await restoredRows(restore, { d: 'new' });
      const view = await viewOf(first);
      await finished(restore, appliedAt(90, 4));
      t.deepEqual(await contentOf(first), ['a=new', 'c=new', 'd=new']);
      t.deepEqual((await scanOf(first)).applied, { index: 90, term: 4 });
      t.deepEqual(await persisted(first), { index: 90, term: 4 });
      // One that was opened before is of the old content to its end.
      t.is(view.applied.index, 5);
      t.deepEqual(text(await nextOf(view)), ['a=old', 'b=old']);
      await closed(view);
      t.throws(() => first.write(batchOf(90, {}), () => t.fail()), { message: /applied position/ });
      await written(first, { ...batchOf(91, { e: '91' }), applied: appliedAt(91, 4) });
      await first.close();
      const store = await harness.open();
      t.is(store.recovered.index, 91);
      t.deepEqual(await contentOf(store), ['a=new', 'c=new', 'd=new', 'e=91']);
      await store.close();
    }));

  test(`${name}: an abandoned or unfinished restore leaves the old content`, (t) =>
    withHarness(async (harness) => {
      const first = await harness.open();
      await written(first, batchOf(5, { a: 'old' }));
      const abandonedOne = await restoreOf(first);
      await restoredRows(abandonedOne, { a: 'new', b: 'new' });
      await abandoned(abandonedOne);
      await written(first, batchOf(6, { c: 'old' }));
      const unfinished = await restoreOf(first);
      await restoredRows(unfinished, { a: 'newer' });
      await first.close();
      const store = await harness.open();
      t.is(store.recovered.index, 6);
      t.deepEqual(await contentOf(store), ['a=old', 'c=old']);
      // What the unfinished one held does not turn up in the next one.
      const third = await restoreOf(store);
      await finished(third, appliedAt(2));
      t.deepEqual(await contentOf(store), []);
      await written(store, batchOf(3, { z: '3' }));
      await store.close();
      const again = await harness.open();
      t.deepEqual(await contentOf(again), ['z=3']);
      await again.close();
    }));

  test(`${name}: reads and scans are answered all through a restore, from the old content or the new`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      await written(store, batchOf(5, { a: 'old', b: 'old' }));
      const restore = await restoreOf(store);
      await restoredRows(restore, { a: 'new', b: 'new' });
      const progress = { over: false };
      const finishing = finished(restore, appliedAt(9)).then(() => (progress.over = true));
      const seen = new Set<string>();
      while (!progress.over) {
        const [scan, values] = await Promise.all([scanOf(store), valuesOf(store, ['a', 'b'])]);
        const kinds = new Set(scan.entries.map(([, value]) => value.toString()));
        t.is(kinds.size, 1);
        t.is(scan.applied.index, kinds.has('old') ? 5 : 9);
        t.is(values[0]?.toString(), values[1]?.toString());
        for (const kind of kinds) seen.add(kind);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await finishing;
      t.true(seen.has('old'));
      t.deepEqual(await contentOf(store), ['a=new', 'b=new']);
      await store.close();
    }));

  test(`${name}: no restore begins while a write is in flight`, (t) =>
    withHarness(async (harness) => {
      const store = await harness.open();
      const writing = written(store, batchOf(1, { a: '1' }));
      t.throws(() => store.beginRestore(() => t.fail()), { message: /during a write/ });
      await writing;
      await abandoned(await restoreOf(store));
      await store.close();
    }));
}
