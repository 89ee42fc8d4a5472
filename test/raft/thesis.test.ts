/** The core against what Ongaro's thesis adds to the paper: each test names the section it checks. */

import test from 'ava';
import type { HeartbeatResponse, Message } from '../../raft/messages.js';
import { Cluster } from './cluster.js';
import { OPTIONS } from './tools.js';

const [MIN, MAX] = OPTIONS.electionTicks;

function led(setup?: ConstructorParameters<typeof Cluster>[0]): Cluster {
  const cluster = new Cluster(setup);
  cluster.elect('a');
  cluster.run(3);
  return cluster;
}

function transfer(cluster: Cluster, from: string, to: string): string {
  const node = cluster.node(from);
  const taken = node.raft.transfer(to);
  cluster.pump(node);
  return taken;
}

const stateOf = (cluster: Cluster, read: number | string): string | undefined =>
  typeof read === 'string' ? read : cluster.reads.get(read)?.state;

// ---- §3.10: leadership transfer

test('thesis §3.10: leadership goes over at once, in the next term', (t) => {
  const cluster = led();
  const { term } = cluster.state('a');
  cluster.propose('a', 'x');
  cluster.run(2);
  t.is(transfer(cluster, 'a', 'b'), 'taken');
  cluster.settle();
  t.is(cluster.leader?.id, 'b');
  t.is(cluster.state('b').term, term + 1);
  cluster.run(2);
  t.is(cluster.node('a').raft.leader, 'b');
});

test('thesis §3.10: a lagging target is brought up to date first, and no proposal is taken meanwhile', (t) => {
  const cluster = led();
  cluster.cut('a', 'b');
  cluster.propose('a', 'x', 'y');
  cluster.run(2);
  t.is(transfer(cluster, 'a', 'b'), 'taken');
  t.is(cluster.propose('a', 'z'), 'transferring');
  cluster.settle();
  t.false(cluster.sent.some((m) => m.type === 'timeoutNow'));
  cluster.heal();
  cluster.run(6);
  t.is(cluster.leader?.id, 'b');
  t.is(cluster.node('b').applied.length, cluster.state('b').log.lastIndex);
});

test('thesis §3.10: a transfer that fails ends after one election time-out, and the leader goes on', (t) => {
  const cluster = led();
  cluster.lose = (m) => m.type === 'timeoutNow';
  transfer(cluster, 'a', 'b');
  cluster.run(MAX - 1);
  t.is(cluster.propose('a', 'x'), 'transferring');
  cluster.run(1);
  t.not(cluster.propose('a', 'y'), 'transferring');
  t.is(cluster.leader?.id, 'a');
});

test('thesis §3.10: who can’t take over is refused', (t) => {
  const cluster = led({ ids: ['a', 'b', 'c', 'd'], learners: ['d'] });
  t.is(transfer(cluster, 'a', 'a'), 'not-a-voter');
  t.is(transfer(cluster, 'a', 'd'), 'not-a-voter');
  t.is(transfer(cluster, 'a', 'x'), 'not-a-voter');
  t.is(transfer(cluster, 'b', 'a'), 'not-leader');
  t.is(cluster.state('a').current.role, 'leader');
});

test('thesis §3.10: only the leader can ask for a campaign, and only a voter campaigns', (t) => {
  const cluster = led({ ids: ['a', 'b', 'c', 'd'], learners: ['d'] });
  const { term } = cluster.state('a');
  cluster.step({ type: 'timeoutNow', from: 'c', to: 'b', term });
  cluster.step({ type: 'timeoutNow', from: 'a', to: 'b', term: term - 1 });
  cluster.step({ type: 'timeoutNow', from: 'a', to: 'd', term });
  for (const id of ['b', 'd']) t.like(cluster.state(id), { term, current: { role: 'follower' } });
});

// ---- §4.2.3: disruptive servers

test('thesis §4.2.3: whoever hears of a leader ignores elections, the term included', (t) => {
  const cluster = led();
  const { term } = cluster.state('a');
  for (const to of ['a', 'b']) {
    const last = { lastIndex: 99, lastTerm: term + 4 };
    cluster.step({ type: 'requestVote', from: 'c', to, term: term + 5, ...last, transfer: false });
    t.like(cluster.sent.at(-1), { type: 'requestVoteResponse', granted: false, term });
    cluster.step({ type: 'preVote', from: 'c', to, term: term + 5, ...last });
    t.like(cluster.sent.at(-1), { type: 'preVoteResponse', granted: false, term });
    t.is(cluster.state(to).term, term);
  }
  t.is(cluster.leader?.id, 'a');
});

test('thesis §4.2.3: loyalty ends with the shortest election time-out', (t) => {
  const cluster = led();
  const { term } = cluster.state('b');
  cluster.node('b').luck = 0.999;
  cluster.run(2);
  cluster.lose = () => true;
  cluster.network.length = 0;
  const ask = { type: 'preVote', from: 'c', to: 'b', term: term + 1, lastIndex: 99, lastTerm: term } as const;
  const heard = cluster.state('b').leaderTick!;
  cluster.tick('b', MIN - 1 - (cluster.state('b').now - heard));
  cluster.step(ask);
  t.like(cluster.sent.at(-1), { granted: false });
  cluster.tick('b');
  cluster.step(ask);
  t.like(cluster.sent.at(-1), { granted: true, term: term + 1 });
});

test('thesis §4.2.3, §6.4.1: news of a later term does not end the loyalty that a lease counts on', (t) => {
  const cluster = led();
  const { term, log } = cluster.state('b');
  cluster.lose = () => true;
  const last = { lastIndex: log.lastIndex, lastTerm: term };
  const ask = { type: 'requestVote', from: 'c', to: 'b', term: term + 1, ...last } as const;
  // c campaigned while the leader was silent; its late answer to an old request comes before its own.
  cluster.step({ type: 'requestVoteResponse', from: 'c', to: 'b', term: term + 1, granted: false });
  t.is(cluster.state('b').term, term + 1);
  cluster.step({ ...ask, transfer: false });
  t.like(cluster.sent.at(-1), { type: 'requestVoteResponse', granted: false });
  cluster.step({ type: 'preVote', from: 'c', to: 'b', term: term + 2, ...last });
  t.like(cluster.sent.at(-1), { type: 'preVoteResponse', granted: false });
  cluster.step({ ...ask, transfer: true });
  t.like(cluster.sent.at(-1), { granted: true }, 'the leader itself asked for this election');
});

test('thesis §4.2.3: a node that comes back after a partition disturbs nobody', (t) => {
  const cluster = led();
  cluster.partition(['a', 'b'], ['c']);
  cluster.propose('a', 'x');
  cluster.run(10 * MAX);
  const { term } = cluster.state('a');
  cluster.heal();
  cluster.run(2 * MAX);
  t.is(cluster.leader?.id, 'a');
  t.is(cluster.state('a').term, term);
  t.is(cluster.node('c').applied.length, cluster.node('a').applied.length);
});

// ---- §6.2: check-quorum

test('thesis §6.2: a leader that no majority answers steps down after one election time-out', (t) => {
  const cluster = led({ ids: ['a', 'b', 'c', 'd', 'e'] });
  const { term } = cluster.state('a');
  cluster.partition(['a', 'b'], ['c'], ['d'], ['e']);
  cluster.run(MAX - 1);
  t.is(cluster.state('a').current.role, 'leader');
  const read = cluster.read('a');
  cluster.run(3);
  t.is(cluster.state('a').current.role, 'follower');
  t.is(cluster.node('a').raft.leader, undefined);
  t.is(cluster.state('a').term, term);
  t.is(stateOf(cluster, read), 'failed');
  t.is(cluster.propose('a', 'x'), 'not-leader');
});

test('thesis §6.2: a majority is enough, a minority may be silent', (t) => {
  const cluster = led({ ids: ['a', 'b', 'c', 'd', 'e'] });
  cluster.crash('d');
  cluster.crash('e');
  cluster.run(10 * MAX);
  t.is(cluster.leader?.id, 'a');
});

test('thesis §6.2: learners make no quorum', (t) => {
  const cluster = led({ ids: ['a', 'b', 'c', 'd', 'e'], learners: ['d', 'e'] });
  cluster.crash('b');
  cluster.crash('c');
  const read = cluster.read('a');
  const { commit } = cluster.state('a').log;
  cluster.propose('a', 'x');
  cluster.run(MAX - 4);
  t.is(stateOf(cluster, read), 'asked');
  t.is(cluster.state('a').log.commit, commit);
  cluster.run(8);
  t.is(cluster.leader, undefined);
  cluster.run(10 * MAX);
  t.true(cluster.sent.every((m) => m.type !== 'preVote' || (m.from !== 'd' && m.from !== 'e')));
});

// ---- §6.4: read index

test('thesis §6.4: one round of heartbeats answers every read that waited for it', (t) => {
  const cluster = led();
  const { length } = cluster.sent;
  const reads = [cluster.read('a')];
  reads.push(cluster.read('a'), cluster.read('a'));
  t.is(
    cluster.sent.slice(length).filter((m) => m.type === 'heartbeat').length,
    2,
    'the first read starts a round',
  );
  cluster.settle();
  for (const read of reads) t.is(stateOf(cluster, read), 'answered');
  t.is(
    cluster.sent.slice(length).filter((m) => m.type === 'heartbeat').length,
    4,
    'the others share the next one',
  );
});

test('thesis §6.4: a late answer of an earlier round confirms nothing', (t) => {
  const cluster = led();
  cluster.read('a');
  cluster.hold = (m) => m.type === 'heartbeatResponse';
  cluster.settle();
  const late = cluster.network.filter((m): m is HeartbeatResponse => m.type === 'heartbeatResponse');
  t.is(late.length, 2);
  cluster.network.length = 0;
  // From now on a is alone, and the others go on without it.
  cluster.lose = (m) => m.from === 'a' || m.to === 'a';
  const read = cluster.read('a');
  cluster.tick('a', OPTIONS.heartbeatTicks);
  for (const message of late) cluster.step(message);
  t.is(stateOf(cluster, 1), 'answered', 'the first read was asked before');
  t.is(stateOf(cluster, read), 'asked');
  for (const message of late) cluster.step({ ...message, round: message.round + 1000 });
  t.is(stateOf(cluster, read), 'asked', 'a round that was never started');
});

test('thesis §6.4: an answer to a later round confirms the reads of earlier ones', (t) => {
  const cluster = led();
  cluster.lose = (m) => m.type === 'heartbeat';
  const read = cluster.read('a');
  cluster.settle();
  t.is(stateOf(cluster, read), 'asked');
  cluster.lose = () => false;
  cluster.run(OPTIONS.heartbeatTicks + 1);
  t.is(stateOf(cluster, read), 'answered');
});

test('thesis §6.4: a deposed leader confirms no read, a new one sees every write', (t) => {
  const cluster = led();
  cluster.partition(['a'], ['b', 'c']);
  for (let i = 0; i < 5 * MAX && cluster.leader?.id === 'a'; i += 1) {
    // a hangs: it gets no tick, so it does not step down.
    for (const id of ['b', 'c']) cluster.tick(id);
    cluster.settle();
  }
  const next = cluster.leader!.id;
  cluster.propose(next, 'x');
  cluster.settle();
  const stale = cluster.read('a');
  t.not(cluster.state('a').term, cluster.state(next).term);
  cluster.heal();
  cluster.run(2);
  t.is(stateOf(cluster, stale), 'failed');
  const fresh = cluster.read(next);
  cluster.settle();
  t.is(stateOf(cluster, fresh), 'answered');
});

test('§8, thesis §6.4: reads wait until an entry of the term is committed', (t) => {
  const cluster = new Cluster({ logs: { a: [1, 1], b: [1, 1], c: [1, 1] }, commits: { a: 1 } });
  cluster.lose = (m) => m.type === 'appendEntries';
  cluster.elect('a');
  const read = cluster.read('a');
  cluster.run(6);
  t.true(cluster.sent.some((m) => m.type === 'heartbeatResponse'));
  t.is(stateOf(cluster, read), 'asked');
  cluster.lose = () => false;
  cluster.run(6);
  t.is(stateOf(cluster, read), 'answered');
  t.true(cluster.reads.get(1)!.index >= 3, 'what the earlier term left is included');
});

test('thesis §6.4: a read fails when its leader is deposed, even if it was confirmed in the same turn', (t) => {
  const cluster = led();
  const waiting = cluster.read('a');
  cluster.hold = (m) => m.type === 'heartbeatResponse';
  cluster.settle();
  cluster.turn(() => {
    cluster.hold = () => false;
    cluster.settle();
    const { term } = cluster.state('a');
    cluster.step({ type: 'heartbeat', from: 'b', to: 'a', term: term + 1, commit: 0, round: 1 });
  });
  t.is(stateOf(cluster, waiting), 'failed');
});

test('thesis §6.4: a follower refuses reads, a busy leader says so', (t) => {
  const cluster = led({ raft: { pendingReadsMax: 3 } });
  t.is(cluster.read('b'), 'not-leader');
  cluster.lose = () => true;
  for (let i = 0; i < 3; i += 1) t.is(typeof cluster.read('a'), 'number');
  t.is(cluster.read('a'), 'overloaded');
  cluster.lose = () => false;
  cluster.run(4);
  t.is(typeof cluster.read('a'), 'number');
});

// ---- §9.6: pre-vote

test('thesis §9.6: a pre-vote changes nothing at either end', (t) => {
  const cluster = new Cluster({ terms: { a: 3, b: 3, c: 3 } });
  for (const id of ['a', 'b', 'c']) cluster.node(id).luck = 0.999;
  cluster.tick('b', MAX);
  cluster.network.length = 0;
  const before = { ...cluster.state('b'), current: cluster.state('b').current.role };
  cluster.step({ type: 'preVote', from: 'a', to: 'b', term: 4, lastIndex: 0, lastTerm: 0 });
  t.like(cluster.sent.at(-1), { type: 'preVoteResponse', granted: true, term: 4 });
  cluster.step({ type: 'preVote', from: 'c', to: 'b', term: 4, lastIndex: 0, lastTerm: 0 });
  t.like(cluster.sent.at(-1), { granted: true }, 'several may be told that they could win');
  t.deepEqual({ ...cluster.state('b'), current: cluster.state('b').current.role }, before);
  t.is(cluster.node('b').disk.hardState.term, 3);
});

test('thesis §9.6: only a majority of grants for this very attempt leads to a campaign', (t) => {
  const { raft } = new Cluster({ ids: ['a', 'b', 'c', 'd', 'e'], terms: { a: 3 } }).node('a');
  const role = (): string => raft.state.current.role;
  while (role() !== 'pre-candidate') raft.tick();
  const answer = (from: string, term: number, granted: boolean): Message => ({
    type: 'preVoteResponse',
    from,
    to: 'a',
    term,
    granted,
  });
  raft.step(answer('b', 4, true));
  raft.step(answer('b', 4, true));
  raft.step(answer('c', 3, true));
  raft.step(answer('c', 5, true));
  raft.step(answer('x', 4, true));
  raft.step(answer('d', 3, false));
  t.is(role(), 'pre-candidate');
  t.is(raft.state.term, 3);
  raft.step(answer('c', 4, true));
  t.is(role(), 'candidate');
  t.is(raft.state.term, 4);
});

test('thesis §9.6: a refusal in a later term is learned from', (t) => {
  const cluster = new Cluster({ terms: { a: 1, b: 6, c: 6 } });
  cluster.run(4 * MAX);
  t.truthy(cluster.leader);
  t.true(cluster.state('a').term > 6);
});

test('thesis §9.6: a refusal changes no term, and leads to the next attempt in a term above it', (t) => {
  const { raft } = new Cluster({ ids: ['a', 'b', 'c'], terms: { a: 3 } }).node('a');
  const answer = (from: string, term: number, granted: boolean): Message => ({
    ...{ type: 'preVoteResponse', from, to: 'a', term, granted },
  });
  const wait = (): void => {
    while (raft.state.current.role !== 'pre-candidate') raft.tick();
  };
  raft.step(answer('b', 8, false));
  t.is(raft.state.term, 3, 'nobody asked');
  wait();
  raft.step(answer('b', 8, false));
  t.like(raft.state, { term: 3, current: { role: 'follower' } });
  wait();
  t.is(raft.ready().messages.at(-1)?.term, 9);
  raft.step(answer('b', 4, true));
  t.is(raft.state.current.role, 'pre-candidate', 'a grant for the first attempt');
  raft.step(answer('b', 9, true));
  t.like(raft.state, { term: 9, vote: 'a', current: { role: 'candidate' } });
});

// ---- §10.2.1: the leader's disk write in parallel

test('thesis §10.2.1: the followers get an entry while the leader’s own disk still writes, and may commit it without', (t) => {
  const cluster = led();
  cluster.holdDisk('a');
  const proposed = cluster.propose('a', 'x');
  t.true(typeof proposed !== 'string');
  const index = cluster.state('a').log.lastIndex;
  cluster.settle();
  t.is(cluster.state('a').log.durable, index - 1);
  t.is(cluster.state('a').log.commit, index, 'two disks of three');
  t.is(cluster.node('a').applied.length, index - 1, 'but applies only what its own disk holds');
  t.is(cluster.acknowledged.length, 0);
  cluster.sync('a');
  t.is(cluster.node('a').applied.length, index);
  t.is(cluster.acknowledged.length, 1);
});

test('thesis §10.2.1: a leader’s own disk counts only once it has written', (t) => {
  const cluster = led();
  cluster.crash('c');
  cluster.holdDisk('a');
  cluster.propose('a', 'x');
  cluster.settle();
  const index = cluster.state('a').log.lastIndex;
  t.is(cluster.state('a').log.commit, index - 1, 'b alone is no majority');
  cluster.sync('a');
  t.is(cluster.state('a').log.commit, index);
});
