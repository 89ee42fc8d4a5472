/** What an operator sees of changes that can't be made, that are lost half-way, and of nodes that were given up. */

import { rmSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { kv } from '../cli/kv.js';
import { Links } from '../soak/links.js';
import type { Cluster } from './cluster.js';
import { startCluster } from './cluster.js';

const SETTLE_MS = 20_000;

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

type Ask = (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object, at?: string) => Promise<Answer>;

/** Asks the leader, or another node. */
function asker(cluster: Cluster): Ask {
  return async (method, path, body, at) =>
    cluster.http.call(cluster.url(at ?? (await cluster.leader())), method, path, body, 8_000);
}

async function isReachable(cluster: Cluster, ask: Ask, id: string, wanted: boolean): Promise<void> {
  await cluster.waitFor(
    `${id} is ${wanted ? '' : 'not '}reachable`,
    async () => {
      const members = (await ask('GET', '/cluster/members')).body['members'] as Record<string, unknown>[];
      return members.find((member) => member['id'] === id)?.['reachable'] === wanted;
    },
    SETTLE_MS,
  );
}

function isConflict(t: ExecutionContext, { status, body }: Answer, detail: RegExp): void {
  t.is(status, 409);
  t.is(body['code'], 'membership-conflict');
  t.is(body['outcome'], 'not-applied');
  t.regex(String(body['detail']), detail);
}

/** The processes' own lines, not those of a logger. */
function complaints(cluster: Cluster, id: string): readonly string[] {
  return cluster.logs(id).filter((line) => line.startsWith('kv-server: '));
}

test.serial(
  'a change that can not be made is refused with the reason; one that is lost half-way names who is missing, and ends when they return',
  async (t) => {
    t.timeout(120_000);
    const links = new Links();
    t.teardown(() => links.close());
    const cluster = await startCluster(t, { raftAddress: (id, bound) => links.open(id, bound) });
    const ask = asker(cluster);
    const leader = await cluster.leader();
    const [first = '', second = ''] = cluster.ids.filter((id) => id !== leader);

    isConflict(
      t,
      await ask('DELETE', '/cluster/members/n9'),
      /^there is no member n9; the members are n1, n2, n3/,
    );
    const stranger = { id: 'n9', raft: '127.0.0.1:1', rpc: '127.0.0.1:1', http: '127.0.0.1:1' };
    isConflict(t, await ask('POST', '/cluster/members', stranger), /^n9 does not answer at 127\.0\.0\.1:1/);

    links.cut(second);
    await isReachable(cluster, ask, second, false);
    const noQuorum = new RegExp(
      `^no majority of the voters before and after the change answers: ${second} missing; bring them back first`,
    );
    isConflict(t, await ask('DELETE', `/cluster/members/${first}`), noQuorum);
    const said = await kv(t, cluster.url(leader), ['members', 'remove', first]);
    t.is(said.code, 1);
    t.regex(said.stderr, new RegExp(`${second} missing; bring them back first`));
    // The old leader goes on.
    isConflict(
      t,
      await ask('POST', '/cluster/transfer', { to: second }),
      new RegExp(`^${second} did not take over in time; it may be down`),
    );
    t.is(await cluster.leader(), leader);
    t.is((await cluster.http.set(cluster.url(first), 'k', 'v')).status, 200);
    links.heal();
    await isReachable(cluster, ask, second, true);

    // The leader does not know yet, so it begins the change.
    links.cut(first);
    const removal = ask('DELETE', `/cluster/members/${second}`, undefined, leader);
    for (const id of [leader, second]) {
      await cluster.waitFor(
        `${id} says who is missing`,
        async () => {
          const { waitingFor } = (await ask('GET', '/cluster/status', undefined, id)).body;
          return waitingFor === `majorities of the voters before and after the change; ${first} missing`;
        },
        SETTLE_MS,
      );
    }
    t.true([202, 503, 504].includes((await removal).status), 'nobody says that it is done');
    links.heal();
    t.is(await cluster.exitCode(second, SETTLE_MS), 0);
    t.true(
      cluster.logs(second).some((line) => line.includes(`${second} was removed from the cluster and stops`)),
    );
    await cluster.waitFor(
      'the change is over',
      async () => (await ask('GET', '/cluster/members', undefined, first)).body['waitingFor'] === null,
      SETTLE_MS,
    );
    t.is((await cluster.http.get(cluster.url(first), 'k')).body['value'], 'v');

    // Its file alone does not bring it back: that would overrule whoever removed it.
    rmSync(cluster.dataDir(second), { recursive: true });
    cluster.start(second);
    t.is(await cluster.exitCode(second, SETTLE_MS), 2);
    t.is(complaints(cluster, second).length, 1);
    t.regex(
      complaints(cluster, second)[0] ?? '',
      new RegExp(
        `${second} was removed from the cluster; to take it in, name the rpc addresses of members in cluster.join`,
      ),
    );
    await cluster.addNode(second, [leader, first]);
    cluster.start(second);
    await cluster.ready([second]);
    t.is((await cluster.http.get(cluster.url(second), 'k')).body['value'], 'v');
  },
);

test.serial('a node that is killed before it had its first entry joins all the same', async (t) => {
  t.timeout(60_000);
  const cluster = await startCluster(t, { nodes: 1 });
  const ask = asker(cluster);
  t.is((await cluster.http.set(cluster.url('n1'), 'k', 'v')).status, 200);
  // Where nothing listens, no entry arrives.
  await cluster.addNode('n2', ['n1'], { advertisedAddr: '127.0.0.1:1' });
  cluster.start('n2');
  await cluster.waitFor(
    'n2 is a member, of which only the cluster knows',
    () => cluster.logs('n2').some((line) => line.includes('joined the cluster')),
    SETTLE_MS,
  );
  await cluster.kill9('n2');
  t.false((await ask('GET', '/cluster/members')).body['members'] === undefined);
  await cluster.addNode('n2', ['n1']);
  await cluster.restart('n2');
  await cluster.waitFor(
    'n2 votes',
    async () => {
      const members = (await ask('GET', '/cluster/members')).body['members'] as Record<string, unknown>[];
      return members.find((member) => member['id'] === 'n2')?.['voter'] === true;
    },
    SETTLE_MS,
  );
  t.is((await cluster.http.get(cluster.url('n2'), 'k')).body['value'], 'v');
  const table = await kv(t, cluster.url('n1'), ['members', 'list']);
  for (const head of ['role', 'match index', 'lag bytes', 'last contact', 'snapshot', 'version']) {
    t.true(table.stdout.toString().includes(head), head);
  }
  t.regex(table.stdout.toString(), /n2.*follower.*yes.*0\.1\.0/);
});
