/** Clusters that change while they run, as processes of their own. */

import { cpSync, readdirSync, rmSync } from 'node:fs';
import test from 'ava';
import { KVClient } from 'quorumkv-client';
import type { Cluster } from './cluster.js';
import { startCluster } from './cluster.js';

const SETTLE_MS = 20_000;

function votersOf(client: KVClient): Promise<readonly string[]> {
  return client.cluster.members().then((members) => members.filter(({ voter }) => voter).map(({ id }) => id));
}

/** Until they alone vote: in a joint configuration those of before do so, too. */
async function haveVotes(cluster: Cluster, client: KVClient, ids: readonly string[]): Promise<void> {
  await cluster.waitFor(
    `the voters are ${ids.join(', ')}`,
    async () => {
      const { waitingFor } = await client.cluster.status();
      return waitingFor === null && (await votersOf(client)).join() === [...ids].sort().join();
    },
    SETTLE_MS,
  );
}

async function remove(cluster: Cluster, client: KVClient, id: string): Promise<void> {
  await client.cluster.removeMember(id);
  await cluster.waitFor(
    `${id} is removed`,
    async () => !(await client.cluster.members()).some((member) => member.id === id),
    SETTLE_MS,
  );
}

/** Writes keys once each, one after the other; resolves with those that were acknowledged. A failure rejects: there must be none. */
async function keepWriting(client: KVClient, until: { readonly over: boolean }): Promise<readonly string[]> {
  const keys: string[] = [];
  while (!until.over) {
    const key = `written/${keys.length}`;
    await client.set(key, key, { ifAbsent: true });
    keys.push(key);
  }
  return keys;
}

async function missing(client: KVClient, keys: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  for await (const { key } of client.list({ prefix: 'written/' })) found.add(key);
  return keys.filter((key) => !found.has(key));
}

test.serial(
  'a cluster of one grows to three and shrinks back; who is removed ends with exit code 0',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 1 });
    for (const id of ['n2', 'n3']) await cluster.addNode(id, ['n1']);
    const client = new KVClient({ endpoints: cluster.urls });
    t.teardown(() => client.close());
    await client.set('k', 'before');
    const until = { over: false };
    t.teardown(() => (until.over = true));
    const writing = keepWriting(client, until);
    // Told where it is awaited; until then it must not end the process.
    writing.catch(() => undefined);
    for (const id of ['n2', 'n3']) cluster.start(id);
    await haveVotes(cluster, client, ['n1', 'n2', 'n3']);
    await cluster.ready();
    t.is((await cluster.http.get(cluster.url('n3'), 'k')).body['value'], 'before');
    for (const id of ['n1', 'n3']) {
      await remove(cluster, client, id);
      t.is(await cluster.exitCode(id), 0);
      t.true(cluster.logs(id).some((line) => line.includes(`${id} was removed from the cluster and stops`)));
    }
    t.deepEqual(await votersOf(client), ['n2']);
    await client.set('k', 'after');
    t.is(await client.get('k'), 'after');
    until.over = true;
    t.deepEqual(await missing(client, await writing), []);

    cluster.start('n3');
    t.is(await cluster.exitCode('n3'), 0, 'a removed node that is started again ends again');
    t.true(cluster.logs('n3').some((line) => line.includes('n3 was removed from the cluster and stops')));
    t.is(await votersOf(client).then((ids) => ids.join()), 'n2');
  },
);

test.serial('a wiped disk rejoins by itself, under its old id', async (t) => {
  const cluster = await startCluster(t);
  const client = new KVClient({ endpoints: cluster.urls });
  t.teardown(() => client.close());
  await client.set('k', 'v');
  await cluster.kill9('n2');
  rmSync(cluster.dataDir('n2'), { recursive: true });
  await cluster.restart('n2');
  await haveVotes(cluster, client, ['n1', 'n2', 'n3']);
  t.is((await cluster.http.get(cluster.url('n2'), 'k', 'stale')).body['value'], 'v');
  // It counts again: with it and one other there is a majority.
  await cluster.kill9((await cluster.leader()) === 'n1' ? 'n1' : 'n3');
  await client.set('k', 'w');
  t.is(await client.get('k'), 'w');
});

test.serial('a copy of a data directory is set aside, and its node rejoins with another disk', async (t) => {
  const cluster = await startCluster(t);
  const client = new KVClient({ endpoints: cluster.urls });
  t.teardown(() => client.close());
  await client.set('k', 'v');
  await cluster.stop('n3');
  const copy = `${cluster.dataDir('n3')}-copy`;
  cpSync(cluster.dataDir('n3'), copy, { recursive: true });
  await client.set('k', 'w');
  rmSync(cluster.dataDir('n3'), { recursive: true });
  cpSync(copy, cluster.dataDir('n3'), { recursive: true });
  await cluster.restart('n3');
  t.true(readdirSync(cluster.dataDir('n3')).includes('set-aside-1'));
  await haveVotes(cluster, client, ['n1', 'n2', 'n3']);
  t.is((await cluster.http.get(cluster.url('n3'), 'k')).body['value'], 'w');
  // The same by the operator's word, where nothing tells that it is a copy.
  await cluster.stop('n3');
  cluster.start('n3', ['--rejoin']);
  await cluster.ready(['n3']);
  t.true(readdirSync(cluster.dataDir('n3')).includes('set-aside-2'));
  await haveVotes(cluster, client, ['n1', 'n2', 'n3']);
});

test.serial(
  'one survivor becomes the whole cluster, at revisions above all that were handed out',
  async (t) => {
    const cluster = await startCluster(t);
    const before = new KVClient({ endpoints: cluster.urls });
    const { revision } = await before.set('k', 'v');
    await before.close();
    await cluster.caughtUp();
    for (const id of cluster.ids) await cluster.kill9(id);
    cluster.start('n2', ['--force-new-cluster']);
    t.is(await cluster.exitCode('n2', 60_000), 0);
    cluster.start('n2');
    await cluster.ready(['n2'], 60_000);
    const client = new KVClient({ endpoints: cluster.url('n2') });
    t.teardown(() => client.close());
    t.is(await client.get('k'), 'v');
    const after = await client.set('k', 'w');
    t.true(BigInt(after.revision) > BigInt(revision) + 99_999n);
    // The others are strangers to it, until they come back without what they had.
    cluster.start('n1', ['--rejoin']);
    await haveVotes(cluster, client, ['n1', 'n2']);
    t.pass();
  },
);

test.serial(
  'a cluster all of whose addresses changed forms again, and the configuration learns them',
  async (t) => {
    const cluster = await startCluster(t);
    await cluster.http.set(cluster.url('n1'), 'k', 'v');
    for (const id of cluster.ids) await cluster.kill9(id);
    await cluster.moveAll();
    cluster.startAll();
    await cluster.ready();
    t.is((await cluster.http.get(cluster.url('n1'), 'k')).body['value'], 'v');
    await isFoundAtItsAddresses(cluster);
  },
);

test.serial(
  'a node that comes back elsewhere announces it; the files of the others need not know',
  async (t) => {
    const cluster = await startCluster(t);
    await cluster.kill9('n3');
    await cluster.move('n3');
    await cluster.restart('n3');
    await isFoundAtItsAddresses(cluster);
    t.pass();
  },
);

async function isFoundAtItsAddresses(cluster: Cluster): Promise<void> {
  const client = new KVClient({ endpoints: cluster.urls });
  const wanted = cluster.ids.map((id) => ({ id, ...cluster.addresses(id) }));
  try {
    await cluster.waitFor(
      'the configuration has the new addresses',
      async () => {
        const members = await client.cluster.members();
        return (
          JSON.stringify(members.map(({ id, raft, rpc, http }) => ({ id, raft, rpc, http }))) ===
          JSON.stringify(wanted)
        );
      },
      SETTLE_MS,
    );
  } finally {
    await client.close();
  }
}
