/**
 * Random schedules: loss, duplicates, reordering, crashes with what was not synced, partitions, slow disks, proposals,
 * reads, transfers. The driver checks every invariant and every read's freshness after each step. A failure names its
 * seed; `replay(seed)` runs it again.
 */

import test from 'ava';
import type { NodeId } from '../../membership/configuration.js';
import { electorate, memberOf } from '../../membership/configuration.js';
import { majority } from '../../membership/quorum.js';
import type { Setup } from './toy-node.js';
import { Cluster } from './cluster.js';
import { prng, text } from './tools.js';

const SEEDS = 250;
const STEPS = 400;

function setupOf(seed: number, random: () => number): Setup {
  const ids = ['a', 'b', 'c', 'd', 'e'].slice(0, [1, 3, 3, 3, 5, 5][Math.floor(random() * 6)]);
  const small = random() < 0.5;
  return {
    ids,
    learners: ids.length === 5 && random() < 0.3 ? ['e'] : [],
    spares: random() < 0.5 ? ['x', 'y', 'z'] : [],
    seed,
    raft: {
      // A small cache sends old entries over the disk, a small window stops and goes.
      entryCacheBytes: small ? 0 : 65536,
      window: small ? { appendsMax: 2, bytesMax: 300 } : { appendsMax: 8, bytesMax: 8192 },
      appendBytesMax: small ? 100 : 1024,
      applyBytesMax: small ? 80 : 4096,
      uncommittedBytesMax: small ? 600 : 65536,
    },
  };
}

/** What may happen next, each with its weight. */
function deedsOf(
  cluster: Cluster,
  random: () => number,
  lossy: number,
): readonly (readonly [number, () => void])[] {
  const ids = [...cluster.nodes.keys()];
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const any = (): NodeId => pick(ids);
  const leader = (): NodeId => cluster.leader?.id ?? any();
  const someone = (): NodeId => (random() < 0.9 ? leader() : any());
  let commands = 0;
  return [
    [30, () => cluster.tick(any())],
    [
      60,
      () => {
        const { length } = cluster.network;
        const at = random() < 0.8 ? 0 : Math.floor(random() * length);
        if (random() < lossy) cluster.network.splice(at, 1);
        else cluster.deliver(at, random() < lossy);
      },
    ],
    [
      10,
      () =>
        cluster.propose(
          someone(),
          ...Array.from({ length: 1 + Math.floor(random() * 2) }, () => `c${(commands += 1)}`),
        ),
    ],
    [6, () => cluster.read(someone())],
    [12, () => cluster.sync(any())],
    [2, () => cluster.holdDisk(any(), random() < 0.6)],
    [
      1,
      () => {
        const tail = random() < 0.5 ? 0 : Infinity;
        const id = any();
        const isSpare = others(cluster, id);
        const [written, stateLost] = [random() < 0.5, random() < 0.1 && isSpare];
        const entriesLost = random() < 0.1 && isSpare ? Math.floor(random() * 5) : 0;
        const appliedLost = Math.floor(random() * 4);
        cluster.crash(id, { written, appliedLost, stateLost, entriesLost, tail });
      },
    ],
    [
      2,
      () => {
        const id = any();
        const { base, applied } = cluster.state(id).log;
        if (!cluster.node(id).up || applied === 0 || applied < base.index) return;
        cluster.snapshot(id, base.index + Math.floor(random() * (applied - base.index + 1)));
      },
    ],
    [3, () => cluster.sendAgain(any())],
    [2, () => cluster.restart(any())],
    [1, () => cluster.partition(ids.filter(() => random() < 0.5))],
    [1, () => cluster.cut(any(), any())],
    [1.5, () => cluster.heal()],
    [3, () => changeSomething(cluster, random)],
    [
      0.5,
      () => {
        const node = cluster.node(leader());
        node.raft.transfer(any());
        cluster.pump(node);
      },
    ],
    [
      0.5,
      () => {
        const node = cluster.node(leader());
        node.raft.unreachable(any());
        cluster.pump(node);
      },
    ],
    [
      5,
      () =>
        cluster.turn(() => {
          for (let i = 0; i < 6; i += 1) cluster.deliver(Math.floor(random() * cluster.network.length));
        }),
    ],
    // A burst without faults, so that schedules get somewhere.
    [1, () => cluster.run(3)],
  ];
}

/** Whether majorities are left that have lost nothing, without `id`: what all of one has lost is lost. */
function others(cluster: Cluster, id: NodeId): boolean {
  const isWhole = (other: NodeId): boolean => {
    const { log, lostEnd } = cluster.state(other);
    return other !== id && !log.lacksState && lostEnd === undefined;
  };
  const known = [...cluster.nodes.values()].flatMap(({ raft }) => raft.state.configurations);
  return known.every(({ configuration }) =>
    electorate(configuration).every((ids) => ids.filter(isWhole).length >= majority(ids.length)),
  );
}

/** A change of the members, asked of whoever leads. */
function changeSomething(cluster: Cluster, random: () => number): void {
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const { leader } = cluster;
  if (leader === undefined) return;
  const { members } = leader.raft.configuration;
  const isMember = (id: NodeId): boolean => members.some((member) => member.id === id);
  const outsider = pick([...cluster.nodes.keys()].filter((id) => !isMember(id)));
  const learner = pick(members.filter(({ voter }) => !voter));
  const roll = random();
  if (roll < 0.3 && outsider !== undefined) {
    // A disk that left may come back only as another one.
    if (cluster.add(leader.id, outsider) === 'departed') cluster.wipe(outsider);
  } else if (roll < 0.6 && learner !== undefined)
    cluster.change(leader.id, { type: 'promote', id: learner.id });
  else if (roll < 0.9 && members.length > 2)
    cluster.change(leader.id, { type: 'remove', id: pick(members)?.id ?? leader.id });
  else {
    const id = pick(members)?.id ?? leader.id;
    const addresses = { raft: `${random()}:1`, rpc: `${id}:2`, http: `${id}:3` };
    cluster.change(leader.id, { type: 'readdress', id, addresses });
  }
}

/** Everything works again: the cluster has to converge, serve, and miss nothing that it acknowledged. */
function healed(cluster: Cluster): void {
  cluster.heal();
  for (const { id } of cluster.nodes.values()) {
    cluster.restart(id);
    cluster.holdDisk(id, false);
  }
  cluster.run(150);
  const lead = cluster.leader;
  if (lead === undefined) throw new Error('nobody leads after everything healed');
  cluster.run(20);
  if (cluster.leader !== lead) throw new Error('leadership moves though nothing is wrong');
  const last = cluster.propose(lead.id, 'the last');
  if (typeof last === 'string') throw new Error(`a healthy leader refuses: ${last}`);
  const read = cluster.read(lead.id);
  cluster.run(10);
  if (typeof read === 'string' || cluster.reads.get(read)?.state !== 'answered')
    throw new Error('a read hangs');
  for (const asked of cluster.reads.values())
    if (asked.state === 'asked' || asked.state === 'confirmed') throw new Error('an old read hangs');
  for (const node of cluster.nodes.values()) {
    // Who is no member is told nothing.
    if (memberOf(lead.raft.configuration, node.id) === undefined) continue;
    if (node.applied.length !== last.firstIndex)
      throw new Error(`${node.id} applied ${node.applied.length} only`);
    for (const entry of cluster.acknowledged) {
      const there = node.applied[entry.index - 1];
      if (there?.term !== entry.term || text(there) !== text(entry))
        throw new Error(`${node.id} lacks the acknowledged entry ${entry.index}`);
    }
    if (node.refusals.length > 0) throw new Error(`correct nodes refuse each other: ${node.refusals[0]!}`);
  }
}

interface Tally {
  acknowledged: number;
  answered: number;
  failed: number;
}

function replay(seed: number): Tally {
  const random = prng(seed);
  const cluster = new Cluster(setupOf(seed, random));
  const deeds = deedsOf(cluster, random, random() * 0.2);
  const total = deeds.reduce((sum, [weight]) => sum + weight, 0);
  cluster.run(25);
  for (let step = 0; step < STEPS; step += 1) {
    let at = random() * total;
    deeds.find(([weight]) => (at -= weight) < 0)?.[1]();
  }
  healed(cluster);
  const reads = [...cluster.reads.values()];
  return {
    acknowledged: cluster.acknowledged.length,
    answered: reads.filter((read) => read.state === 'answered').length,
    failed: reads.filter((read) => read.state === 'failed').length,
  };
}

test('random schedules keep every invariant, and converge once all is well', (t) => {
  const sum: Tally = { acknowledged: 0, answered: 0, failed: 0 };
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    try {
      const tally = replay(seed);
      sum.acknowledged += tally.acknowledged;
      sum.answered += tally.answered;
      sum.failed += tally.failed;
    } catch (error) {
      t.log(error);
      t.fail(`seed ${seed}: ${String(error)}`);
      return;
    }
  }
  t.log(sum);
  // The schedules do get somewhere.
  t.true(sum.acknowledged > SEEDS * 10 && sum.answered > SEEDS * 5 && sum.failed > SEEDS / 10);
});

test('the same seed gives the same run', (t) => {
  t.deepEqual(replay(7), replay(7));
});
