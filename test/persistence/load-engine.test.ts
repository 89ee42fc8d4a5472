import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { loadEngine, probe } from '../../persistence/load-engine.js';
import { inTemporaryDirectory } from './directories.js';
import { onEachEngine } from './engines.js';

onEachEngine(test, (engine) => {
  test(`${engine.name} is what is loaded under its name`, async (t) => {
    t.is(await loadEngine(engine.name), engine);
    t.is(await probe(engine.name), undefined);
  });
});

test('a package is probed in a process of its own', (t) =>
  inTemporaryDirectory(async (directory) => {
    const cases: [string, RegExp][] = [
      ['process.abort()', /ends the process with SIGABRT/],
      [
        'throw new Error("No native build was found\\nfor this platform")',
        /^Error: No native build was found$/,
      ],
      ['process.exit(7)', /exit code 7/],
    ];
    for (const [source, fault] of cases) {
      const file = path.join(directory, 'binding.cjs');
      await writeFile(file, source);
      t.regex((await probe(file)) ?? 'it loads', fault);
    }
    t.is(await probe('no-such-package'), 'it is not installed');
  }));
