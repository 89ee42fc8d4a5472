import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import test from 'ava';
import { openDiskStateStore } from '../../persistence/disk/state-store.js';
import { valuesOf } from '../contracts/state-store.js';
import { ShimmedDisk, compileShim } from '../faults/disk-shim.js';
import { inTemporaryDirectory, unexpected } from './directories.js';
import { onEachEngine } from './engines.js';

const WRITER = path.join(import.meta.dirname, 'persist-writer.js');
/** An engine begins another write-ahead log at 16 MiB. */
const BATCHES = [32, 33];
const WAYS = ['write', 'restore'];

onEachEngine(test, (engine) => {
  test(`${engine.name}: what was persisted is there after a power cut, wherever the write-ahead logs end`, (t) =>
    inTemporaryDirectory(async (parent) => {
      const library = compileShim(parent);
      if (library === undefined) {
        t.pass('skipped: there is no cc to compile the faulty disk with');
        return;
      }
      for (const [way, batches] of WAYS.flatMap((one) => BATCHES.map((count) => [one, count] as const))) {
        const directory = path.join(parent, `${way}${batches}`);
        const disk = new ShimmedDisk(`${directory}.disk`, library);
        const child = spawn(process.execPath, [WRITER, directory, engine.name, way, String(batches)], {
          stdio: 'inherit',
          env: { ...process.env, ...disk.env },
        });
        const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
        t.is(signal, 'SIGKILL');
        disk.cutPower(directory);
        const state = await openDiskStateStore({ engine, directory, fatal: unexpected });
        t.is(state.recovered.index, batches);
        const rows = Array.from({ length: batches }, (_, at) => `row${at + 1}`);
        const values = await valuesOf(state, rows);
        t.is(
          values.findIndex((value) => value === undefined),
          -1,
          `of ${batches} batches one is missing`,
        );
        await state.close();
      }
    }));
});
