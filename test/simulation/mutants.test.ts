import test from 'ava';
import { RARE_MUTANTS } from './mutants-rare.js';
import { MUTANTS, boundOf } from './mutants.js';
import { FOUND_AT_SEED } from './mutants-found.js';
import { outOfDate } from './mutated-copy.js';
import { search } from './mutation-run.js';
import { documentedTable, mutantTable } from './mutation-table.js';

/** Found with the first seeds. The whole list takes minutes: `npm run simulate -- --mutants`. */
const QUICK = ['own-disk-counted-early', 'read-ahead-of-applied'];

test('every mutant fits the product', (t) => {
  t.deepEqual(outOfDate([...MUTANTS, ...RARE_MUTANTS]), []);
  t.is(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
});

test('every mutant is documented with the seed that finds it', (t) => {
  t.deepEqual(Object.keys(FOUND_AT_SEED).sort(), MUTANTS.map(({ name }) => name).sort());
  t.is(documentedTable(), mutantTable(MUTANTS, FOUND_AT_SEED));
});

for (const name of QUICK) {
  test(`${name} is found within its bound`, async (t) => {
    const mutant = MUTANTS.find((one) => one.name === name);
    if (mutant === undefined) throw new Error(`there is no mutant ${name}`);
    const { seed, message } = await search(mutant);
    t.true(seed !== undefined && seed <= boundOf(mutant), message);
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
