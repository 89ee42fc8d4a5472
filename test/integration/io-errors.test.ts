/** Writes and syncs that fail, and power that is cut, on real processes under load. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type { DiskRule } from '../faults/disk-shim.js';
import { ShimmedDisk, compileShim } from '../faults/disk-shim.js';
import type { Cluster } from './cluster.js';
import { startCluster } from './cluster.js';
import type { Load } from './load.js';
import { loadFaults, startLoad } from './load.js';

/** A snapshot whenever there is something new, so that the state is synced, too. */
const BUSY_SNAPSHOTS = { snapshotInterval: 0.2, snapshotThreshold: 1024, trailingLog: 8192, maxSnapshots: 2 };

interface Shimmed {
  readonly cluster: Cluster;
  readonly disks: ReadonlyMap<string, ShimmedDisk>;
  readonly load: Load;
}

/** Undefined where the machine has no compiler. */
async function shimmedCluster(t: ExecutionContext, nodes = 3): Promise<Shimmed | undefined> {
  const folder = mkdtempSync(path.join(tmpdir(), 'quorumkv-shim-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const library = compileShim(folder);
  if (library === undefined) {
    t.pass('skipped: there is no cc to compile the faulty disk with');
    return undefined;
  }
  const ids = Array.from({ length: nodes }, (_, at) => `n${at + 1}`);
  const disks = new Map(ids.map((id) => [id, new ShimmedDisk(path.join(folder, id), library)]));
  const env = (id: string): Readonly<Record<string, string>> => disks.get(id)!.env;
  const cluster = await startCluster(t, { nodes, env, raft: BUSY_SNAPSHOTS });
  return { cluster, disks, load: startLoad(t, cluster, 4) };
}

async function more(cluster: Cluster, load: Load, count: number): Promise<void> {
  const before = load.acknowledged();
  await cluster.waitFor('the load is on its way', () => load.acknowledged() >= before + count, 30_000);
}

const ROWS: readonly (DiskRule & { readonly victim: 'leader' | 'follower' })[] = [
  { call: 'sync', error: 'EIO', part: '/log/', victim: 'leader' },
  { call: 'write', error: 'ENOSPC', part: '/log/', victim: 'leader' },
  { call: 'write', error: 'EIO', part: '/state/', victim: 'follower' },
  { call: 'sync', error: 'ENOSPC', part: '/state/', victim: 'follower' },
  { call: 'sync', error: 'EIO', part: '/watermark.', victim: 'follower' },
];

test.serial(
  'a write or a sync that fails ends its node with exit code 3 and one line; no second try, and nothing is lost',
  async (t) => {
    t.timeout(300_000);
    const shimmed = await shimmedCluster(t);
    if (shimmed === undefined) return;
    const { cluster, disks, load } = shimmed;
    for (const rule of ROWS) {
      const what = `${rule.error} at a ${rule.call} in ${rule.part}`;
      const leader = await cluster.leader();
      const victim = rule.victim === 'leader' ? leader : cluster.ids.find((id) => id !== leader)!;
      const disk = disks.get(victim)!;
      await more(cluster, load, 20);
      disk.fail(rule);
      t.is(await cluster.exitCode(victim, 60_000), 3, what);
      const complaints = cluster.logs(victim).filter((line) => line.startsWith('kv-server: '));
      t.is(complaints.length, 1, `${what}\n${complaints.join('\n')}`);
      t.deepEqual(disk.failures().length, 1, `${what}: ${disk.failures().join()}`);
      // The others go on.
      await more(cluster, load, 20);
      disk.heal();
      await cluster.restart(victim);
    }
    await load.stop();
    await cluster.caughtUp();
    t.deepEqual(await loadFaults(cluster, load, 'n1', 'linearizable'), []);
    for (const id of cluster.ids) t.deepEqual(await loadFaults(cluster, load, id, 'stale'), [], id);
  },
);

test.serial('a single node acknowledges nothing that a failed sync has lost', async (t) => {
  t.timeout(120_000);
  const shimmed = await shimmedCluster(t, 1);
  if (shimmed === undefined) return;
  const { cluster, disks, load } = shimmed;
  await more(cluster, load, 50);
  disks.get('n1')!.fail({ call: 'sync', error: 'EIO', part: '/log/' });
  t.is(await cluster.exitCode('n1'), 3);
  disks.get('n1')!.heal();
  await load.stop();
  await cluster.restart('n1');
  t.deepEqual(await loadFaults(cluster, load, 'n1', 'linearizable'), []);
});

test.serial('a snapshot that cannot be written is removed and reported, and the node goes on', async (t) => {
  t.timeout(120_000);
  const shimmed = await shimmedCluster(t, 1);
  if (shimmed === undefined) return;
  const { cluster, disks, load } = shimmed;
  const disk = disks.get('n1')!;
  const files = (): string[] => readdirSync(path.join(cluster.dataDir('n1'), 'snapshots'));
  for (const [call, error] of [
    ['write', 'ENOSPC'],
    ['sync', 'EIO'],
  ] as const) {
    disk.fail({ call, error, part: '/snapshots/' });
    await cluster.waitFor('a snapshot fails', () => disk.failures().length > 0, 30_000);
    await more(cluster, load, 20);
    disk.heal();
    await cluster.waitFor(
      'the part is removed',
      () => !files().some((name) => name.endsWith('.part')),
      30_000,
    );
  }
  await load.stop();
  t.true(cluster.isRunning('n1'));
  t.true(cluster.logs('n1').some((line) => /snapshot/.test(line) && /"level":[45]0/.test(line)));
  t.deepEqual(await loadFaults(cluster, load, 'n1', 'linearizable'), []);
});

test.serial('what was acknowledged survives a power cut of all nodes, again and again', async (t) => {
  t.timeout(300_000);
  const shimmed = await shimmedCluster(t);
  if (shimmed === undefined) return;
  const { cluster, disks, load } = shimmed;
  const terms = new Map<string, number>();
  let lost = 0;
  for (let round = 0; round < 3; round += 1) {
    await more(cluster, load, 150);
    for (const id of cluster.ids) terms.set(id, await cluster.statusNumber(id, 'term'));
    await Promise.all(cluster.ids.map((id) => cluster.kill9(id)));
    for (const [id, disk] of disks) lost += disk.cutPower(cluster.dataDir(id)).bytes;
    cluster.startAll();
    await cluster.ready(undefined, 60_000);
    for (const id of cluster.ids) t.true((await cluster.statusNumber(id, 'term')) >= terms.get(id)!);
  }
  await load.stop();
  await cluster.caughtUp();
  t.true(lost > 0, 'something was not synced, or the cut takes nothing away');
  t.deepEqual(await loadFaults(cluster, load, 'n1', 'linearizable'), []);
  for (const id of cluster.ids) t.deepEqual(await loadFaults(cluster, load, id, 'stale'), [], id);
});
