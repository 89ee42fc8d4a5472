/** The core against the Raft paper ("§") and Ongaro's thesis: each test names the section it checks. */

import test from 'ava';
import { InvariantError } from '../../raft/assert.js';
import type { Message } from '../../raft/messages.js';
import { Cluster } from './cluster.js';
import { OPTIONS, entriesOf, text } from './tools.js';

const [MIN, MAX] = OPTIONS.electionTicks;

const commands = (cluster: Cluster, id: string): string[] =>
  cluster
    .node(id)
    .applied.filter((entry) => entry.type === 'command')
    .map(text);

const logTerms = (cluster: Cluster, id: string): number[] => {
  const { log } = cluster.state(id);
  return Array.from({ length: log.lastIndex }, (_, at) => log.termAt(at + 1) ?? -1);
};

// ---- §5.1: terms

test('§5.1: a later term makes a leader or a candidate a follower', (t) => {
  const cluster = new Cluster();
  cluster.elect('a');
  const term = cluster.state('a').term;
  cluster.step({
    type: 'appendEntriesResponse',
    from: 'b',
    to: 'a',
    term: term + 3,
    success: false,
    index: 0,
    hintIndex: 0,
    hintTerm: 0,
  });
  t.is(cluster.state('a').term, term + 3);
  t.is(cluster.state('a').current.role, 'follower');
  t.is(cluster.node('a').disk.hardState.term, term + 3);
});

test('§5.1: a request of an earlier term is refused, and its sender learns of the later one', (t) => {
  const cluster = new Cluster({ terms: { a: 5, b: 5, c: 2 } });
  const envelope = { from: 'c', to: 'a', term: 2, call: 7 };
  const requests: Message[] = [
    { ...envelope, type: 'requestVote', lastIndex: 9, lastTerm: 2, transfer: true },
    { ...envelope, type: 'appendEntries', prevIndex: 0, prevTerm: 0, entries: entriesOf([2]), commit: 1 },
    { ...envelope, type: 'heartbeat', commit: 0, round: 1 },
    { ...envelope, type: 'preVote', lastIndex: 9, lastTerm: 2 },
  ];
  for (const request of requests) {
    cluster.step(request);
    const answer = cluster.sent.at(-1);
    t.like(answer, { type: `${request.type}Response`, from: 'a', to: 'c', term: 5, call: 7 });
    t.false(answer !== undefined && 'granted' in answer && answer.granted);
    t.false(answer !== undefined && 'success' in answer && answer.success);
  }
  t.is(cluster.state('a').log.lastIndex, 0);
  t.is(cluster.state('a').vote, undefined);
  cluster.settle();
  t.is(cluster.state('c').term, 5);
});

// ---- §5.2: elections

test('§5.2: a majority elects a leader, and no other in its term', (t) => {
  const cluster = new Cluster({ ids: ['a', 'b', 'c', 'd', 'e'] });
  cluster.partition(['a', 'b', 'c']);
  cluster.elect('a');
  t.is(cluster.state('a').term, 1);
  cluster.heal();
  cluster.run(3);
  for (const node of cluster.nodes.values()) t.is(node.raft.leader, 'a');
});

test('§5.2: without a majority nobody is elected, and with pre-votes the terms stay', (t) => {
  const cluster = new Cluster();
  cluster.partition(['a'], ['b'], ['c']);
  cluster.run(20 * MAX);
  t.is(cluster.leader, undefined);
  for (const node of cluster.nodes.values()) t.is(node.raft.state.term, 0);
});

test('§5.2: a split vote ends by random time-outs', (t) => {
  const cluster = new Cluster({ ids: ['a', 'b', 'c', 'd'], seed: 5 });
  // Two pairs time out together.
  for (const node of cluster.nodes.values()) node.luck = 0.99;
  cluster.run(2 * MAX);
  for (const node of cluster.nodes.values()) node.luck = undefined;
  cluster.run(6 * MAX);
  t.truthy(cluster.leader);
});

test('§5.2: one vote a term, first come, first served; it survives a crash', (t) => {
  const cluster = new Cluster();
  cluster.tick('a', MAX);
  cluster.network.length = 0;
  const ask = (from: string): Message | undefined => {
    cluster.step({ type: 'requestVote', from, to: 'a', term: 4, lastIndex: 0, lastTerm: 0, transfer: true });
    return cluster.sent.at(-1);
  };
  t.like(ask('b'), { granted: true, term: 4 });
  t.like(ask('c'), { granted: false, term: 4 });
  t.like(ask('b'), { granted: true });
  cluster.crash('a');
  cluster.restart('a');
  t.is(cluster.state('a').vote, 'b');
  cluster.tick('a', MAX - 1);
  t.like(ask('b'), { granted: false }, 'nobody gets a vote within one time-out of a start');
  cluster.lose = () => true;
  cluster.tick('a');
  t.like(ask('c'), { granted: false });
});

test('§5.2: time-outs are drawn from the whole range, both ends included', (t) => {
  const seen = new Set<number>();
  for (let seed = 0; seed < 300; seed += 1) seen.add(new Cluster({ seed }).state('a').electionTick);
  t.deepEqual(
    [...seen].sort((a, b) => a - b),
    Array.from({ length: MAX - MIN + 1 }, (_, at) => MIN + at),
  );
});

test('§5.2: heartbeats keep followers from campaigning', (t) => {
  const cluster = new Cluster();
  cluster.elect('a');
  const { term } = cluster.state('a');
  cluster.run(20 * MAX);
  t.is(cluster.leader?.id, 'a');
  t.is(cluster.state('a').term, term);
});

test('§5.2: a candidate gives way to the leader of its term', (t) => {
  const cluster = new Cluster({ terms: { a: 3, b: 3, c: 3 } });
  const { raft } = cluster.node('a');
  const { state } = raft;
  const role = (): string => state.current.role;
  while (role() !== 'pre-candidate') raft.tick();
  raft.step({ type: 'preVoteResponse', from: 'b', to: 'a', term: 4, granted: true });
  t.is(role(), 'candidate');
  raft.step({
    type: 'appendEntries',
    from: 'c',
    to: 'a',
    term: 4,
    prevIndex: 0,
    prevTerm: 0,
    entries: [],
    commit: 0,
  });
  t.is(role(), 'follower');
  t.is(raft.leader, 'c');
  t.is(state.vote, 'a', 'the vote of the term stays');
});

test('§5.2: two leaders in a term are not believed', (t) => {
  const cluster = new Cluster();
  cluster.elect('a');
  const { raft } = cluster.node('a');
  raft.step({ type: 'heartbeat', from: 'b', to: 'a', term: raft.state.term, commit: 0, round: 9 });
  t.is(raft.state.current.role, 'leader');
  t.regex(raft.ready().refusals[0] ?? '', /a leads this term/);
});

// ---- §5.3: replication

test('§5.3: an entry of the leader reaches every log and is applied once committed', (t) => {
  const cluster = new Cluster();
  cluster.elect('a');
  cluster.propose('a', 'x', 'y');
  t.is(cluster.acknowledged.length, 0, 'nothing is acknowledged before a majority has it');
  cluster.run(3);
  for (const id of cluster.nodes.keys()) t.deepEqual(commands(cluster, id), ['x', 'y']);
  t.deepEqual(cluster.acknowledged.map(text), ['x', 'y']);
});

test('§5.3, Figure 7: the logs of all six followers come to match the leader’s', (t) => {
  const logs = {
    l: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
    a: [1, 1, 1, 4, 4, 5, 5, 6, 6],
    b: [1, 1, 1, 4],
    c: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    d: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    e: [1, 1, 1, 4, 4, 4, 4],
    f: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  };
  const ids = Object.keys(logs);
  const cluster = new Cluster({ ids, logs, terms: Object.fromEntries(ids.map((id) => [id, 7])) });
  cluster.elect('l');
  cluster.run(10);
  const expected = [...logs.l, 8];
  for (const id of ids) {
    t.deepEqual(logTerms(cluster, id), expected, id);
    t.is(cluster.node(id).applied.length, expected.length, id);
  }
});

for (const [whose, ours, theirs] of [
  ['earlier', 5, 3],
  ['later', 2, 3],
] as const) {
  test(`§5.3: a conflict with entries of ${whose} terms costs a round trip a term, not one an entry`, (t) => {
    const last = [...Array<number>(50).fill(ours), 5];
    const logs = { a: [1, ...last], b: [1, ...Array<number>(50).fill(theirs)], c: [1, ...last] };
    const cluster = new Cluster({ logs, terms: { a: 5, b: 5, c: 5 } });
    cluster.elect('a');
    cluster.run(5);
    t.deepEqual(logTerms(cluster, 'b'), logTerms(cluster, 'a'));
    const refusals = cluster.sent.filter(
      (m) => m.type === 'appendEntriesResponse' && m.from === 'b' && !m.success,
    );
    t.true(refusals.length <= 3, `${refusals.length} refusals`);
  });
}

test('§5.3: a late append that the log already holds removes nothing behind it', (t) => {
  const cluster = new Cluster();
  cluster.elect('a');
  cluster.run(2);
  cluster.propose('a', 'x');
  cluster.run(1);
  const early = cluster.sent.findLast(
    (m) => m.type === 'appendEntries' && m.to === 'b' && m.entries.length > 0,
  )!;
  cluster.propose('a', 'y');
  cluster.settle();
  const { lastIndex } = cluster.state('b').log;
  // Hold back the commit index: only the log itself protects its tail.
  cluster.step(early);
  t.is(cluster.state('b').log.lastIndex, lastIndex);
  t.like(cluster.sent.at(-1), { type: 'appendEntriesResponse', success: true });
});

test('§5.3: matching entries behind the commit index are not removed by a short append', (t) => {
  const { raft } = new Cluster({ logs: { a: [1, 1, 1, 1] }, terms: { a: 2 } }).node('a');
  const entries = entriesOf([1], 2);
  raft.step({
    type: 'appendEntries',
    from: 'b',
    to: 'a',
    term: 2,
    prevIndex: 1,
    prevTerm: 1,
    entries,
    commit: 0,
  });
  t.is(raft.state.log.lastIndex, 4);
  const success = raft.ready().messages[0];
  t.like(success, { success: true, index: 2 });
});

test('§5.3: a follower commits no further than what the append has shown to match', (t) => {
  const { raft } = new Cluster({ logs: { a: [1, 1, 1, 1] }, terms: { a: 2 } }).node('a');
  raft.step({
    type: 'appendEntries',
    from: 'b',
    to: 'a',
    term: 2,
    prevIndex: 2,
    prevTerm: 1,
    entries: [],
    commit: 4,
  });
  t.is(raft.state.log.commit, 2);
});

// ---- §5.4: safety

test('§5.4.1: a vote goes only to a log that is at least as up to date', (t) => {
  const ours = [1, 1, 3];
  const cases: [lastIndex: number, lastTerm: number, granted: boolean][] = [
    [3, 3, true],
    [4, 3, true],
    [2, 3, false],
    [9, 2, false],
    [1, 4, true],
    [0, 0, false],
  ];
  for (const [lastIndex, lastTerm, granted] of cases) {
    for (const type of ['preVote', 'requestVote'] as const) {
      const { raft } = new Cluster({ logs: { a: ours }, terms: { a: 5 } }).node('a');
      for (let i = 0; i < MAX; i += 1) raft.tick();
      raft.ready();
      const last = { lastIndex, lastTerm };
      if (type === 'preVote') raft.step({ type, from: 'b', to: 'a', term: 6, ...last });
      else raft.step({ type, from: 'b', to: 'a', term: 6, ...last, transfer: false });
      const ready = raft.ready();
      const answer = [...ready.messages, ...(ready.append?.messages ?? [])].at(-1);
      t.like(answer, { type: `${type}Response`, granted }, `${type} for (${lastIndex}, ${lastTerm})`);
    }
  }
});

test('§5.4.2, Figure 8: an entry of an earlier term is not committed by counting its copies', (t) => {
  // (c): s1 leads again in term 4; entry 2 of term 2 reaches a majority, the no-op of term 4 only s1.
  const ids = ['s1', 's2', 's3', 's4', 's5'];
  const logs = { s1: [1, 2], s2: [1, 2], s3: [1], s4: [1], s5: [1, 3] };
  const cluster = new Cluster({ ids, logs, terms: { s1: 3, s2: 3, s3: 3, s4: 3, s5: 3 } });
  cluster.lose = (m) => m.type === 'appendEntries' && m.entries.some((entry) => entry.term === 4);
  cluster.partition(['s1', 's2', 's3', 's4']);
  cluster.elect('s1');
  t.is(cluster.state('s1').term, 4);
  const { raft } = cluster.node('s1');
  const term = 4;
  // s3 takes entry 2 (of term 2) alone: now it is on a majority.
  cluster.step({
    type: 'appendEntries',
    from: 's1',
    to: 's3',
    term,
    prevIndex: 1,
    prevTerm: 1,
    entries: entriesOf([2], 2),
    commit: 0,
  });
  cluster.step({
    type: 'appendEntries',
    from: 's1',
    to: 's2',
    term,
    prevIndex: 2,
    prevTerm: 2,
    entries: [],
    commit: 0,
  });
  cluster.settle();
  t.is(cluster.node('s3').disk.entries[1]?.term, 2);
  t.is(raft.state.log.commit, 0, 'on three of five disks, and not committed');
  // (d): s5 may still be elected by s3, s4 and overwrite it.
  cluster.lose = () => false;
  cluster.partition(['s3', 's4', 's5']);
  cluster.elect('s5');
  cluster.run(3);
  t.is(logTerms(cluster, 's3')[1], 3);
  cluster.heal();
  cluster.run(2 * MAX);
  for (const id of ids) t.is(logTerms(cluster, id)[1], 3, id);
});

test('§5.4.2, Figure 8 (e): with an entry of the own term the earlier ones commit, too', (t) => {
  const ids = ['s1', 's2', 's3', 's4', 's5'];
  const logs = { s1: [1, 2], s2: [1, 2], s3: [1], s4: [1], s5: [1, 3] };
  const cluster = new Cluster({ ids, logs, terms: { s1: 3, s2: 3, s3: 3, s4: 3, s5: 3 } });
  cluster.partition(['s1', 's2', 's3', 's4']);
  cluster.elect('s1');
  cluster.run(5);
  t.is(cluster.state('s1').log.commit, 3);
  cluster.partition(['s3', 's4', 's5']);
  t.throws(() => cluster.elect('s5'), { instanceOf: InvariantError, message: /not elected/ });
});

test('§5.4.3: what is committed survives any change of leaders', (t) => {
  const cluster = new Cluster({ ids: ['a', 'b', 'c', 'd', 'e'] });
  const order = ['a', 'b', 'c', 'd', 'e', 'a', 'c'];
  for (const id of order) {
    cluster.elect(id);
    cluster.propose(id, `by ${id}`);
    cluster.run(4);
  }
  t.is(cluster.acknowledged.length, order.length);
  for (const id of cluster.nodes.keys())
    t.deepEqual(
      commands(cluster, id),
      order.map((by) => `by ${by}`),
    );
});

// ---- §8: no-op

test('§8: a new leader commits a no-op, and with it what earlier terms left', (t) => {
  const cluster = new Cluster({ logs: { a: [1, 1], b: [1, 1], c: [1, 1] } });
  cluster.elect('b');
  cluster.run(3);
  t.is(cluster.state('b').log.commit, 3);
  t.is(cluster.node('a').applied[2]?.type, 'noop');
});
