/** What every watermark must do, whatever it is made of. */

import type { TestFn } from 'ava';
import type { Mark, RecoveredMark, Watermark } from '../../persistence/watermark.js';
import { FIRST_MARK } from '../../persistence/watermark.js';
import type { Position } from '../../raft/entry.js';

/** One place to store to, through any number of restarts. */
export interface WatermarkHarness {
  /** After the one before it was closed, or is left behind as by a crash. */
  readonly open: () => Promise<{ watermark: Watermark; recovered: RecoveredMark }>;
  /** Resolves when what `advance` was told must have been written. */
  readonly lag: () => Promise<void>;
  readonly dispose: () => Promise<void>;
}

export function promised(watermark: Watermark, mark: Mark): Promise<void> {
  return new Promise((resolve) => watermark.promise(mark, resolve));
}

export function markOf(
  term: number,
  vote: string | undefined,
  last: readonly [term: number, index: number],
): Mark {
  return { term, vote, last: positionOf(last) };
}

export function positionOf([term, index]: readonly [term: number, index: number]): Position {
  return { term, index };
}

/** Runs the suite on one implementation. */
export function watermarkContract(
  test: TestFn,
  name: string,
  harness: () => Promise<WatermarkHarness>,
): void {
  const withHarness = async (body: (harness: WatermarkHarness) => Promise<void>): Promise<void> => {
    const made = await harness();
    try {
      await body(made);
    } finally {
      await made.dispose();
    }
  };

  test(`${name}: at first there is none, then one that promises nothing`, (t) =>
    withHarness(async ({ open }) => {
      const first = await open();
      t.deepEqual(first.recovered, { kind: 'none' });
      await first.watermark.close();
      const second = await open();
      t.deepEqual(second.recovered, { kind: 'found', mark: FIRST_MARK });
      await second.watermark.close();
    }));

  test(`${name}: a promise is there once it is done, without an orderly end`, (t) =>
    withHarness(async ({ open }) => {
      const left: Watermark[] = [];
      const votes = [undefined, 'node1', 'ノード', 'x'.repeat(64)];
      for (const [i, vote] of votes.entries()) {
        const { watermark, recovered } = await open();
        left.push(watermark);
        if (i > 0) t.deepEqual(recovered, { kind: 'found', mark: markOf(i, votes[i - 1], [i, 10 - i]) });
        await promised(watermark, markOf(i + 1, vote, [i + 1, 9 - i]));
      }
      await Promise.all(left.map((each) => each.close()));
    }));

  test(`${name}: the end of the log follows within the lag, the newest alone`, (t) =>
    withHarness(async ({ open, lag }) => {
      const first = await open();
      await promised(first.watermark, markOf(3, 'node2', [3, 1]));
      for (let index = 2; index <= 500; index += 1) first.watermark.advance({ term: 3, index });
      await lag();
      const second = await open();
      t.deepEqual(second.recovered, { kind: 'found', mark: markOf(3, 'node2', [3, 500]) });
      // It may go down as well.
      second.watermark.advance({ term: 3, index: 7 });
      await lag();
      const third = await open();
      t.deepEqual(third.recovered, { kind: 'found', mark: markOf(3, 'node2', [3, 7]) });
      await Promise.all([first, second, third].map(({ watermark }) => watermark.close()));
    }));

  test(`${name}: a promise is not done within the call, and overtakes no end of the log`, (t) =>
    withHarness(async ({ open }) => {
      const { watermark } = await open();
      watermark.advance({ term: 1, index: 5 });
      let within = true;
      const promise = new Promise<void>((resolve) =>
        watermark.promise(markOf(2, undefined, [1, 6]), () => {
          t.false(within);
          resolve();
        }),
      );
      within = false;
      watermark.advance({ term: 1, index: 7 });
      await promise;
      await watermark.close();
      const { watermark: next, recovered } = await open();
      t.deepEqual(recovered, { kind: 'found', mark: markOf(2, undefined, [1, 7]) });
      await next.close();
    }));

  test(`${name}: close waits for what is in flight, and nothing goes on after it`, (t) =>
    withHarness(async ({ open }) => {
      const { watermark } = await open();
      const order: string[] = [];
      watermark.promise(markOf(1, 'node1', [0, 0]), () => order.push('promise'));
      const closing = watermark.close().then(() => order.push('close'));
      t.throws(() => watermark.advance({ term: 1, index: 1 }), { message: /closed/ });
      t.throws(() => watermark.promise(FIRST_MARK, () => t.fail()), { message: /closed/ });
      await closing;
      t.deepEqual(order, ['promise', 'close']);
      const { watermark: next, recovered } = await open();
      t.deepEqual(recovered, { kind: 'found', mark: markOf(1, 'node1', [0, 0]) });
      await next.close();
    }));
}
