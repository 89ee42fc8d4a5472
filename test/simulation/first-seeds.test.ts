import test from 'ava';
import { simulate } from './run.js';
import { checkSeeds } from './seeds.js';

test('seeds 1 to 250 keep every invariant, are linearizable, and converge', async (t) => {
  await checkSeeds(t, 1, 250);
});

test('the same seed gives the same run, another seed another', async (t) => {
  const first = await simulate({ seed: 42 });
  t.deepEqual(await simulate({ seed: 42 }), first);
  t.not((await simulate({ seed: 43 })).digest, first.digest);
});
