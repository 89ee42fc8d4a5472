/** Every example of the client's README is compiled and run, in order, as one program; `console.log` prints what is shown. */

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { rootCertificates } from 'node:tls';
import { promisify } from 'node:util';
import test from 'ava';
import { createStore } from '../cli/store-server.js';
import { blocksOf } from '../readme-blocks.js';
import { scripted } from './scripted-server.js';

const run = promisify(execFile);

/** The examples of docstrings; each has names of its own. */
function examplesOf(source: string): string[] {
  return [...source.matchAll(/@example\n([^@]*?)(?= \* @| \*\/)/g)].map(([, text = '']) =>
    text
      .split('\n')
      .map((line) => line.replace(/^ *\* ?/, ''))
      .filter((line) => !line.startsWith('```'))
      .join('\n'),
  );
}

test('the examples do what they show', async (t) => {
  const { address } = await scripted(t, createStore().step);
  const documented = readdirSync('client')
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => examplesOf(readFileSync(join('client', name), 'utf8')));
  t.true(documented.length > 0);
  const blocks = [
    ...blocksOf(readFileSync('client/README.md', 'utf8')).filter(({ language }) => language === 'ts'),
    ...documented.map((text) => ({ text: `{\n${text}\n}` })),
  ];
  const source = blocks.map(({ text }) => text).join('\n');
  const lines = source.split('\n');
  const imports = lines.filter((line) => line.startsWith('import '));
  const rest = lines.filter((line) => !line.startsWith('import '));
  const folder = mkdtempSync(join(tmpdir(), 'kv-readme-'));
  const [ca = ''] = rootCertificates;
  writeFileSync(join(folder, 'ca.pem'), ca);
  const program = [...imports, ...rest, 'await kv.close();']
    .join('\n')
    .replace(/localhost:\d{4}/g, address)
    .replace('/etc/kv/ca.pem', join(folder, 'ca.pem'));

  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  writeFileSync(join(folder, 'main.ts'), program);
  const compilerOptions = {
    target: 'ES2022',
    lib: ['ES2022', 'ESNext.Disposable'],
    module: 'NodeNext',
    strict: true,
    types: ['node'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['main.ts'] }));
  const compiled = await run(process.execPath, [
    resolve('node_modules/typescript/bin/tsc'),
    '-p',
    folder,
  ]).then(
    () => '',
    (error: unknown) => (error as { stdout: string }).stdout,
  );
  t.is(compiled, '');
  const { stdout } = await run(process.execPath, [join(folder, 'main.js')], { timeout: 20_000 });
  const shown = [...source.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
  t.true(shown.length > 5);
  t.deepEqual(stdout.trim().split('\n'), shown);
});
