/** Every node of a cluster is replaced by another one, on another address and under another id, while clients write. */

import test from 'ava';
import { KVClient } from 'quorumkv-client';
import { checkHistory } from '../linearizability/checker.js';
import type { Operation } from '../linearizability/history.js';
import type { Cluster } from './cluster.js';
import { startCluster } from './cluster.js';

const SETTLE_MS = 30_000;
const CLIENTS = 4;
const SHARED_KEYS = ['a', 'b'];
/** Operations between two changes, at least: each change meets clients at work. */
const BETWEEN_CHANGES = 40;

/** What the clients did, and what they were told. */
interface Work {
  readonly history: Operation[];
  /** Keys that were written once each, and acknowledged. */
  readonly acknowledged: Set<string>;
  over: boolean;
}

async function record(
  work: Work,
  client: string,
  key: string,
  action: Operation['action'],
  perform: () => Promise<Operation['outcome']>,
): Promise<void> {
  const invokeMs = performance.now();
  // A failure ends the test: there must be none.
  const outcome = await perform();
  work.history.push({ client, key, action, outcome, invokeMs, returnMs: performance.now() });
}

function read(work: Work, name: string, client: KVClient, key: string): Promise<void> {
  return record(work, name, key, { type: 'get' }, async () => {
    const entry = await client.getEntry(key);
    if (entry === undefined) return { type: 'missing' };
    return { type: 'value', value: entry.value, revision: Number(entry.revision) };
  });
}

/** Writes to keys that all clients share, reads them, and leaves a key of its own behind each time. */
async function run(work: Work, name: string, client: KVClient): Promise<void> {
  for (let number = 0; !work.over; number += 1) {
    const key = SHARED_KEYS[number % SHARED_KEYS.length]!;
    const value = `${name}-${number}`;
    await record(work, name, key, { type: 'set', value }, async () => {
      const { revision } = await client.set(key, value);
      return { type: 'written', revision: Number(revision) };
    });
    await read(work, name, client, key);
    await client.set(`own/${value}`, value, { ifAbsent: true });
    work.acknowledged.add(`own/${value}`);
  }
}

async function areVoters(cluster: Cluster, operator: KVClient, ids: readonly string[]): Promise<void> {
  await cluster.waitFor(
    `the members are the voters ${ids.join(', ')}`,
    async () => {
      const { members, waitingFor } = await operator.cluster.status();
      if (waitingFor !== null) return false;
      const voters = members.filter(({ voter }) => voter).map(({ id }) => id);
      return voters.join() === [...ids].sort().join() && members.length === ids.length;
    },
    SETTLE_MS,
  );
}

async function add(cluster: Cluster, id: string, join: readonly string[]): Promise<void> {
  await cluster.addNode(id, join);
  cluster.start(id);
}

test.serial(
  'from 3 to 5 to 3, every original node replaced under load: no operation fails, nothing is lost',
  async (t) => {
    t.timeout(180_000);
    const cluster = await startCluster(t);
    // Clients and operator know the first nodes alone; all of these will be gone.
    const endpoints = cluster.urls;
    const operator = new KVClient({ endpoints });
    t.teardown(() => operator.close());
    const work: Work = { history: [], acknowledged: new Set(), over: false };
    t.teardown(() => (work.over = true));
    const clients = Array.from({ length: CLIENTS }, () => new KVClient({ endpoints }));
    t.teardown(() => Promise.all(clients.map((client) => client.close())));
    const working = Promise.all(clients.map((client, at) => run(work, `c${at}`, client)));
    const fault: { error?: unknown } = {};
    working.catch((error: unknown) => (fault.error = error));
    const progress = (): Promise<true> => {
      const before = work.history.length;
      return cluster.waitFor(
        'clients get answers',
        () => fault.error !== undefined || work.history.length >= before + BETWEEN_CHANGES,
        SETTLE_MS,
      );
    };

    await progress();
    for (const id of ['n4', 'n5']) await add(cluster, id, ['n1', 'n2', 'n3']);
    let voters = ['n1', 'n2', 'n3', 'n4', 'n5'];
    await areVoters(cluster, operator, voters);
    for (const gone of ['n1', 'n2', 'n3']) {
      await progress();
      if (gone === 'n1') {
        await add(cluster, 'n6', ['n4', 'n5']);
        voters = [...voters, 'n6'];
        await areVoters(cluster, operator, voters);
      }
      await operator.cluster.removeMember(gone);
      voters = voters.filter((id) => id !== gone);
      await areVoters(cluster, operator, voters);
      t.is(await cluster.exitCode(gone, SETTLE_MS), 0, cluster.logs(gone).slice(-8).join('\n'));
      t.true(
        cluster.logs(gone).some((line) => line.includes(`${gone} was removed from the cluster and stops`)),
      );
    }
    await progress();
    work.over = true;
    await working;

    const reader = new KVClient({ endpoints: ['n4', 'n5', 'n6'].map((id) => cluster.url(id)) });
    t.teardown(() => reader.close());
    for (const key of SHARED_KEYS) await read(work, 'reader', reader, key);
    const verdict = checkHistory(work.history);
    t.is(verdict.type, 'linearizable', verdict.type === 'linearizable' ? '' : verdict.report);
    const found = new Set<string>();
    for await (const { key } of reader.list({ prefix: 'own/' })) found.add(key);
    t.deepEqual(
      [...work.acknowledged].filter((key) => !found.has(key)),
      [],
    );
    t.log(`${work.history.length} operations on shared keys, ${found.size} keys written once each`);
  },
);
