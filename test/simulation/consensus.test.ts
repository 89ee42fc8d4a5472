/** The consensus rows of what must be survived: each a directed run of a simulated cluster, with its bound. */

import test from 'ava';
import { checkHistory } from '../linearizability/checker.js';
import type { Operation } from '../linearizability/history.js';
import { SimulatedCluster } from './cluster.js';
import type { Host } from './host.js';
import { TICK_MS } from '../../server/raft-settings.js';
import { Random } from './random.js';
import { RAFT } from './settings.js';
import { Client } from './workload.js';

const MAX_ELECTION_MS = RAFT.electionTicks[1] * TICK_MS;
const STALL_TIMEOUT_MS = 1000;

interface Run {
  readonly cluster: SimulatedCluster;
  /** Whom the clients ask. */
  readonly asked: Host[];
  readonly history: Operation[];
  readonly clients: readonly Client[];
}

/** A cluster with a leader, and clients at work. */
async function begin(seed: number, nodes = 3, clients = 3): Promise<Run> {
  const random = new Random(seed);
  const cluster = new SimulatedCluster(nodes, random.fork());
  const history: Operation[] = [];
  const { world, network } = cluster;
  const hosts = [...cluster.hostList];
  const parts = {
    world,
    network,
    hosts,
    random: random.fork(),
    history,
    pace: { patienceMs: 2500, thinkMs: 40, leaseShare: 0.3 },
    oracle: cluster.oracle,
    fail: (error: unknown) => cluster.fail(error),
  };
  const run = {
    cluster,
    asked: hosts,
    history,
    clients: Array.from({ length: clients }, (_, at) => new Client(`c${at}`, parts)),
  };
  await until(cluster, 'a first leader', 3000, () => cluster.leader() !== undefined);
  for (const client of run.clients) client.start();
  await pass(cluster, 500);
  return run;
}

async function pass(cluster: SimulatedCluster, ms: number): Promise<void> {
  await cluster.run(cluster.world.nowMs + ms);
}

/** Resolves with the time that it took. */
async function until(
  cluster: SimulatedCluster,
  what: string,
  boundMs: number,
  done: () => boolean,
): Promise<number> {
  const startMs = cluster.world.nowMs;
  if (!(await cluster.run(startMs + boundMs, done))) {
    throw new Error(`${what}: not within ${boundMs} ms\n${cluster.journal.lines().slice(-60).join('\n')}`);
  }
  return cluster.world.nowMs - startMs;
}

/** The clients stop, and what they were told is linearizable. */
function finish({ history, clients }: Run): void {
  for (const client of clients) client.stop();
  for (const client of clients) client.finish();
  const verdict = checkHistory(history);
  if (verdict.type !== 'linearizable') throw new Error(verdict.report);
}

function leaderOf(cluster: SimulatedCluster): Host {
  const leader = cluster.leader();
  if (leader === undefined) throw new Error('there is no leader');
  return leader;
}

/** As clients do with a node that does not answer. */
function avoid({ asked }: Run, host: Host): void {
  asked.splice(asked.indexOf(host), 1);
}

/** One that its followers follow. */
function anotherLeads(cluster: SimulatedCluster, old: Host): boolean {
  const now = cluster.leader();
  return now !== undefined && now !== old;
}

function terms(cluster: SimulatedCluster): number {
  return Math.max(...cluster.hostList.map(({ node }) => node?.state.term ?? 0));
}

function acknowledged(history: readonly Operation[]): number {
  return history.filter(({ outcome }) => outcome.type !== 'unknown' && outcome.type !== 'not-applied').length;
}

test('a leader whose disk stalls while its heartbeats go on is replaced within the bound, and nothing is lost', async (t) => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const run = await begin(seed);
    const { cluster } = run;
    const old = leaderOf(cluster);
    old.disk.stall(cluster.world.nowMs + 8000, false);
    avoid(run, old);
    await until(cluster, `seed ${seed}: a leader with a disk`, STALL_TIMEOUT_MS + 5 * MAX_ELECTION_MS, () =>
      anotherLeads(cluster, old),
    );
    const before = acknowledged(run.history);
    await pass(cluster, 3000);
    t.true(acknowledged(run.history) > before + 20, `seed ${seed}: the new leader serves`);
    t.true(anotherLeads(cluster, old), 'and the sick one does not take over again');
    cluster.heal();
    await pass(cluster, 8000);
    finish(run);
  }
});

test('a leader whose process stands still is replaced within five elections, and serves nothing stale on waking', async (t) => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const run = await begin(seed);
    const { cluster } = run;
    const old = leaderOf(cluster);
    old.pause(3000);
    await until(cluster, `seed ${seed}: another leader`, 5 * MAX_ELECTION_MS, () =>
      anotherLeads(cluster, old),
    );
    await pass(cluster, 4000);
    t.true(acknowledged(run.history) > 50);
    finish(run);
  }
});

test('a follower that stalls holds nobody up, stays bounded, and catches up without a restart', async (t) => {
  const run = await begin(7, 3, 5);
  const { cluster, history } = run;
  const slow = cluster.hostList.find((host) => host !== cluster.leader())!;
  const quiet = acknowledged(history);
  await pass(cluster, 3000);
  const healthy = acknowledged(history) - quiet;
  slow.pause(6000);
  avoid(run, slow);
  await pass(cluster, 2500);
  const before = acknowledged(history);
  await pass(cluster, 3000);
  t.true(acknowledged(history) - before > 0.8 * healthy, `${acknowledged(history) - before} of ${healthy}`);
  const lead = leaderOf(cluster).node!.state.current;
  if (lead.role !== 'leader') throw new Error('not a leader');
  const progress = lead.progress.get(slow.id)!;
  t.true(progress.inflightAppends <= RAFT.window.appendsMax);
  t.true(progress.inflightBytes <= RAFT.window.bytesMax + RAFT.appendBytesMax);
  const term = terms(cluster);
  slow.resume();
  await until(cluster, 'the follower catches up', 8000, () => {
    const { log } = leaderOf(cluster).node!.state;
    return slow.node!.appliedIndex >= log.commit - 5 && slow.node!.appliedIndex > 20;
  });
  t.is(terms(cluster), term, 'no election');
  finish(run);
});

test('a node that was cut off, or restarted, comes back without an election', async (t) => {
  for (const mode of ['cut off', 'restarted'] as const) {
    const run = await begin(11);
    const { cluster } = run;
    const leader = leaderOf(cluster);
    const away = cluster.hostList.find((host) => host !== leader)!;
    const term = terms(cluster);
    if (mode === 'restarted') cluster.crash(away);
    else isolate(cluster, away);
    await pass(cluster, 20 * MAX_ELECTION_MS);
    cluster.heal();
    await pass(cluster, 10 * MAX_ELECTION_MS);
    t.is(terms(cluster), term, `${mode}: the term is the same`);
    t.is(cluster.leader(), leader, `${mode}: the leader is the same`);
    finish(run);
  }
});

test('whatever single link is cut, in one direction or both, a leader that a majority reaches exists in time, and terms stay bounded', async (t) => {
  let seed = 0;
  for (const both of [true, false]) {
    for (const [a, b] of [
      ['n1', 'n2'],
      ['n2', 'n3'],
      ['n3', 'n1'],
    ] as const) {
      const run = await begin((seed += 1));
      const { cluster } = run;
      const term = terms(cluster);
      cluster.network.cut(a, b);
      if (both) cluster.network.cut(b, a);
      await pass(cluster, 10 * MAX_ELECTION_MS);
      const before = acknowledged(run.history);
      await pass(cluster, 20 * MAX_ELECTION_MS);
      t.true(acknowledged(run.history) > before + 5, `${a} - ${b}, both ${both}: writes go on`);
      t.true(terms(cluster) <= term + 12, `${a} - ${b}: ${terms(cluster) - term} terms`);
      cluster.heal();
      finish(run);
    }
  }
});

test('a bridge between two halves leads to a leader that a majority reaches, and to no split brain', async (t) => {
  const run = await begin(5, 5, 4);
  const { cluster } = run;
  const halves = [
    ['n1', 'n2'],
    ['n4', 'n5'],
  ] as const;
  for (const a of halves[0]) {
    for (const b of halves[1]) {
      cluster.network.cut(a, b);
      cluster.network.cut(b, a);
    }
  }
  await pass(cluster, 10 * MAX_ELECTION_MS);
  const before = acknowledged(run.history);
  const term = terms(cluster);
  await pass(cluster, 30 * MAX_ELECTION_MS);
  t.true(acknowledged(run.history) > before + 10, 'writes go on');
  t.true(terms(cluster) - term <= 20, `${terms(cluster) - term} terms`);
  cluster.heal();
  finish(run);
});

test('a flapping link causes at most six elections a minute', async (t) => {
  const run = await begin(3);
  const { cluster } = run;
  const leader = leaderOf(cluster);
  const flapping = cluster.hostList.find((host) => host !== leader)!;
  const term = terms(cluster);
  for (let at = 0; at < 60; at += 1) {
    isolate(cluster, flapping);
    await pass(cluster, 500);
    cluster.network.heal();
    await pass(cluster, 500);
  }
  t.true(terms(cluster) - term <= 6, `${terms(cluster) - term} elections in a minute`);
  finish(run);
});

test('leadership is handed over under load without losing or doubling anything', async (t) => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const run = await begin(seed);
    const { cluster } = run;
    for (let at = 0; at < 5; at += 1) {
      const old = leaderOf(cluster);
      const target = cluster.hostList.find((host) => host !== old)!;
      old.node!.transfer(target.id);
      await until(
        cluster,
        `seed ${seed}: the target leads`,
        2 * MAX_ELECTION_MS,
        () => cluster.leader() === target,
      );
      await pass(cluster, 300);
    }
    t.true(acknowledged(run.history) > 30);
    finish(run);
  }
});

test('after a transfer to a dead node the old leader goes on', async (t) => {
  const run = await begin(9);
  const { cluster, history } = run;
  const leader = leaderOf(cluster);
  const dead = cluster.hostList.find((host) => host !== leader)!;
  cluster.crash(dead);
  leader.node!.transfer(dead.id);
  await pass(cluster, 2 * MAX_ELECTION_MS);
  const before = acknowledged(history);
  await pass(cluster, 2000);
  t.is(cluster.leader(), leader);
  t.true(acknowledged(history) > before + 10, 'writes go on');
  cluster.heal();
  finish(run);
});

test('with no majority writes and linearizable reads fail in time; all heals without a restart', async (t) => {
  const run = await begin(4);
  const { cluster, history } = run;
  const leader = leaderOf(cluster);
  isolate(cluster, leader);
  for (const host of cluster.hostList) if (host !== leader) isolate(cluster, host);
  await pass(cluster, 3000);
  const during = history.length;
  await pass(cluster, 6000);
  t.true(history.length > during, 'everybody has an answer');
  const recent = history.slice(during).filter(({ invokeMs }) => invokeMs > cluster.world.nowMs - 5000);
  t.true(recent.every(({ outcome }) => outcome.type === 'not-applied' || outcome.type === 'unknown'));
  cluster.network.heal();
  const before = acknowledged(history);
  await pass(cluster, 5000);
  t.true(acknowledged(history) > before + 10, 'it serves again');
  finish(run);
});

function isolate(cluster: SimulatedCluster, host: Host): void {
  for (const other of cluster.hostList) {
    if (other === host) continue;
    cluster.network.cut(host.id, other.id);
    cluster.network.cut(other.id, host.id);
  }
}
