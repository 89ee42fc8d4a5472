import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { KEY_COUNT_ROW } from '../../kv/rows.js';
import { openDatabase } from '../../persistence/database.js';
import { putRow } from '../../persistence/disk/state-rows.js';
import { loadEngine } from '../../persistence/load-engine.js';
import type { Cluster } from './cluster.js';
import { startCluster } from './cluster.js';

/** Snapshots and compaction all the time. */
const BUSY = { interval: 0.05 };

async function fill(cluster: Cluster, from: number, to: number): Promise<void> {
  const [url] = cluster.urls;
  for (let at = from; at < to; at += 1) {
    const { status } = await cluster.http.set(url!, `key${String(at).padStart(4, '0')}`, `value${at}`);
    if (status !== 200) throw new Error(`a write is answered ${status}`);
  }
}

/** The keys that a stale read of `id` does not answer with their values. */
async function missing(cluster: Cluster, id: string, count: number): Promise<string[]> {
  const wrong: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const key = `key${String(at).padStart(4, '0')}`;
    const { body } = await cluster.http.get(cluster.url(id), key, 'stale');
    if (body['value'] !== `value${at}`) wrong.push(`${key}: ${JSON.stringify(body)}`);
  }
  return wrong;
}

/** Flips a byte in the middle of each table file. */
function damageTables(directory: string): number {
  const tables = readdirSync(directory).filter((name) => /\.(sst|ldb)$/.test(name));
  for (const name of tables) {
    const file = path.join(directory, name);
    const bytes = readFileSync(file);
    const at = Math.floor(statSync(file).size / 3);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
    writeFileSync(file, bytes);
  }
  return tables.length;
}

const settings = (
  more: Readonly<Record<string, unknown>> = {},
): { raft: Readonly<Record<string, unknown>> } => ({
  raft: { snapshotInterval: BUSY.interval, snapshotThreshold: 1024, trailingLog: 4096, ...more },
});

test.serial('a state that is damaged or gone is made anew, from a snapshot or by the leader', async (t) => {
  t.timeout(90_000);
  const cluster = await startCluster(t, { raft: settings().raft });
  await fill(cluster, 0, 200);
  const victim = cluster.ids.find((id) => id !== 'n1')!;
  const state = path.join(cluster.folder, victim, 'state');
  const damages: Readonly<Record<string, () => void>> = {
    'the directory is deleted': () => rmSync(state, { recursive: true }),
    'the state and all snapshots are deleted': () => {
      rmSync(state, { recursive: true });
      rmSync(path.join(cluster.folder, victim, 'snapshots'), { recursive: true });
    },
    'a table is damaged': () => {
      const [generation] = readdirSync(state);
      t.true(damageTables(path.join(state, generation!)) > 0);
    },
    'its CURRENT is damaged': () => {
      const [generation] = readdirSync(state);
      writeFileSync(path.join(state, generation!, 'CURRENT'), 'nothing');
    },
  };
  let count = 200;
  for (const [what, damage] of Object.entries(damages)) {
    t.is(await cluster.stop(victim), 0);
    damage();
    await cluster.restart(victim);
    t.deepEqual(await missing(cluster, victim, count), [], what);
    await fill(cluster, count, count + 20);
    count += 20;
    await cluster.caughtUp();
  }
  t.false(existsSync(path.join(cluster.folder, victim, 'state.damaged')));
  t.deepEqual(await missing(cluster, victim, count), []);
});

test.serial('a state that was found damaged while running is made anew at the next start', async (t) => {
  t.timeout(60_000);
  const cluster = await startCluster(t, { raft: settings().raft });
  await fill(cluster, 0, 100);
  t.is(await cluster.stop('n2'), 0);
  const mark = path.join(cluster.folder, 'n2', 'state.unusable');
  for (const kind of ['damaged', 'diverged']) {
    writeFileSync(mark, JSON.stringify({ kind, what: 'the row 6b is damaged' }));
    await cluster.restart('n2');
    t.true(cluster.logs('n2').some((line) => line.includes('the row 6b is damaged')));
    t.false(existsSync(mark));
    t.deepEqual(await missing(cluster, 'n2', 100), []);
    t.is(await cluster.stop('n2'), 0);
  }
  writeFileSync(mark, JSON.stringify({ kind: 'disputed', what: 'the states of the nodes differ' }));
  cluster.start('n2');
  await cluster.waitFor('n2 ends', () => !cluster.isRunning('n2'), 10_000);
  t.true(cluster.logs('n2').some((line) => /^kv-server: .*the states of the nodes differ/.test(line)));
});

test.serial('a snapshot can be asked for, and the status tells of it', async (t) => {
  const cluster = await startCluster(t, { raft: { trailingLog: 4096 } });
  await fill(cluster, 0, 20);
  const url = cluster.url(await cluster.leader());
  const { status, body } = await cluster.http.call(url, 'POST', '/snapshot');
  t.is(status, 200);
  t.like(body, { term: await cluster.statusNumber(await cluster.leader(), 'term') });
  const { node, ...taken } = body;
  t.is(url, cluster.url(String(node)));
  const told = await cluster.http.call(url, 'GET', '/status');
  t.deepEqual(told.body['snapshots'], [taken]);
  const wrong = await cluster.http.call(url, 'POST', '/snapshot?now=1');
  t.is(wrong.status, 400);
});

/** Gives a row of a state that nobody has open a content that nothing can be made of, though its checksum is right. */
async function makeAbsurd(dataDir: string): Promise<void> {
  const [generation] = readdirSync(path.join(dataDir, 'state'));
  const { database } = await openDatabase(
    {
      engine: await loadEngine('rocksdb'),
      ...{ directory: path.join(dataDir, 'state', generation!), gap: 'refuse', compression: true },
      ...{ cacheBytes: 2 ** 20, writeBufferBytes: 2 ** 20 },
      fatal: (error) => {
        throw error;
      },
    },
    (_, done) => done(undefined),
  );
  await new Promise<void>((done) => database.write([putRow([KEY_COUNT_ROW, Buffer.alloc(1)])], true, done));
  await database.close();
}

test.serial(
  'a state that nothing can be applied to is made anew, but not where nobody can go on',
  async (t) => {
    t.timeout(120_000);
    const cluster = await startCluster(t, { raft: settings().raft });
    await fill(cluster, 0, 50);
    t.is(await cluster.stop('n3'), 0);
    await makeAbsurd(cluster.dataDir('n3'));
    cluster.start('n3');
    t.is(await cluster.exitCode('n3'), 70);
    cluster.start('n3');
    t.is(await cluster.exitCode('n3'), 2);
    t.regex(
      cluster.logs('n3').at(-1)!,
      /a majority of the nodes has applied it.*its next start makes it anew/,
    );
    await cluster.restart('n3');
    t.deepEqual(await missing(cluster, 'n3', 50), []);

    for (const id of cluster.ids) await cluster.kill9(id);
    for (const id of cluster.ids) await makeAbsurd(cluster.dataDir(id));
    for (const round of [1, 2]) {
      cluster.startAll();
      for (const id of cluster.ids) {
        t.is(await cluster.exitCode(id), 70, `${id} in round ${round}`);
        t.regex(readFileSync(path.join(cluster.dataDir(id), 'state.unusable'), 'utf8'), /suspect/);
        t.false(existsSync(path.join(cluster.dataDir(id), 'state.damaged')));
      }
    }
  },
);
