import path from 'node:path';
import test from 'ava';
import { openDiskStateStore } from '../../persistence/disk/state-store.js';
import type { StateStore } from '../../persistence/state-store.js';
import { NOTHING_APPLIED } from '../../persistence/state-store.js';
import { openSnapshotDirectory } from '../../snapshot/files/directory.js';
import { ZLIB_CODEC } from '../../snapshot/files/zlib-codec.js';
import type { SnapshotFile } from '../../snapshot/identity.js';
import { makeSnapshot } from '../../snapshot/maker.js';
import { memorySnapshotDisk } from '../../snapshot/memory/directory.js';
import type { Done, Outcome } from '../../snapshot/outcome.js';
import type { ReadSnapshot, SnapshotSource } from '../../snapshot/reading.js';
import { restoreSnapshot } from '../../snapshot/restorer.js';
import { storeOn } from '../contracts/snapshot-store.js';
import { closed, nextOf, viewOf } from '../contracts/state-restore.js';
import { batchOf, scanOf, written } from '../contracts/state-store.js';
import { anyEngine as engine } from '../persistence/engines.js';
import { inTemporaryDirectory, unexpected } from '../persistence/directories.js';
import {
  APPLIED,
  PLAIN,
  bytesOf,
  madeOf,
  rowsOf,
  sample,
  sourceOf,
  stateOf,
  storeInMemory,
} from './samples.js';

function restored(
  state: StateStore,
  source: SnapshotSource,
  identity?: SnapshotFile,
  codec = ZLIB_CODEC,
  cancelled?: () => boolean,
): Promise<Outcome<ReadSnapshot>> {
  const options = { state, source, codec, identity, ...(cancelled && { cancelled }) };
  return new Promise((resolve) => restoreSnapshot(options, resolve));
}

async function contentOf(state: StateStore): Promise<{ rows: unknown; applied: unknown }> {
  const view = await viewOf(state);
  const rows = await nextOf(view);
  await closed(view);
  return { rows, applied: view.applied };
}

test('a restore rests behind each block, in both of its passes', async (t) => {
  const source = sourceOf(await sample(rowsOf(2000, 100), ZLIB_CODEC));
  const state = await stateOf([], NOTHING_APPLIED);
  let rests = 0;
  const rest = (next: () => void): void => {
    rests += 1;
    setImmediate(next);
  };
  const outcome = await new Promise<Outcome<ReadSnapshot>>((resolve) =>
    restoreSnapshot({ state, source, codec: ZLIB_CODEC, identity: undefined, rest }, resolve),
  );
  t.true(outcome.ok && rests === 2 * outcome.value.totals.blocks && rests > 4);
  t.is((await scanOf(state)).entries.length, 2000);
});

test('a state goes through a file and is the same, on real disks, while writes go on', (t) =>
  inTemporaryDirectory(async (root) => {
    const rows = rowsOf(3000, 120);
    const first = await openDiskStateStore({
      engine,
      directory: path.join(root, 'first'),
      fatal: unexpected,
    });
    await written(first, { applied: APPLIED, puts: rows, deletes: [] });
    const store = await storeOn(await openSnapshotDirectory(path.join(root, 'snapshots')));
    let index = APPLIED.index;
    const making = { on: true };
    const progress: number[] = [];
    const made = new Promise<Outcome<SnapshotFile>>((resolve) =>
      makeSnapshot(
        {
          state: first,
          store,
          codec: ZLIB_CODEC,
          clusterId: 'c1',
          nodeId: 'n1',
          createdAtMs: 0,
          progress: ({ rows: soFar }) => progress.push(soFar),
        },
        resolve,
      ),
    ).finally(() => (making.on = false));
    while (making.on) {
      index += 1;
      await written(first, {
        ...batchOf(index, { key0000001: 'later', [`new${index}`]: '' }),
        applied: { ...APPLIED, index },
      });
    }
    const file = await made;
    if (!file.ok) throw file.error;
    t.deepEqual(file.value.position, { index: APPLIED.index, term: APPLIED.term });
    t.is(progress.at(-1), rows.length);
    t.true(index > APPLIED.index);

    const second = await openDiskStateStore({
      engine,
      directory: path.join(root, 'second'),
      fatal: unexpected,
    });
    await written(second, batchOf(1000, { old: 'content' }));
    const source = {
      bytes: file.value.bytes,
      read: (offset: number, bytes: number, done: Done<Buffer>) =>
        store.read(file.value.id, offset, bytes, done),
    };
    const outcome = await restored(second, source, file.value);
    t.true(outcome.ok);
    t.deepEqual(await contentOf(second), { rows, applied: APPLIED });
    await Promise.all([first.close(), second.close(), store.close()]);
    const again = await openDiskStateStore({
      engine,
      directory: path.join(root, 'second'),
      fatal: unexpected,
    });
    t.deepEqual(again.recovered, APPLIED);
    t.deepEqual(await contentOf(again), { rows, applied: APPLIED });
    await again.close();
  }));

test('a state that nothing was applied to', async (t) => {
  const store = await storeInMemory();
  const file = await madeOf(await stateOf([], NOTHING_APPLIED), store, PLAIN);
  const state = await stateOf(rowsOf(3, 3));
  t.true((await restored(state, sourceOf(await bytesOf(store, file)), file, PLAIN)).ok);
  t.deepEqual(await contentOf(state), { rows: [], applied: NOTHING_APPLIED });
});

test('a damaged snapshot touches nothing, wherever it is damaged', async (t) => {
  const bytes = await sample(rowsOf(2000, 100), ZLIB_CODEC);
  const state = await stateOf(rowsOf(2, 2));
  const before = await contentOf(state);
  let begun = 0;
  const watched: StateStore = {
    ...state,
    beginRestore: (done) => {
      begun += 1;
      state.beginRestore(done);
    },
  };
  for (let i = 0; i < 40; i += 1) {
    const flipped = Buffer.from(bytes);
    const at = Math.floor((i / 40) * bytes.length);
    flipped.writeUInt8(flipped.readUInt8(at) ^ 0x10, at);
    t.false((await restored(watched, sourceOf(flipped))).ok);
  }
  t.is(begun, 0);
  t.deepEqual(await contentOf(state), before);
});

test('one that is damaged between its two readings is abandoned', async (t) => {
  const bytes = await sample(rowsOf(2000, 100), PLAIN);
  const state = await stateOf(rowsOf(2, 2));
  const before = await contentOf(state);
  let reads = 0;
  const source: SnapshotSource = {
    bytes: bytes.length,
    read(offset, count, done) {
      reads += offset === 0 ? 1 : 0;
      const data = Buffer.from(bytes);
      if (reads === 2) data.writeUInt8(data.readUInt8(150_000) ^ 1, 150_000);
      sourceOf(data).read(offset, count, done);
    },
  };
  const outcome = await restored(state, source, undefined, PLAIN);
  t.true(!outcome.ok && outcome.error.fault === 'damaged');
  t.deepEqual(await contentOf(state), before);
  // And the state can be written and restored again.
  await written(state, { ...batchOf(900, { x: 'y' }), applied: { ...APPLIED, index: 900 } });
  t.true((await restored(state, sourceOf(bytes), undefined, PLAIN)).ok);
});

test('a sound snapshot under the name of another one is refused', async (t) => {
  const store = await storeInMemory();
  const one = await madeOf(await stateOf(rowsOf(5, 5)), store, PLAIN);
  const two = await madeOf(await stateOf(rowsOf(6, 5)), store, PLAIN);
  const state = await stateOf([]);
  const source = sourceOf(await bytesOf(store, one));
  const outcome = await restored(state, source, two, PLAIN);
  t.true(!outcome.ok && /not the one its name says/.test(outcome.error.message));
  const later = { ...one, position: { ...one.position, index: one.position.index + 1 } };
  t.false((await restored(state, source, later, PLAIN)).ok);
  t.true((await restored(state, source, one, PLAIN)).ok);
});

test('making and restoring can be cancelled, and leave nothing behind', async (t) => {
  const disk = memorySnapshotDisk();
  const store = await storeInMemory(disk);
  const state = await stateOf(rowsOf(3000, 100));
  const outcome = await new Promise<Outcome<SnapshotFile>>((resolve) => {
    const making = makeSnapshot(
      {
        state,
        store,
        codec: PLAIN,
        clusterId: 'c',
        nodeId: 'n',
        createdAtMs: 0,
        progress: () => making.cancel(),
      },
      resolve,
    );
  });
  t.true(!outcome.ok && outcome.error.fault === 'cancelled');
  t.is(disk.files.size, 0);
  const bytes = await sample(rowsOf(3000, 100), PLAIN);
  const other = await stateOf(rowsOf(1, 1));
  let looks = 0;
  const cancelled = await restored(other, sourceOf(bytes), undefined, PLAIN, () => (looks += 1) > 12);
  t.true(!cancelled.ok && cancelled.error.fault === 'cancelled');
  t.is((await scanOf(other)).entries.length, 1);
});

test('making rests behind each block, and a cancel ends the rest', async (t) => {
  const disk = memorySnapshotDisk();
  const store = await storeInMemory(disk);
  const state = await stateOf(rowsOf(3000, 100));
  let cancel = (): void => undefined;
  let rested = 0;
  const make = (rest: (next: () => void) => void): Promise<Outcome<SnapshotFile>> =>
    new Promise((resolve) => {
      const made = { state, store, codec: PLAIN, clusterId: 'c', nodeId: 'n', createdAtMs: 0, rest };
      const making = makeSnapshot(made, resolve);
      cancel = () => making.cancel();
    });
  const whole = await make((next) => {
    rested += 1;
    setImmediate(next);
  });
  t.true(whole.ok && rested > 4);
  let late: (() => void) | undefined;
  const cancelled = await make((next) => {
    late = next;
    setImmediate(() => cancel());
  });
  t.true(!cancelled.ok && cancelled.error.fault === 'cancelled');
  t.is(disk.files.size, 1);
  // The rest's own end comes too late, and does nothing.
  late?.();
  t.is((await scanOf(state)).entries.length, 3000);
});

test('a state that is closed while a snapshot of it is made is asked nothing more', async (t) => {
  for (let blocks = 1; blocks <= 6; blocks += 1) {
    const disk = memorySnapshotDisk();
    const store = await storeInMemory(disk);
    const state = await stateOf(rowsOf(3000, 100));
    let left = blocks;
    const outcome = await new Promise<Outcome<SnapshotFile>>((resolve) => {
      const making = makeSnapshot(
        {
          state,
          store: {
            create() {
              const writer = store.create();
              return {
                ...writer,
                get bytes() {
                  return writer.bytes;
                },
                // In the middle of a write, as a stop comes.
                append(data, done) {
                  left -= 1;
                  writer.append(data, (written) => {
                    if (left === 0) {
                      making.cancel();
                      void state.close();
                    }
                    done(written);
                  });
                },
              };
            },
          },
          codec: PLAIN,
          clusterId: 'c',
          nodeId: 'n',
          createdAtMs: 0,
        },
        resolve,
      );
    });
    t.true(outcome.ok || outcome.error.fault === 'cancelled');
    t.is(disk.files.size, outcome.ok ? 1 : 0);
  }
});

test('a snapshot that cannot be written is reported and removed, and the next one succeeds', async (t) => {
  const disk = memorySnapshotDisk();
  const store = await storeInMemory(disk);
  const state = await stateOf(rowsOf(3000, 100));
  const outcome = await new Promise<Outcome<SnapshotFile>>((resolve) =>
    makeSnapshot(
      {
        state,
        store,
        codec: PLAIN,
        clusterId: 'c',
        nodeId: 'n',
        createdAtMs: 0,
        progress: ({ fileBytes }) => {
          if (fileBytes > 100_000) disk.writeFault = 'no space left on device';
        },
      },
      resolve,
    ),
  );
  t.true(!outcome.ok && outcome.error.fault === 'io' && /no space/.test(outcome.error.message));
  t.is(disk.files.size, 0);
  disk.writeFault = undefined;
  const file = await madeOf(state, store, PLAIN);
  t.deepEqual(store.list(), [file]);
});
