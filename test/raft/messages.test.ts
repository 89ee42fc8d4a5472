/** Stale, repeated, reordered and malformed messages of every type: nothing changes, and what is malformed is refused. */

import test from 'ava';
import type { Message } from '../../raft/messages.js';
import { isResponse } from '../../raft/messages.js';
import { Cluster } from './cluster.js';
import { entriesOf } from './tools.js';

/** Everything that a message could change in node `id`. */
function snapshot(cluster: Cluster, id: string): unknown {
  const { log, current, ...state } = cluster.state(id);
  const { term, vote, electionTick, leaderTick, handedOut } = state;
  const { lastIndex, lastTerm, durable, commit, applied, termRuns } = log;
  const leading =
    current.role === 'leader'
      ? [...current.progress].map(([peer, p]) => [
          peer,
          p.mode,
          p.match,
          p.next,
          p.contactTick,
          p.inflightAppends,
        ])
      : [];
  const reads = current.role === 'leader' ? [...current.reads.answered] : [];
  const votes = 'votes' in current ? [...current.votes] : [];
  const where = [lastIndex, lastTerm, durable, commit, applied, termRuns];
  return structuredClone({
    of: [term, vote, electionTick, leaderTick, handedOut, current.role, cluster.node(id).raft.leader],
    where,
    leading,
    reads,
    votes,
    disk: cluster.node(id).disk,
  });
}

/** `a` leads, `b` and `c` follow; there are three committed entries. */
function quiet(): Cluster {
  const cluster = new Cluster({ terms: { a: 2, b: 2, c: 2 } });
  cluster.elect('a');
  cluster.run(2);
  cluster.propose('a', 'x');
  cluster.propose('a', 'y');
  cluster.run(4);
  return cluster;
}

const TERM = 3;
const LAST = 3;

test('the scene of these tests is what they think it is', (t) => {
  const cluster = quiet();
  for (const id of ['a', 'b', 'c']) {
    t.like(cluster.state(id), { term: TERM });
    t.like(cluster.state(id).log, { lastIndex: LAST, commit: LAST, applied: LAST });
  }
});

/** One of each type, from a peer that still is in term `term`. */
function oneOfEach(to: string, from: string, term: number): Message[] {
  const envelope = { from, to, term };
  const last = { lastIndex: 99, lastTerm: 99 };
  const entries = entriesOf([2, 2, 2, 2, 2]);
  return [
    { ...envelope, type: 'preVote', ...last },
    { ...envelope, type: 'preVoteResponse', granted: true },
    { ...envelope, type: 'preVoteResponse', granted: false },
    { ...envelope, type: 'requestVote', ...last, transfer: true },
    { ...envelope, type: 'requestVoteResponse', granted: true },
    { ...envelope, type: 'requestVoteResponse', granted: false },
    { ...envelope, type: 'appendEntries', prevIndex: 0, prevTerm: 0, entries, commit: 5 },
    { ...envelope, type: 'appendEntriesResponse', success: true, index: 3, hintIndex: 3, hintTerm: 3 },
    { ...envelope, type: 'appendEntriesResponse', success: false, index: 2, hintIndex: 0, hintTerm: 0 },
    { ...envelope, type: 'heartbeat', commit: 5, round: 99 },
    { ...envelope, type: 'heartbeatResponse', round: 1, needsSnapshot: 0 },
    { ...envelope, type: 'timeoutNow' },
  ];
}

for (const to of ['a', 'b']) {
  for (const message of oneOfEach(to, 'c', TERM - 1)) {
    const grant = 'granted' in message ? `, granted: ${message.granted}` : '';
    const success = 'success' in message ? `, success: ${message.success}` : '';
    test(`§5.1: ${message.type}${grant}${success} of an earlier term changes nothing in ${to === 'a' ? 'a leader' : 'a follower'}`, (t) => {
      const cluster = quiet();
      const before = snapshot(cluster, to);
      const { length } = cluster.sent;
      cluster.step(message);
      t.deepEqual(snapshot(cluster, to), before);
      const answers = cluster.sent.slice(length);
      if (isResponse(message) || message.type === 'timeoutNow') t.deepEqual(answers, []);
      else t.like(answers, [{ type: `${message.type}Response`, to: 'c', term: TERM }]);
    });
  }
}

test('messages to another node, or from oneself, are refused', (t) => {
  for (const message of [...oneOfEach('b', 'c', TERM + 1), ...oneOfEach('a', 'a', TERM + 1)]) {
    const cluster = quiet();
    const before = snapshot(cluster, 'a');
    cluster.node('a').raft.step(message);
    cluster.pump(cluster.node('a'));
    t.deepEqual(snapshot(cluster, 'a'), before);
    t.is(cluster.node('a').refusals.length, 1);
  }
});

test('refusals are bounded', (t) => {
  const cluster = quiet();
  const { raft } = cluster.node('a');
  for (let i = 0; i < 100; i += 1) raft.step({ type: 'timeoutNow', from: 'a', to: 'a', term: 1 });
  t.is(raft.ready().refusals.length, 16);
  t.is(raft.ready().refusals.length, 0);
});

const ofLeader = { type: 'appendEntries', from: 'a', to: 'b', term: TERM } as const;

const MALFORMED: Record<string, Message> = {
  'an append with a gap': { ...ofLeader, prevIndex: 3, prevTerm: 3, entries: entriesOf([3], 5), commit: 3 },
  'an append that goes backwards': {
    ...ofLeader,
    prevIndex: 3,
    prevTerm: 3,
    entries: [...entriesOf([3], 4), ...entriesOf([3], 4)],
    commit: 3,
  },
  'an append whose terms go back': {
    ...ofLeader,
    prevIndex: 3,
    prevTerm: 3,
    entries: entriesOf([2], 4),
    commit: 3,
  },
  'an append from the future': {
    ...ofLeader,
    prevIndex: 3,
    prevTerm: 3,
    entries: entriesOf([4], 4),
    commit: 3,
  },
  'an append against a committed entry': {
    ...ofLeader,
    prevIndex: 0,
    prevTerm: 0,
    entries: entriesOf([1]),
    commit: 3,
  },
  'an append behind another committed entry': {
    ...ofLeader,
    prevIndex: 2,
    prevTerm: 2,
    entries: [],
    commit: 3,
  },
  'an append of a second leader': {
    ...ofLeader,
    from: 'c',
    prevIndex: 3,
    prevTerm: 3,
    entries: entriesOf([3], 4),
    commit: 4,
  },
  'a heartbeat that commits what is not there': {
    type: 'heartbeat',
    from: 'a',
    to: 'b',
    term: TERM,
    commit: 4,
    round: 50,
  },
  'a heartbeat of a second leader': {
    type: 'heartbeat',
    from: 'c',
    to: 'b',
    term: TERM,
    commit: 3,
    round: 50,
  },
  'an append to a leader in its own term': {
    ...ofLeader,
    from: 'b',
    to: 'a',
    prevIndex: 3,
    prevTerm: 3,
    entries: [],
    commit: 3,
  },
  'an acknowledgement behind the end': {
    type: 'appendEntriesResponse',
    from: 'b',
    to: 'a',
    term: TERM,
    success: true,
    index: 4,
    hintIndex: 4,
    hintTerm: 3,
  },
  'a refusal behind the end': {
    type: 'appendEntriesResponse',
    from: 'b',
    to: 'a',
    term: TERM,
    success: false,
    index: 9,
    hintIndex: 9,
    hintTerm: 9,
  },
};

for (const [what, message] of Object.entries(MALFORMED)) {
  test(`${what} is refused and changes nothing, not even who was heard of when`, (t) => {
    const cluster = quiet();
    const { to } = message;
    cluster.tick(to);
    const before = snapshot(cluster, to);
    const { length } = cluster.sent;
    cluster.step(message);
    t.deepEqual(snapshot(cluster, to), before);
    t.is(cluster.node(to).refusals.length, 1);
    t.deepEqual(cluster.sent.slice(length), []);
  });
}

const UNCALLED: Message[] = [
  { type: 'preVoteResponse', from: 'b', to: 'a', term: TERM + 1, granted: true },
  { type: 'preVoteResponse', from: 'b', to: 'a', term: TERM, granted: false },
  { type: 'requestVoteResponse', from: 'b', to: 'a', term: TERM, granted: true },
  { type: 'requestVoteResponse', from: 'b', to: 'a', term: TERM, granted: false },
  { type: 'timeoutNow', from: 'b', to: 'a', term: TERM },
  { type: 'heartbeatResponse', from: 'b', to: 'a', term: TERM, round: 999, needsSnapshot: 0 },
  { type: 'heartbeatResponse', from: 'x', to: 'a', term: TERM, round: 1, needsSnapshot: 0 },
  {
    type: 'appendEntriesResponse',
    from: 'x',
    to: 'a',
    term: TERM,
    success: true,
    index: 3,
    hintIndex: 3,
    hintTerm: 3,
  },
  { type: 'requestVote', from: 'x', to: 'a', term: TERM + 5, lastIndex: 9, lastTerm: 9, transfer: false },
  {
    type: 'appendEntriesResponse',
    from: 'c',
    to: 'b',
    term: TERM,
    success: true,
    index: 3,
    hintIndex: 3,
    hintTerm: 3,
  },
  { type: 'heartbeatResponse', from: 'c', to: 'b', term: TERM, round: 1, needsSnapshot: 0 },
  { type: 'requestVoteResponse', from: 'c', to: 'b', term: TERM, granted: true },
];

test('answers nobody asked for, and strangers, change nothing', (t) => {
  for (const message of UNCALLED) {
    const cluster = quiet();
    const before = snapshot(cluster, message.to);
    cluster.step(message);
    t.deepEqual(snapshot(cluster, message.to), before, `${message.type} of ${message.from}`);
  }
});

test('every message twice, and in reverse, leads to the same logs', (t) => {
  for (const reverse of [false, true]) {
    const cluster = new Cluster({ raft: { appendBytesMax: 40 } });
    cluster.elect('a');
    for (let round = 0; round < 30; round += 1) {
      if (round < 10) cluster.propose('a', `${round}`);
      for (const id of cluster.nodes.keys()) cluster.tick(id);
      for (let left = 400; left > 0 && cluster.network.length > 0; left -= 1) {
        const at = reverse ? cluster.network.length - 1 : 0;
        cluster.deliver(at, true);
        cluster.deliver(at);
      }
    }
    t.is(cluster.leader?.id, 'a');
    t.is(cluster.acknowledged.length, 10);
    for (const node of cluster.nodes.values()) {
      t.is(node.applied.length, 11);
      t.deepEqual(node.refusals, []);
    }
  }
});

test('a voter’s first answer counts, once; a stranger’s never', (t) => {
  const { raft } = new Cluster({ ids: ['a', 'b', 'c', 'd', 'e'] }).node('a');
  const role = (): string => raft.state.current.role;
  while (role() !== 'pre-candidate') raft.tick();
  for (const from of ['b', 'c'])
    raft.step({ type: 'preVoteResponse', from, to: 'a', term: 1, granted: true });
  raft.ready();
  raft.durable();
  const answer = (from: string, granted: boolean): void =>
    raft.step({ type: 'requestVoteResponse', from, to: 'a', term: 1, granted });
  for (let i = 0; i < 3; i += 1) answer('b', true);
  answer('b', false);
  answer('x', true);
  t.is(role(), 'candidate');
  const { current } = raft.state;
  t.deepEqual('votes' in current && [...current.votes], [
    ['a', true],
    ['b', true],
  ]);
  answer('c', true);
  t.is(role(), 'leader');
});

test('thesis §6.4: heartbeats commit nothing beyond what the follower acknowledged', (t) => {
  const cluster = quiet();
  cluster.lose = (m) => m.to === 'b' && m.type === 'appendEntries';
  cluster.propose('a', 'z');
  cluster.run(4);
  t.is(cluster.state('a').log.commit, LAST + 1);
  const heartbeats = cluster.sent.filter((m) => m.type === 'heartbeat' && m.to === 'b');
  t.true(heartbeats.every((m) => m.type === 'heartbeat' && m.commit <= LAST));
  t.deepEqual(cluster.node('b').refusals, []);
  // Nor where the follower's log is longer, but another one.
  const logs = { a: [1, 3], b: [1, 2, 2, 2], c: [1, 3] };
  const other = new Cluster({ logs, terms: { a: 3, b: 3, c: 3 } });
  other.lose = (m) => m.to === 'b' && m.type === 'appendEntries';
  other.elect('a');
  other.run(6);
  t.is(other.state('a').log.commit, 3);
  t.is(other.state('b').log.commit, 0);
});

test('a commit that was reached without a write to wait for is told at the next tick', (t) => {
  const cluster = quiet();
  cluster.propose('a', 'z');
  cluster.settle();
  t.is(cluster.state('b').log.commit, LAST);
  cluster.tick('a');
  cluster.settle();
  t.is(cluster.state('b').log.commit, LAST + 1);
});
