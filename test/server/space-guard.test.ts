import test from 'ava';
import type { Command } from '../../kv/command.js';
import { DATA_BYTES_ROW, encodeCount } from '../../kv/rows.js';
import type { SpaceGuardOptions } from '../../server/space-guard.js';
import { SpaceGuard } from '../../server/space-guard.js';

interface Disk {
  dataBytes: number;
  free: () => Promise<number>;
  isStopped: boolean;
  readonly unknown: unknown[];
}

/** `look` lets a look at the space pass. */
async function guardOf(
  limits: SpaceGuardOptions['limits'],
  start: Partial<Disk> = {},
): Promise<{ guard: SpaceGuard; disk: Disk; look: () => Promise<void> }> {
  const disk: Disk = {
    dataBytes: 0,
    free: () => Promise.resolve(1000),
    isStopped: false,
    unknown: [],
    ...start,
  };
  let tick: () => void = () => undefined;
  const guard = new SpaceGuard({
    node: {
      get isStopped() {
        return disk.isStopped;
      },
    },
    store: {
      getMany(keys, done) {
        if (disk.isStopped) throw new Error('the store is closed');
        const found = keys.map((key) => (key === DATA_BYTES_ROW ? encodeCount(disk.dataBytes) : undefined));
        setImmediate(() => done(found));
      },
    },
    clock: {
      every(_, task) {
        tick = task;
        return () => (tick = () => undefined);
      },
    },
    limits,
    diskFreeBytes: () => disk.free(),
    unknown: (error) => void disk.unknown.push(error),
  });
  guard.start();
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  await settled();
  const look = async (): Promise<void> => {
    tick();
    await settled();
  };
  return { guard, disk, look };
}

const set = (bytes: number): Command => ({ op: 'set', key: 'k', value: Buffer.alloc(bytes - 1) });
const makesRoom: readonly Command[] = [
  { op: 'delete', key: 'k' },
  { op: 'delete-prefix', prefix: 'k' },
  { op: 'txn', checks: [{ key: 'k', revision: 1 }], ops: [{ op: 'delete', key: 'k' }] },
  { op: 'expire-keys', keys: [{ key: 'k', revision: 1 }] },
  { op: 'expire-sessions', clientIds: [1] },
  { op: 'register', ttlMs: 1, sessionsMax: 1 },
];

test('the quota is what keys and values may take together', async (t) => {
  const { guard, disk, look } = await guardOf({ dataBytes: 100, freeBytes: 0 }, { dataBytes: 90 });
  t.false(guard.refuses(set(10)));
  t.true(guard.refuses(set(11)));
  const ops = [
    { op: 'delete', key: 'x' },
    { op: 'set', key: 'k', value: Buffer.alloc(4) },
    { op: 'set', key: 'k', value: Buffer.alloc(5) },
  ] as const;
  t.true(guard.refuses({ op: 'txn', checks: [], ops }));
  t.false(guard.refuses({ op: 'txn', checks: [], ops: ops.slice(0, 2) }));
  disk.dataBytes = 200;
  await look();
  t.true(guard.refuses(set(1)));
  for (const command of makesRoom) t.false(guard.refuses(command), command.op);
  disk.dataBytes = 99;
  await look();
  t.false(guard.refuses(set(1)));
});

test('the reserve is what stays free on the disk', async (t) => {
  let free = 50;
  const { guard, look } = await guardOf(
    { dataBytes: 0, freeBytes: 50 },
    { free: () => Promise.resolve(free) },
  );
  t.false(guard.refuses(set(1000)));
  free = 49;
  await look();
  t.true(guard.refuses(set(1)));
  for (const command of makesRoom) t.false(guard.refuses(command), command.op);
  free = 51;
  await look();
  t.false(guard.refuses(set(1)));
});

test('without limits nothing is asked; an unknown disk is told of once and refuses nothing', async (t) => {
  const none = await guardOf(
    { dataBytes: 0, freeBytes: 0 },
    { free: () => Promise.reject(new Error('asked')) },
  );
  t.deepEqual(none.disk.unknown, []);
  const { guard, disk, look } = await guardOf(
    { dataBytes: 0, freeBytes: 50 },
    { free: () => Promise.reject(new Error('ENOSYS')) },
  );
  await look();
  t.is(disk.unknown.length, 1);
  t.false(guard.refuses(set(1)));
});

test('once the node has stopped, its store is not asked any more', async (t) => {
  const { disk, look } = await guardOf({ dataBytes: 1, freeBytes: 0 });
  disk.isStopped = true;
  await t.notThrowsAsync(look());
});
