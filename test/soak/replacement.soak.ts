/** Every node of a cluster is replaced by another one, on another address and under another id, while clients write. */

import test from 'ava';
import { KVClient } from 'quorumkv-client';
import type { Cluster } from '../integration/cluster.js';
import { startCluster } from '../integration/cluster.js';

const SETTLE_MS = 30_000;
const WRITERS = 4;

async function isTrue(
  cluster: Cluster,
  client: KVClient,
  what: string,
  ids: readonly string[],
): Promise<void> {
  await cluster.waitFor(
    what,
    async () => {
      const { members, waitingFor } = await client.cluster.status();
      if (waitingFor !== null) return false;
      const voters = members.filter(({ voter }) => voter).map(({ id }) => id);
      return voters.join() === [...ids].sort().join() && members.length === ids.length;
    },
    SETTLE_MS,
  );
}

/** Registers that are written one number after the other, each read back; ends with what was acknowledged last. */
async function write(client: KVClient, key: string, until: { readonly over: boolean }): Promise<number> {
  let last = 0;
  while (!until.over) {
    await client.set(key, String(last + 1));
    last += 1;
    const read = await client.get(key);
    if (read !== String(last)) throw new Error(`${key} is ${read ?? 'missing'}, not ${last}`);
  }
  return last;
}

test('from 3 to 5 to 3, every original node replaced under load: no operation fails, nothing is lost', async (t) => {
  t.timeout(180_000);
  const cluster = await startCluster(t);
  const operator = new KVClient({ endpoints: cluster.urls });
  t.teardown(() => operator.close());
  const until = { over: false };
  t.teardown(() => (until.over = true));
  // Clients know the first nodes alone.
  const clients = Array.from(
    { length: WRITERS },
    () => new KVClient({ endpoints: cluster.urls.slice(0, 3) }),
  );
  t.teardown(() => Promise.all(clients.map((client) => client.close())));
  const writing = Promise.all(clients.map((client, at) => write(client, `register-${at}`, until)));
  // A failure is told at the end, by awaiting it; until then it must not end the process.
  writing.catch(() => undefined);

  for (const id of ['n4', 'n5']) {
    await cluster.addNode(id, ['n1', 'n2', 'n3']);
    cluster.start(id);
  }
  await isTrue(cluster, operator, 'five vote', ['n1', 'n2', 'n3', 'n4', 'n5']);
  let voters = ['n1', 'n2', 'n3', 'n4', 'n5'];
  for (const [gone, next] of [
    ['n1', 'n6'],
    ['n2', undefined],
    ['n3', undefined],
  ] as const) {
    if (next !== undefined) {
      await cluster.addNode(next, ['n4', 'n5']);
      cluster.start(next);
      voters = [...voters, next];
      await isTrue(cluster, operator, `${next} votes`, voters);
    }
    await operator.cluster.removeMember(gone);
    voters = voters.filter((id) => id !== gone);
    await isTrue(cluster, operator, `${gone} is gone`, voters);
    t.is(await cluster.exitCode(gone, SETTLE_MS), 0);
  }
  until.over = true;
  const last = await writing;
  const reader = new KVClient({ endpoints: ['n4', 'n5', 'n6'].map((id) => cluster.url(id)) });
  t.teardown(() => reader.close());
  for (const [at, count] of last.entries()) {
    t.true(count > 0);
    t.is(await reader.get(`register-${at}`), String(count));
  }
});
