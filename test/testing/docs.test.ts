import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import ts from 'typescript';
import { ROOT } from '../../bench/cluster.js';
import { blocksOf } from '../readme-blocks.js';

test('the example in docs/SIMULATION.md does what it says', (t) => {
  const document = readFileSync(path.join(ROOT, 'docs/SIMULATION.md'), 'utf8');
  const example = blocksOf(document).find(({ language }) => language === 'ts');
  if (example === undefined) throw new Error('there is an example');
  const { outputText } = ts.transpileModule(example.text, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  // Within the package, so that it finds itself by its name.
  const directory = mkdtempSync(path.join(ROOT, 'dist', 'example-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = path.join(directory, 'example.mjs');
  writeFileSync(file, outputText);
  t.is(execFileSync(process.execPath, [file], { encoding: 'utf8' }), '2\n');
});
