import test from 'ava';
import { simulate } from './run.js';
import { testSeeds } from './seeds.js';

testSeeds(1, 250);

test('the same seed gives the same run, another seed another', async (t) => {
  const first = await simulate({ seed: 42 });
  t.deepEqual(await simulate({ seed: 42 }), first);
  t.not((await simulate({ seed: 43 })).digest, first.digest);
});
