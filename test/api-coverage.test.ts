/** The tests that docs/api-coverage.md names are there. */

import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';

const rows = readFileSync('docs/api-coverage.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| --'));

test('every test that is named is there, under its title', (t) => {
  let titles = 0;
  for (const row of rows) {
    const [, , named = ''] = row.split(/(?<!\\)\|/);
    for (const part of named.split(';')) {
      const files = [...part.matchAll(/`([a-z-]+(?:\/[a-z-]+)*)`/g)]
        .map(([, name = '']) => `test/${name}.test.ts`)
        .filter((file) => existsSync(file));
      const sources = files.map((file) => readFileSync(file, 'utf8')).join('\n');
      for (const [, title = ''] of part.matchAll(/"([^"]+)"/g)) {
        titles += 1;
        // Only parts of the title may be quoted.
        for (const piece of title.split('…'))
          t.true(sources.includes(piece.trim()), `${part.trim()}: there is no ${piece}`);
      }
    }
  }
  t.true(titles > 60, String(titles));
});
