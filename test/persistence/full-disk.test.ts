import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { StorageError } from '../../persistence/errors.js';
import type { Storage } from '../../persistence/storage.js';
import { hardState } from '../contracts/log-store.js';
import { appliedAt } from '../contracts/state-store.js';
import { temporaryDirectory } from './directories.js';
import { onEachEngine } from './engines.js';
import { closed, openOn } from './filled.js';

const DISK_MIB = 12;
const DATA = Buffer.alloc(16 * 1024, 'x');

/** A file system of its own, full long before the disk is; undefined where the machine forbids it. */
async function smallDisk(): Promise<
  { readonly path: string; readonly remove: () => Promise<void> } | undefined
> {
  const directory = await temporaryDirectory();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', directory.path], {
      stdio: 'ignore',
    });
  } catch {
    await directory.remove();
    return undefined;
  }
  return {
    path: directory.path,
    remove: async () => {
      execFileSync('umount', ['--lazy', directory.path]);
      await directory.remove();
    },
  };
}

type Write = (storage: Storage, index: number, done: () => void) => void;

const WRITES: Readonly<Record<'log' | 'state', Write>> = {
  log: ({ log }, index, done) =>
    log.store.append(
      { entries: [{ index, term: 1, type: 'command', data: DATA }], hardState: hardState(1, 'node1') },
      done,
    ),
  state: ({ state }, index, done) =>
    state.write({ applied: appliedAt(index), puts: [[`row${index}`, DATA]], deletes: [] }, done),
};

/** Writes until the store gives up; how many writes were done before and after that. */
async function writeUntilFull(
  directory: string,
  storage: (fatal: (error: StorageError) => void) => Promise<Storage>,
  write: Write,
): Promise<{ done: number; doneAfter: number; errors: readonly StorageError[] }> {
  const errors: StorageError[] = [];
  let done = 0;
  let doneAfter = 0;
  let report: () => void = () => undefined;
  const failed = new Promise<void>((resolve) => (report = resolve));
  const opened = await storage((error) => {
    errors.push(error);
    report();
  });
  const next = (): void =>
    write(opened, done + 1, () => {
      if (errors.length > 0) doneAfter += 1;
      else done += 1;
      // Space that comes back at once must not bring the store back.
      if (errors.length === 0) next();
    });
  next();
  await failed;
  rmSync(path.join(directory, 'ballast'));
  await closed(opened).catch(() => undefined);
  return { done, doneAfter, errors };
}

onEachEngine(test, (engine) => {
  for (const part of ['log', 'state'] as const) {
    test.serial(
      `${engine.name}: a full disk under the ${part} is fatal once, and nothing that was done is lost`,
      async (t) => {
        const disk = await smallDisk();
        if (disk === undefined) {
          t.pass('this machine lets nobody mount a small file system');
          return;
        }
        try {
          const dataDir = path.join(disk.path, 'data');
          writeFileSync(path.join(disk.path, 'ballast'), Buffer.alloc(8 * 1024 * 1024));
          const open = (fatal: (error: StorageError) => void): Promise<Storage> =>
            openOn(dataDir, engine.name, fatal);
          const { done, doneAfter, errors } = await writeUntilFull(disk.path, open, WRITES[part]);
          t.true(done > 10);
          t.is(doneAfter, 0);
          const ofPart = errors.filter((error) => error.part === part);
          t.is(ofPart.length, 1, errors.map(({ message }) => message).join());
          t.is(ofPart[0]?.fault, 'write');
          t.regex(ofPart[0]?.message ?? '', /No space left/i);
          const again = await openOn(dataDir, engine.name);
          t.is(again.assessment.kind, 'whole');
          if (part === 'log') {
            t.true(again.log.recovered.lastIndex >= done);
            t.true(again.log.recovered.tail.every(({ data }) => DATA.equals(data)));
          } else t.true(again.state.recovered.index <= done + 1);
          await closed(again);
        } finally {
          await disk.remove();
        }
      },
    );
  }
});
