/** What was found, written down: in `docs/SIMULATION.md` for people, in `mutants-found.ts` for the next run. */

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Mutant } from './mutants.js';
import { boundFor } from './mutants.js';
import { COMPILED } from './seed-runner.js';

const ROOT = path.dirname(COMPILED);
const DOCUMENT = path.join(ROOT, 'docs/SIMULATION.md');
const FOUND = path.join(ROOT, 'test/simulation/mutants-found.ts');
const HEAD = ['mutant', 'file', 'the rule that it breaks', 'found at seed', 'bound'];
/** The whole table: nothing else in the document begins like it. */
const TABLE = /^\| mutant .*\n(?:\|.*\n)+/m;

type Seeds = Readonly<Record<string, number>>;

/** As prettier would have it. */
export function mutantTable(mutants: readonly Mutant[], found: Seeds): string {
  const rows = mutants.map(({ name, file, breaks }) => {
    const seed = found[name];
    const [at, bound] = seed === undefined ? ['-', '-'] : [`${seed}`, `${boundFor(seed)}`];
    return [`\`${name}\``, `\`${file.replace(/\.js$/, '.ts')}\``, breaks, at, bound];
  });
  const widths = HEAD.map((_, at) => Math.max(...[HEAD, ...rows].map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |\n`;
  return [line(HEAD), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('');
}

/** The table that the document has now. */
export function documentedTable(): string | undefined {
  return TABLE.exec(readFileSync(DOCUMENT, 'utf8'))?.[0];
}

/** Puts down what finds the mutants now. */
export function writeFound(mutants: readonly Mutant[], found: Seeds): void {
  const text = readFileSync(DOCUMENT, 'utf8');
  if (!TABLE.test(text)) throw new Error(`${DOCUMENT} has no table of mutants`);
  const table = mutantTable(mutants, found);
  writeFileSync(
    DOCUMENT,
    text.replace(TABLE, () => table),
  );
  const source = readFileSync(FOUND, 'utf8');
  const lines = mutants.flatMap(({ name }) => {
    const seed = found[name];
    return seed === undefined ? [] : `  ${/^\w+$/.test(name) ? name : `'${name}'`}: ${seed},\n`;
  });
  writeFileSync(FOUND, `${source.slice(0, source.indexOf('{\n') + 2)}${lines.join('')}};\n`);
}
