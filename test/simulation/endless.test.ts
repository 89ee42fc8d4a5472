import test from 'ava';
import { searchSeeds } from './seed-search.js';
import { World } from './world.js';

test('a run that goes on for ever fails, after so many steps', (t) => {
  const world = new World({ stepsMax: 100, stepsAtOnceMax: 10 });
  const again = (): void => void world.after(1, again);
  again();
  t.throws(
    () => {
      while (world.step(Infinity));
    },
    { message: 'the run does not end: after 100 steps it is at 101.0 ms' },
  );
});

test('a run in which time stands still fails', (t) => {
  const world = new World({ stepsMax: 1000, stepsAtOnceMax: 10 });
  const again = (): void => void world.after(0, again);
  world.after(5, again);
  t.throws(
    () => {
      while (world.step(Infinity));
    },
    { message: 'the run does not end: 10 steps, and it is still 5.000 ms' },
  );
});

test('several processes search, and their reports are put together', async (t) => {
  const lines: string[] = [];
  t.true(await searchSeeds({ from: 1, minutes: 1e-3, jobs: 2, say: (line) => void lines.push(line) }));
  const [, seeds] = /^(\d+) seeds, \d+ steps/.exec(lines.join('\n')) ?? [];
  t.true(Number(seeds) >= 2);
  t.is(lines.at(-1), `seeds 1 to ${seeds}`);
});
