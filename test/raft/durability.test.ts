/** What must be on disk before what is said, what the core keeps in memory, and what it asks of the disk. */

import test from 'ava';
import { InvariantError } from '../../raft/assert.js';
import type { Message } from '../../raft/messages.js';
import type { Raft } from '../../raft/raft.js';
import type { Append } from '../../raft/ready.js';
import { Cluster } from './cluster.js';
import { OPTIONS, bytes, entriesOf, text } from './tools.js';

const [, MAX] = OPTIONS.electionTicks;

function led(setup?: ConstructorParameters<typeof Cluster>[0]): Cluster {
  const cluster = new Cluster(setup);
  cluster.elect('a');
  cluster.run(3);
  return cluster;
}

/** A core past its first election time-out's grace, without a network. */
function alone(setup: ConstructorParameters<typeof Cluster>[0]): Raft {
  const { raft } = new Cluster(setup).node('a');
  for (let i = 0; i < MAX; i += 1) raft.tick();
  const { append } = raft.ready();
  if (append !== undefined) raft.durable();
  return raft;
}

const append = (term: number, prevIndex: number, prevTerm: number, terms: number[], commit = 0): Message => ({
  type: 'appendEntries',
  from: `leader${term}`,
  to: 'a',
  term,
  prevIndex,
  prevTerm,
  entries: entriesOf(terms, prevIndex + 1),
  commit,
});

const indexes = (batch: Append | undefined): string[] => (batch?.entries ?? []).map((entry) => text(entry));

// ---- persist before answer

test('§5.2: a vote leaves only after it is durable', (t) => {
  const raft = alone({});
  raft.step({ type: 'requestVote', from: 'b', to: 'a', term: 5, lastIndex: 0, lastTerm: 0, transfer: false });
  const ready = raft.ready();
  t.deepEqual(ready.messages, []);
  t.like(ready.append, { hardState: { term: 5, vote: 'b' } });
  t.like(ready.append?.messages, [{ type: 'requestVoteResponse', granted: true }]);
  raft.step({ type: 'requestVote', from: 'b', to: 'a', term: 5, lastIndex: 0, lastTerm: 0, transfer: false });
  t.deepEqual(raft.ready().messages, [], 'a repeated request is answered no earlier');
  raft.durable();
  t.like(raft.ready().messages, [{ type: 'requestVoteResponse', granted: true }]);
});

test('§5.2: a vote in a term that is durable already is written all the same', (t) => {
  const raft = alone({ terms: { a: 5 } });
  raft.step({ type: 'requestVote', from: 'b', to: 'a', term: 5, lastIndex: 0, lastTerm: 0, transfer: false });
  const ready = raft.ready();
  t.deepEqual(ready.messages, []);
  t.like(ready.append, { hardState: { term: 5, vote: 'b' }, messages: [{ granted: true }] });
});

test('Figure 2: an acknowledgement leaves only after its entries are durable', (t) => {
  const raft = alone({});
  raft.step(append(1, 0, 0, [1, 1]));
  const first = raft.ready();
  t.deepEqual(first.messages, []);
  t.deepEqual(indexes(first.append), ['1/1', '2/1']);
  t.like(first.append?.messages, [{ type: 'appendEntriesResponse', success: true, index: 2 }]);
  // More arrives while the disk writes: it is the next batch, its answer waits for that.
  raft.step(append(1, 0, 0, [1, 1]));
  raft.step(append(1, 2, 1, [1]));
  const second = raft.ready();
  t.is(second.append, undefined);
  t.deepEqual(second.messages, []);
  raft.durable();
  const third = raft.ready();
  t.deepEqual(third.messages, []);
  t.deepEqual(indexes(third.append), ['3/1']);
  t.like(third.append?.messages, [
    { success: true, index: 2 },
    { success: true, index: 3 },
  ]);
});

test('§5.2: a candidate asks for votes, and counts its own, only once it is durable', (t) => {
  const raft = alone({});
  const role = (): string => raft.state.current.role;
  while (role() !== 'pre-candidate') raft.tick();
  raft.ready();
  raft.step({ type: 'preVoteResponse', from: 'b', to: 'a', term: 1, granted: true });
  const ready = raft.ready();
  t.deepEqual(ready.messages, []);
  t.like(ready.append, { hardState: { term: 1, vote: 'a' } });
  t.is(ready.append?.messages.filter((m) => m.type === 'requestVote').length, 2);
  raft.step({ type: 'requestVoteResponse', from: 'b', to: 'a', term: 1, granted: true });
  t.is(role(), 'candidate', 'b and nobody else');
  raft.durable();
  t.is(role(), 'leader');
});

test('an own vote of an earlier term counts for nothing when its write ends', (t) => {
  const raft = alone({});
  const role = (): string => raft.state.current.role;
  const campaign = (term: number): void => {
    while (role() !== 'pre-candidate') raft.tick();
    raft.step({ type: 'preVoteResponse', from: 'b', to: 'a', term, granted: true });
  };
  campaign(1);
  raft.ready();
  raft.tick();
  while (role() === 'candidate') raft.tick();
  campaign(2);
  raft.step({ type: 'requestVoteResponse', from: 'b', to: 'a', term: 2, granted: true });
  raft.durable();
  t.is(role(), 'candidate', 'the write that ended was that of term 1');
  raft.ready();
  raft.durable();
  t.is(role(), 'leader');
});

test('a term that is not durable does not survive; a durable one does', (t) => {
  const cluster = new Cluster();
  cluster.holdDisk('a');
  cluster.step({ type: 'heartbeat', from: 'b', to: 'a', term: 4, commit: 0, round: 1 });
  cluster.crash('a');
  t.is(cluster.state('a').term, 0);
  cluster.restart('a');
  cluster.step({ type: 'heartbeat', from: 'b', to: 'a', term: 4, commit: 0, round: 1 });
  cluster.crash('a', { written: true });
  t.is(cluster.state('a').term, 4);
});

test('appends that were lost with a crash come again', (t) => {
  const cluster = led();
  cluster.holdDisk('b');
  cluster.propose('a', 'x', 'y');
  cluster.settle();
  t.is(cluster.state('b').log.lastIndex, 3);
  cluster.crash('b');
  t.is(cluster.state('b').log.lastIndex, 1);
  cluster.holdDisk('b', false);
  cluster.restart('b');
  cluster.run(8);
  t.is(cluster.node('b').applied.length, 3);
});

// ---- acknowledgements of the disk, and the log that changed meanwhile

test('ABA: the end of a write does not vouch for entries that replaced it', (t) => {
  const raft = alone({});
  raft.step(append(2, 0, 0, [2, 2, 2]));
  t.is(raft.ready().append?.entries.length, 3);
  raft.step(append(3, 0, 0, [3, 3, 3]));
  raft.durable();
  t.is(raft.state.log.durable, 0);
  const next = raft.ready();
  t.deepEqual(indexes(next.append), ['1/3', '2/3', '3/3']);
  raft.durable();
  t.is(raft.state.log.durable, 3);
});

for (const entryCacheBytes of [0, 65536]) {
  test(`ABA: entries that were removed and came back while the disk wrote them, cache of ${entryCacheBytes}`, (t) => {
    const raft = alone({ logs: { a: [1] }, terms: { a: 1 }, raft: { entryCacheBytes } });
    raft.step(append(2, 1, 1, [2, 2]));
    t.deepEqual(indexes(raft.ready().append), ['2/2', '3/2']);
    raft.step(append(3, 1, 1, [3]));
    raft.step(append(4, 1, 1, [2, 2, 4], 4));
    t.is(raft.state.log.commit, 4);
    raft.durable();
    t.is(raft.state.log.durable, 3);
    t.true(raft.state.handedOut >= raft.state.log.durable);
    // Entry 4 was never handed out: it must be, before anything is promised about it.
    const next = raft.ready();
    t.true(indexes(next.append).includes('4/4'));
    raft.durable();
    t.is(raft.state.log.durable, 4);
  });
}

test('a truncation takes back what was durable, and hands out what replaces it', (t) => {
  const raft = alone({ logs: { a: [1, 1, 1] }, terms: { a: 1 } });
  t.is(raft.state.log.durable, 3);
  raft.step(append(2, 1, 1, [2]));
  t.is(raft.state.log.durable, 1);
  t.is(raft.state.log.lastIndex, 2);
  t.deepEqual(indexes(raft.ready().append), ['2/2']);
});

test('a commit that runs ahead of the own disk is applied only when the disk is there', (t) => {
  const raft = alone({});
  raft.step(append(1, 0, 0, [1, 1], 2));
  const ready = raft.ready();
  t.is(raft.state.log.commit, 2);
  t.is(ready.committed, undefined);
  raft.durable();
  t.like(raft.ready().committed, { from: 1, to: 2 });
});

test('at most one append and one apply are out', (t) => {
  const raft = alone({ raft: { applyBytesMax: 40 } });
  raft.step(append(1, 0, 0, [1, 1, 1], 3));
  raft.ready();
  raft.durable();
  t.like(raft.ready().committed, { from: 1, to: 1 });
  t.is(raft.ready().committed, undefined);
  raft.applied(1);
  t.like(raft.ready().committed, { from: 2, to: 2 });
  t.throws(() => raft.applied(0), { instanceOf: InvariantError });
});

test('what can’t be true stops the node', (t) => {
  t.throws(() => new Cluster({ logs: { a: [5] }, terms: { a: 4 } }), { instanceOf: InvariantError });
  t.throws(() => new Cluster({ logs: { a: [1] }, commits: { a: 2 } }), { instanceOf: InvariantError });
  t.throws(() => new Cluster({ raft: { heartbeatTicks: 10 } }), { instanceOf: InvariantError });
  const raft = alone({ ids: ['a'], logs: { a: [1, 1, 1] }, commits: { a: 2 } });
  t.throws(() => raft.applied(3), { instanceOf: InvariantError });
});

test('thesis §10.2.1: entries leave with the own write, and what gathers meanwhile as one message', (t) => {
  const { raft } = led().node('a');
  const sent = (messages: readonly Message[]): string[] =>
    messages.flatMap((m) => (m.type === 'appendEntries' ? [`${m.to} ${m.entries.map(text).join()}`] : []));
  raft.propose([bytes('x')]);
  const first = raft.ready();
  t.deepEqual(indexes(first.append), ['x']);
  t.deepEqual(sent(first.messages), ['b x', 'c x']);
  raft.propose([bytes('y')]);
  t.deepEqual(sent(raft.ready().messages), []);
  raft.propose([bytes('z')]);
  raft.durable();
  const second = raft.ready();
  t.deepEqual(indexes(second.append), ['y', 'z']);
  t.deepEqual(sent(second.messages), ['b y,z', 'c y,z']);
});

// ---- windows, memory, old entries

test('a follower that does not answer gets no more than its window', (t) => {
  const cluster = led({ raft: { window: { appendsMax: 3, bytesMax: 8192 }, appendBytesMax: 40 } });
  cluster.hold = (m) => m.type === 'appendEntriesResponse' && m.from === 'b';
  for (let i = 0; i < 10; i += 1) cluster.propose('a', `${i}`);
  const out = (): Message[] =>
    cluster.sent.filter(
      (m) => m.type === 'appendEntries' && m.to === 'b' && m.entries.some((e) => e.type === 'command'),
    );
  t.is(out().length, 3);
  cluster.settle();
  t.is(out().length, 3);
  t.is(cluster.state('a').log.commit, 11, 'the others go on');
  cluster.hold = () => false;
  cluster.run(2);
  t.is(cluster.node('b').applied.length, 11);
});

test('the window is bounded in bytes, too; one large entry gets through', (t) => {
  const cluster = led({ raft: { window: { appendsMax: 100, bytesMax: 200 }, appendBytesMax: 100 } });
  cluster.lose = (m) => m.type === 'appendEntriesResponse';
  for (let i = 0; i < 10; i += 1) cluster.propose('a', 'x'.repeat(50));
  const { current } = cluster.state('a');
  if (current.role !== 'leader') return void t.fail();
  t.is(current.progress.get('b')?.inflightBytes, 3 * 82);
  cluster.lose = () => false;
  cluster.run(10);
  cluster.propose('a', 'y'.repeat(5000));
  cluster.settle();
  t.is(cluster.state('a').log.commit, 12);
});

test('while a follower is probed, one append is out', (t) => {
  const cluster = new Cluster({ raft: { appendBytesMax: 40 } });
  cluster.lose = (m) => m.type === 'appendEntriesResponse';
  cluster.elect('a');
  const { length } = cluster.sent;
  cluster.propose('a', 'x');
  cluster.propose('a', 'y');
  t.is(cluster.sent.slice(length).filter((m) => m.type === 'appendEntries').length, 0);
  cluster.lose = () => false;
  cluster.run(4);
  t.is(cluster.state('b').log.commit, 3);
});

test('a lost append is noticed by its silence, and sent again', (t) => {
  const cluster = led();
  cluster.lose = (m) => m.type === 'appendEntries';
  cluster.propose('a', 'x');
  cluster.lose = () => false;
  cluster.run(3 * OPTIONS.heartbeatTicks);
  t.is(cluster.node('b').applied.length, 2);
});

test('what a peer that can’t be reached was sent is sent again', (t) => {
  const cluster = led();
  cluster.lose = (m) => m.to === 'b';
  cluster.propose('a', 'x');
  cluster.settle();
  cluster.lose = () => false;
  const node = cluster.node('a');
  node.raft.unreachable('b');
  node.raft.unreachable('nobody');
  cluster.pump(node);
  cluster.settle();
  t.is(cluster.state('b').log.lastIndex, 2);
});

test('entries that are only on disk are fetched for a follower far behind', (t) => {
  const cluster = led({ raft: { entryCacheBytes: 0, appendBytesMax: 200 } });
  cluster.crash('c');
  for (let i = 0; i < 30; i += 1) cluster.propose('a', `${i}`);
  cluster.run(3);
  t.is(cluster.state('a').log.entries(2, 2, 100), undefined);
  cluster.restart('c');
  cluster.run(20);
  t.is(cluster.node('c').applied.length, 31);
});

test('no more is fetched than what the own disk holds', (t) => {
  const cluster = led({ raft: { entryCacheBytes: 0 } });
  cluster.crash('c');
  for (let i = 0; i < 5; i += 1) cluster.propose('a', `${i}`);
  cluster.run(3);
  cluster.holdDisk('a');
  cluster.propose('a', 'in flight');
  cluster.restart('c');
  cluster.run(4);
  t.like(cluster.node('a').fetches, [{ to: 'c', from: 2, through: 6 }]);
  t.is(cluster.state('a').log.lastIndex, 7);
});

test('a fetch that comes back too late is dropped', (t) => {
  const cluster = led({ raft: { entryCacheBytes: 0 } });
  cluster.crash('c');
  for (let i = 0; i < 5; i += 1) cluster.propose('a', `${i}`);
  cluster.run(3);
  cluster.holdDisk('a');
  cluster.restart('c');
  cluster.run(4);
  const [fetch] = cluster.node('a').fetches;
  t.like(fetch, { to: 'c', from: 2 });
  const { raft, disk } = cluster.node('a');
  const entries = disk.entries.slice(1);
  const { length } = raft.ready().messages;
  raft.fetched({ ...fetch!, from: 3 }, entries.slice(1));
  raft.fetched({ ...fetch!, to: 'nobody' }, entries);
  raft.fetched({ ...fetch!, term: fetch!.term - 1 }, entries);
  t.is(raft.ready().messages.length, length);
  raft.fetched(fetch!, entries);
  t.like(raft.ready().messages, [{ type: 'appendEntries', to: 'c', prevIndex: 1 }]);
  raft.fetched(fetch!, entries);
  t.is(raft.ready().messages.length, 0);
});

test('no proposal is taken while too much is uncommitted', (t) => {
  const cluster = led({ raft: { uncommittedBytesMax: 300 } });
  cluster.lose = () => true;
  const taken = [1, 2, 3, 4, 5].map((i) => cluster.propose('a', `${i}`.repeat(70)));
  t.deepEqual(
    taken.map((result) => result === 'overloaded'),
    [false, false, false, true, true],
  );
  cluster.lose = () => false;
  cluster.run(6);
  t.is(cluster.state('a').log.uncommittedBytes, 0);
  t.not(cluster.propose('a', 'more'), 'overloaded');
});

// ---- one node

test('a cluster of one elects itself, commits with its own disk, and answers reads by itself', (t) => {
  const cluster = new Cluster({ ids: ['a'] });
  cluster.run(MAX);
  t.is(cluster.leader?.id, 'a');
  cluster.holdDisk('a');
  cluster.propose('a', 'x');
  t.is(cluster.state('a').log.commit, 1);
  cluster.sync('a');
  t.is(cluster.state('a').log.commit, 2);
  const read = cluster.read('a');
  t.is(typeof read === 'number' && cluster.reads.get(read)?.state, 'answered');
  cluster.crash('a');
  cluster.restart('a');
  cluster.holdDisk('a', false);
  cluster.run(MAX);
  t.deepEqual(cluster.node('a').applied.map(text), ['', 'x', '']);
  t.is(cluster.node('a').applied[1]?.data.length, bytes('x').length);
});
