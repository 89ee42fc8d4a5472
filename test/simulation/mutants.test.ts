import test from 'ava';
import { RARE_MUTANTS } from './mutants-rare.js';
import { MUTANTS } from './mutants.js';
import { outOfDate, search } from './mutation-run.js';

/** Found with the first seeds. The whole list takes minutes: `npm run simulate -- --mutants`. */
const QUICK = ['own-disk-counted-early', 'read-ahead-of-applied'];

test('every mutant fits the product', (t) => {
  t.deepEqual(outOfDate([...MUTANTS, ...RARE_MUTANTS]), []);
  t.is(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
});

for (const name of QUICK) {
  test(`${name} is found within its bound`, async (t) => {
    const mutant = MUTANTS.find((one) => one.name === name);
    if (mutant === undefined) throw new Error(`there is no mutant ${name}`);
    const { seed, message } = await search(mutant);
    t.true(seed !== undefined && seed <= mutant.seedsMax, message);
    t.regex(message, /^seed \d+: /);
  });
}

test('a mutant that breaks nothing is not found', async (t) => {
  const [first] = MUTANTS;
  if (first === undefined) throw new Error('there are mutants');
  const { seed } = await search({ ...first, replacement: first.original }, 2);
  t.is(seed, undefined);
});

test('a mutant whose text is not there is refused', async (t) => {
  const [first] = MUTANTS;
  if (first === undefined) throw new Error('there are mutants');
  await t.throwsAsync(search({ ...first, original: 'no such text' }), { message: /is out of date/ });
});
