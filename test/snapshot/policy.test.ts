import test from 'ava';
import {
  HELD_LOGS_MAX,
  compactionIndex,
  heldIndexes,
  isSnapshotDue,
  snapshotsToRemove,
} from '../../snapshot/policy.js';
import { snapshotId } from '../../snapshot/identity.js';
import type { SnapshotFile } from '../../snapshot/identity.js';

const GROWTH = { thresholdBytes: 1024, lastSnapshotBytes: 0, appliedIndex: 10, lastSnapshotIndex: 0 };

test('one is due when the log has grown by the threshold', (t) => {
  t.false(isSnapshotDue({ ...GROWTH, logBytes: 1023 }));
  t.true(isSnapshotDue({ ...GROWTH, logBytes: 1024 }));
});

test('one is due when the log has grown by half of the last snapshot, if that is more', (t) => {
  t.false(isSnapshotDue({ ...GROWTH, lastSnapshotBytes: 10_000, logBytes: 4999 }));
  t.true(isSnapshotDue({ ...GROWTH, lastSnapshotBytes: 10_000, logBytes: 5000 }));
  t.false(isSnapshotDue({ ...GROWTH, lastSnapshotBytes: 100, logBytes: 1023 }));
});

test('one that would be the same as the last is not due', (t) => {
  t.false(isSnapshotDue({ ...GROWTH, lastSnapshotIndex: 10, logBytes: 1e9 }));
});

function fileAt(index: number): SnapshotFile {
  const identity = { position: { index, term: 1 }, digest: 'a'.repeat(64) };
  return { ...identity, id: snapshotId(identity), bytes: 1 };
}

test('the oldest go, but not the newest and no pinned one', (t) => {
  const files = [1, 2, 3, 4].map(fileAt);
  const ids = files.map(({ id }) => id);
  const none = (): boolean => false;
  t.deepEqual(snapshotsToRemove(files, 5, none), []);
  t.deepEqual(snapshotsToRemove(files, 2, none), ids.slice(0, 2));
  t.deepEqual(
    snapshotsToRemove(files, 2, (id) => id === ids[0]),
    [ids[1]!],
  );
  t.deepEqual(snapshotsToRemove(files, 0, none), ids.slice(0, 3));
  t.deepEqual(snapshotsToRemove([], 1, none), []);
});

/** Entries of 10 bytes. */
const LOG = {
  baseIndex: 0,
  snapshotIndex: 100,
  durableIndex: 100,
  pinnedIndexes: [],
  trailingLogBytes: 200,
  indexBehind: (end: number, bytes: number) => Math.max(0, end - Math.ceil(bytes / 10)),
};

test('the log is cut off behind the snapshot, less what trails it', (t) => {
  t.is(compactionIndex(LOG), 80);
  t.is(compactionIndex({ ...LOG, trailingLogBytes: 0 }), 100);
  t.is(compactionIndex({ ...LOG, trailingLogBytes: 2000 }), undefined);
  t.is(compactionIndex({ ...LOG, snapshotIndex: undefined }), undefined);
  t.is(compactionIndex({ ...LOG, baseIndex: 80 }), undefined);
});

test('it is cut off no further than the state is durable, nor beyond a snapshot that is being sent', (t) => {
  t.is(compactionIndex({ ...LOG, durableIndex: 30 }), 30);
  t.is(compactionIndex({ ...LOG, durableIndex: 0 }), undefined);
  t.is(compactionIndex({ ...LOG, pinnedIndexes: [90, 40] }), 40);
});

test('the log is held for a follower that answers and is in reach of it, and for no other', (t) => {
  const follower = { index: 50, bytesBehind: 300, answers: true };
  t.deepEqual(heldIndexes([follower], 20, 100), [50]);
  t.deepEqual(heldIndexes([{ ...follower, answers: false }], 20, 100), []);
  t.deepEqual(heldIndexes([follower], 51, 100), []);
  t.deepEqual(heldIndexes([{ ...follower, bytesBehind: HELD_LOGS_MAX * 100 + 1 }], 20, 100), []);
  t.is(compactionIndex({ ...LOG, pinnedIndexes: heldIndexes([follower], 20, 100) }), 50);
});
