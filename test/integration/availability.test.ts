import test from 'ava';
import { startCluster, type Cluster } from './cluster.js';

/** `http.requestTimeout` in these tests; an answer must be there by then, give or take a busy machine. */
const REQUEST_TIMEOUT_MS = 2_000;
const SLACK_MS = 1_000;

async function writesAndReads(cluster: Cluster, id: string, key: string): Promise<boolean> {
  const { status } = await cluster.http.set(cluster.url(id), key, id);
  if (status !== 200) return false;
  const { body } = await cluster.http.get(cluster.url(id), key);
  return body['value'] === id;
}

for (const victim of ['the leader', 'a follower'] as const) {
  test.serial(`with ${victim} of three down, writes and reads go on through both others`, async (t) => {
    t.timeout(60_000);
    const cluster = await startCluster(t);
    const leader = await cluster.leader();
    const down = victim === 'the leader' ? leader : cluster.ids.find((id) => id !== leader)!;
    t.is((await cluster.http.set(cluster.url(down), 'before', 'kept')).status, 200);
    await cluster.kill9(down);

    const others = cluster.ids.filter((id) => id !== down);
    for (const id of others) {
      await cluster.waitFor(`${id} serves`, () => writesAndReads(cluster, id, `through/${id}`), 10_000);
      t.is((await cluster.http.get(cluster.url(id), 'before')).body['value'], 'kept');
    }

    await cluster.restart(down);
    await cluster.caughtUp();
    for (const id of others) {
      t.is((await cluster.http.get(cluster.url(down), `through/${id}`, 'stale')).body['value'], id);
    }
  });
}

test.serial(
  'with two of three down, requests fail in time, stale reads answer, and all heals by itself',
  async (t) => {
    t.timeout(60_000);
    const cluster = await startCluster(t, { settings: { http: { requestTimeout: '2s' } } });
    const left = await cluster.leader();
    const url = cluster.url(left);
    t.is((await cluster.http.set(url, 'key', 'old')).status, 200);
    const others = cluster.ids.filter((id) => id !== left);
    await Promise.all(others.map((id) => cluster.kill9(id)));

    // A write that came in before the leader noticed may be appended, and is answered 504: unknown.
    await cluster.waitFor(
      'the node knows that it has no majority',
      async () => (await cluster.http.set(url, 'key2', 'new')).status === 503,
      10_000,
    );
    const refused = [
      await cluster.http.set(url, 'key', 'new'),
      await cluster.http.call(url, 'DELETE', '/delete?key=key'),
      await cluster.http.get(url, 'key'),
    ];
    for (const { status, body, tookMs } of refused) {
      t.is(status, 503, JSON.stringify(body));
      t.true(body['code'] === 'no-leader' || body['code'] === 'no-quorum', JSON.stringify(body));
      t.is(body['outcome'], 'not-applied');
      t.true(tookMs < REQUEST_TIMEOUT_MS + SLACK_MS, `took ${tookMs} ms`);
    }
    const stale = await cluster.http.get(url, 'key', 'stale');
    t.is(stale.status, 200);
    t.is(stale.body['value'], 'old');

    for (const id of others) cluster.start(id);
    await cluster.ready();
    for (const id of cluster.ids) {
      await cluster.waitFor(`${id} serves`, () => writesAndReads(cluster, id, `after/${id}`), 10_000);
    }
    // Refused as certainly not applied: so it must not be there.
    t.is((await cluster.http.get(url, 'key')).body['value'], 'old');
  },
);
