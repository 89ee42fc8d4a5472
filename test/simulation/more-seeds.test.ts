import test from 'ava';
import { checkSeeds } from './seeds.js';

test('seeds 251 to 500 keep every invariant, are linearizable, and converge', async (t) => {
  await checkSeeds(t, 251, 500);
});
