import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import test from 'ava';
import type { Engine } from '../../persistence/engine.js';
import { StorageError } from '../../persistence/errors.js';
import type { LogBatch } from '../../persistence/log-store.js';
import { openDiskLogStore } from '../../persistence/disk/log-store.js';
import { openDiskStateStore } from '../../persistence/disk/state-store.js';
import { ALL, hardState, readOf } from '../contracts/log-store.js';
import { scanOf, valuesOf } from '../contracts/state-store.js';
import { inTemporaryDirectory, unexpected } from './directories.js';
import { onEachEngine } from './engines.js';

const WRITER = path.join(import.meta.dirname, 'crash-writer.js');

interface Writer {
  readonly child: ChildProcess;
  /** Its lines, until `enough` says so. */
  linesUntil(enough: (line: string) => boolean): Promise<readonly string[]>;
  kill(): Promise<void>;
}

function startWriter(dataDir: string, engine: Engine, ...options: readonly 'keep'[]): Writer {
  const child = spawn(process.execPath, [WRITER, dataDir, engine.name, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    async linesUntil(enough) {
      const seen: string[] = [];
      for (;;) {
        const next = await lines.next();
        if (next.done === true) throw new Error(`the writer ended after ${seen.at(-1) ?? 'nothing'}`);
        seen.push(next.value);
        if (enough(next.value)) return seen;
      }
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** The numbers of the last line that starts with `word`. */
function lastOf(lines: readonly string[], word: string): number[] {
  const line = lines.findLast((each) => each.startsWith(`${word} `));
  return (line ?? '').split(' ').slice(1).map(Number);
}

onEachEngine(test, (engine) => {
  test(`${engine.name}: what was done before a kill is there afterwards, kill after kill`, (t) =>
    inTemporaryDirectory(async (dataDir) => {
      let before = 0;
      const bases = new Set<number>();
      for (let round = 0; round < 4; round += 1) {
        const writer = startWriter(dataDir, engine);
        let lines: readonly string[];
        try {
          let appends = 20 + round * 7;
          let replacements = round;
          lines = await writer.linesUntil((line) => {
            if (line === 'restored') replacements -= 1;
            if (line.startsWith('log ')) appends -= 1;
            return appends <= 0 && replacements <= 0;
          });
        } finally {
          await writer.kill();
        }
        const [index = 0, term = 0] = lastOf(lines, 'log');
        t.true(index > before);
        const { store, recovered } = await openDiskLogStore({
          engine,
          directory: path.join(dataDir, 'log'),
          tailBytesMax: ALL,
          fatal: unexpected,
        });
        // What was not done when it was killed may be there or not. A replacement may have taken one entry at most.
        t.true(recovered.lastIndex >= index);
        t.true((recovered.hardState?.term ?? 0) >= term);
        t.is(recovered.hardState?.vote, `node${(recovered.hardState?.term ?? 0) % 3}`);
        const { base } = recovered;
        t.true(base.index >= (lastOf(lines, 'base')[0] ?? 0));
        t.is(recovered.tail.length, recovered.lastIndex - base.index);
        for (const entry of recovered.tail) {
          t.is(Buffer.from(entry.data).toString(), `${entry.index}@${entry.term}`);
        }
        t.deepEqual(await readOf(store, base.index + 1, recovered.lastIndex), recovered.tail);
        await store.close();
        before = recovered.lastIndex;

        const [applied = 0] = lastOf(lines, 'state');
        const state = await openDiskStateStore({
          engine,
          directory: path.join(dataDir, 'state'),
          fatal: unexpected,
        });
        t.true(state.recovered.index >= applied);
        const scan = await scanOf(state);
        t.is(scan.entries.length, state.recovered.index === 0 ? 0 : state.recovered.index + 1);
        const [last] = await valuesOf(state, ['last']);
        t.is(last?.toString() ?? '0', String(state.recovered.index));
        await state.close();
        bases.add(base.index);
      }
      // Otherwise there was nothing to interrupt.
      t.true(bases.size > 1);
    }));

  test(`${engine.name}: a directory in use by a running process is refused, and free again once that has died`, (t) =>
    inTemporaryDirectory(async (dataDir) => {
      // For a moment within a replacement, neither the old state nor the new one is open.
      const writer = startWriter(dataDir, engine, 'keep');
      try {
        await writer.linesUntil((line) => line === 'ready');
        for (const name of ['log', 'state']) {
          const directory = path.join(dataDir, name);
          const options = { engine, directory, tailBytesMax: 0, fatal: unexpected };
          const opening = name === 'log' ? openDiskLogStore(options) : openDiskStateStore(options);
          const error = await t.throwsAsync(opening, { instanceOf: StorageError });
          t.is(error.fault, 'unusable');
          t.true(error.message.includes(directory));
          t.regex(error.message, /in use.*raft\.dataDir/);
          t.notRegex(error.message, /\n/);
        }
      } finally {
        await writer.kill();
      }
      const options = { engine, directory: path.join(dataDir, 'log'), tailBytesMax: 0, fatal: unexpected };
      const first = await openDiskLogStore(options);
      await t.throwsAsync(openDiskLogStore(options), { message: /in use/ });
      await first.store.close();
      await (await openDiskLogStore(options)).store.close();
    }));

  test(`${engine.name}: a failed write is reported once, and nothing is called back after it`, (t) =>
    inTemporaryDirectory(async (dataDir) => {
      const directory = path.join(dataDir, 'log');
      const errors: StorageError[] = [];
      let callbacksAfter = 0;
      const { store } = await openDiskLogStore({
        engine,
        directory,
        tailBytesMax: 0,
        fatal: (error) => errors.push(error),
      });
      const data = Buffer.alloc(1024 * 1024);
      const entryAt = (index: number): LogBatch => ({
        entries: [{ index, term: 1, type: 'command', data }],
        hardState: hardState(1),
      });
      await new Promise<void>((resolve) => store.append(entryAt(1), resolve));
      // Files that are open stay writable; the first new one that is to be made, the engine's or that of the sums, is the downfall.
      await rm(directory, { recursive: true, maxRetries: 20, retryDelay: 10 });
      await new Promise<void>((resolve, reject) => {
        const append = (index: number): void => {
          if (index > 100) {
            reject(new Error('no write failed'));
            return;
          }
          store.append(entryAt(index), () => {
            if (errors.length > 0) callbacksAfter += 1;
            append(index + 1);
          });
          // Asked for beside every append: what is still under way when that one fails must not come back either.
          store.read(1, index - 1, 1, () => {
            if (errors.length > 0) callbacksAfter += 1;
          });
          if (errors.length > 0) resolve();
        };
        const watch = (): void => {
          if (errors.length > 0) resolve();
          else setImmediate(watch);
        };
        append(2);
        watch();
      });
      store.read(1, 1, 1, () => (callbacksAfter += 1));
      await store.close();
      t.is(errors.length, 1);
      t.is(errors[0]?.fault, 'write');
      t.true(errors[0]?.message.includes(directory));
      t.is(callbacksAfter, 0);
    }));
});
