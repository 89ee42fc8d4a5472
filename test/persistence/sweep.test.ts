import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { EngineUnavailableError, StorageError } from '../../persistence/errors.js';
import { inTemporaryDirectory } from './directories.js';
import { onEachEngine } from './engines.js';
import { damagedCopy, fill, look, rowsAfter } from './filled.js';

const RUNS = 12;

onEachEngine(test, (engine) => {
  for (const reopen of [false, true]) {
    test(`${engine.name}: whatever file is damaged, nothing wrong is seen (${reopen ? 'table files' : 'write-ahead logs'})`, (t) =>
      inTemporaryDirectory(async (directory) => {
        const [whole, copy] = [path.join(directory, 'whole'), path.join(directory, 'copy')];
        await fill(whole, engine.name, reopen);
        const truth = await look(whole, engine.name);
        if (truth.kind !== 'sound') throw new Error('the directory is not sound to begin with');
        const rowsAt = new Map<number, string>([[truth.sight.applied, truth.sight.rows]]);
        const outcomes: Record<string, number> = {};
        const fault = fc.record({ file: fc.nat(1000), where: fc.nat(10_000_000), cut: fc.boolean() });
        await fc.assert(
          fc.asyncProperty(fault, async (drawn) => {
            const what = await damagedCopy(whole, copy, drawn);
            const seen = await look(copy, engine.name);
            outcomes[seen.kind] = (outcomes[seen.kind] ?? 0) + 1;
            if (seen.kind === 'forgetful') return;
            if (seen.kind !== 'sound') {
              t.true(seen.error instanceof StorageError && !/\n/.test(seen.error.message), what);
              t.false(seen.error instanceof EngineUnavailableError);
              return;
            }
            const { applied, rows, gotten, backwards, log } = seen.sight;
            t.is(log, truth.sight.log, what);
            if (!rowsAt.has(applied)) {
              const aside = path.join(directory, String(applied));
              rowsAt.set(applied, await rowsAfter(aside, engine.name, applied));
            }
            t.true(rows === rowsAt.get(applied), what);
            t.is(gotten, rows, what);
            t.is(backwards, rows, what);
          }),
          { numRuns: RUNS },
        );
        t.log(JSON.stringify(outcomes));
      }));
  }
});
