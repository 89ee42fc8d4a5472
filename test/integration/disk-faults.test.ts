/** What befalls disks, on real processes, while clients write. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { Cluster, startCluster } from './cluster.js';
import { loadFaults, startLoad } from './load.js';
import { ServerProcess } from './server-process.js';

/** A snapshot whenever there is something new, and a log that is cut off right behind it. */
const BUSY_SNAPSHOTS = { snapshotInterval: 0.2, snapshotThreshold: 1024, trailingLog: 8192, maxSnapshots: 2 };

/** False where the machine forbids it. */
function mountSmallDisk(directory: string, mebibytes: number): boolean {
  mkdirSync(directory, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', directory], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

test.serial(
  'a full disk ends its node with exit code 3; with space again it rejoins, and nothing is lost',
  async (t) => {
    t.timeout(120_000);
    const cluster = await Cluster.create({ settings: { limits: { freeBytes: 0 } } });
    t.teardown(() => cluster.close());
    const directory = path.join(cluster.folder, 'n2');
    if (!mountSmallDisk(directory, 24)) {
      t.pass('this machine lets nobody mount a small file system');
      return;
    }
    t.teardown(() => execFileSync('umount', ['--lazy', directory]));
    cluster.startAll();
    await cluster.ready();
    const value = 'x'.repeat(64 * 1024);
    const written: string[] = [];
    for (let at = 0; cluster.isRunning('n2') && at < 2000; at += 1) {
      const { status } = await cluster.http.set(cluster.url('n1'), `big${at}`, `${at}${value}`);
      if (status === 200) written.push(`big${at}`);
    }
    t.false(cluster.isRunning('n2'));
    t.is(await cluster.exitCode('n2'), 3, cluster.logs('n2').slice(-3).join('\n'));
    const complaints = cluster.logs('n2').filter((line) => line.startsWith('kv-server: '));
    t.is(complaints.length, 1, complaints.join('\n'));
    t.regex(complaints[0]!, /No space left|ENOSPC/i);
    // The cluster goes on.
    const leader = cluster.url(await cluster.leader());
    t.is((await cluster.http.set(leader, 'behind', 'it')).status, 200);
    execFileSync('mount', ['-o', 'remount,size=512m', directory]);
    await cluster.restart('n2');
    await cluster.caughtUp();
    t.true(written.length > 100);
    for (const key of [written[0]!, written.at(-1)!, 'behind']) {
      const { status } = await cluster.http.get(cluster.url('n2'), key, 'stale');
      t.is(status, 200, key);
    }
    for (const key of written) {
      const { body } = await cluster.http.get(cluster.url('n2'), key, 'stale');
      t.is(body['value'], `${key.slice(3)}${value}`, key);
    }
  },
);

test.serial(
  'kill -9 again and again, with snapshots and compaction all the time, loses nothing',
  async (t) => {
    t.timeout(120_000);
    const cluster = await startCluster(t, { raft: BUSY_SNAPSHOTS });
    const load = startLoad(t, cluster, 8);
    const faults: readonly ((id: string) => void)[] = [
      () => undefined,
      (id) => rmSync(path.join(cluster.folder, id, 'snapshots'), { recursive: true, force: true }),
      (id) => rmSync(path.join(cluster.folder, id, 'state'), { recursive: true, force: true }),
    ];
    for (const [round, fault] of [...faults, ...faults].entries()) {
      const victim = cluster.ids[round % cluster.ids.length]!;
      const before = load.acknowledged();
      await cluster.waitFor('the load is on its way', () => load.acknowledged() > before + 100, 20_000);
      await cluster.kill9(victim);
      fault(victim);
      await cluster.restart(victim);
    }
    await load.stop();
    await cluster.caughtUp();
    t.deepEqual(await loadFaults(cluster, load, 'n1', 'linearizable'), []);
    for (const id of cluster.ids) {
      t.deepEqual(await loadFaults(cluster, load, id, 'stale'), [], `as ${id} itself has it`);
      t.true((await cluster.statusNumber(id, 'firstLogIndex')) > 1, `${id} has compacted its log`);
      const files = readdirSync(path.join(cluster.folder, id, 'snapshots'));
      t.true(files.filter((name) => name.endsWith('.snap')).length <= 3, files.join());
    }
  },
);

test.serial('a node whose log is gone or damaged forgets its promises: it rejoins by itself', async (t) => {
  t.timeout(90_000);
  const cluster = await startCluster(t);
  const damages: Readonly<Record<string, (dataDir: string) => void>> = {
    'the log is deleted': (dataDir) => rmSync(path.join(dataDir, 'log'), { recursive: true }),
    'its CURRENT is damaged': (dataDir) => writeFileSync(path.join(dataDir, 'log', 'CURRENT'), 'nothing'),
    'the watermark is deleted': (dataDir) => {
      for (const slot of [0, 1]) rmSync(path.join(dataDir, `watermark.${slot}`));
    },
  };
  for (const [at, [what, damage]] of Object.entries(damages).entries()) {
    t.is((await cluster.http.set(cluster.url('n1'), `key${at}`, what)).status, 200);
    await cluster.kill9('n3');
    damage(cluster.dataDir('n3'));
    await cluster.restart('n3');
    t.true(existsSync(path.join(cluster.dataDir('n3'), `set-aside-${at + 1}`, 'identity.json')), what);
    const url = cluster.url(await cluster.leader());
    await cluster.waitFor('n3 is a voter again', () => isVoter(cluster, url, 'n3'), 20_000);
    t.is((await cluster.http.get(cluster.url('n3'), `key${at}`, 'stale')).body['value'], what);
  }
});

test.serial(
  'a log that has lost its end is filled up again, under the promises that its node made',
  async (t) => {
    t.timeout(90_000);
    const cluster = await startCluster(t);
    const newest = (dataDir: string): string => {
      const logs = readdirSync(path.join(dataDir, 'log')).filter((name) => /^\d+\.log$/.test(name));
      return path.join(dataDir, 'log', logs.sort().at(-1)!);
    };
    const damages: Readonly<Record<string, (file: string) => void>> = {
      'its end is torn': (file) => truncateSync(file, statSync(file).size - 20),
      'a half of it is missing': (file) => truncateSync(file, Math.floor(statSync(file).size / 2)),
    };
    for (const [what, damage] of Object.entries(damages)) {
      for (let at = 0; at < 20; at += 1) {
        t.is((await cluster.http.set(cluster.url('n1'), `key${at}`, `${what} ${at}`)).status, 200);
      }
      await cluster.caughtUp();
      t.is(await cluster.stop('n3'), 0);
      damage(newest(cluster.dataDir('n3')));
      await cluster.restart('n3');
      const lines = cluster.logs('n3');
      t.true(
        lines.some((line) => /was durable in it.*is filled up/.test(line)),
        `${what}\n${lines.join('\n')}`,
      );
      t.false(readdirSync(cluster.dataDir('n3')).some((name) => name.startsWith('set-aside')));
      for (let at = 0; at < 20; at += 1) {
        const { body } = await cluster.http.get(cluster.url('n3'), `key${at}`, 'stale');
        t.is(body['value'], `${what} ${at}`);
      }
    }
  },
);

async function isVoter(cluster: Cluster, url: string, id: string): Promise<boolean> {
  const { body } = await cluster.http.call(url, 'GET', '/cluster/status');
  const members = body['members'] as readonly { readonly id: string; readonly voter: boolean }[];
  return members.some((member) => member.id === id && member.voter);
}

test.serial('what is damaged is not set aside under a process that uses it', async (t) => {
  const cluster = await startCluster(t);
  // Another process, with the same data.
  writeFileSync(path.join(cluster.dataDir('n3'), 'log', 'CURRENT'), 'nothing');
  const second = new ServerProcess(path.join(cluster.folder, 'n3.yaml'));
  t.is(await second.ended(), 2);
  t.true(second.lines.some((line) => /^kv-server: .* is in use by a running process/.test(line)));
  t.true(cluster.isRunning('n3'));
  t.true(existsSync(path.join(cluster.dataDir('n3'), 'identity.json')));
});
