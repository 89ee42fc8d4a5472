/** Transactions, prefix deletes and pipelines through real nodes, from the leader and from a follower. */

import test from 'ava';
import { PIPELINE_READ_BYTES_MAX } from '../../api/limits.js';
import { PREFIX_KEYS_MAX } from '../../kv/command.js';
import type { Command } from '../../kv/command.js';
import type { PipelineOp, PipelineOutcome } from '../../server/service.js';
import type { Cluster, TestNode } from './cluster.js';
import { startCluster } from './cluster.js';
import { ended, read, setOf, timesApplied, write } from './requests.js';

async function pipeline(cluster: Cluster, on: TestNode, ...ops: PipelineOp[]): Promise<string[]> {
  const { outcomes } = await cluster.clock.until(on.service.pipeline(ops, 'linearizable'), 'a pipeline');
  return outcomes.map(textOf);
}

function textOf(outcome: PipelineOutcome): string {
  switch (outcome.op) {
    case 'get':
      return outcome.entry?.value.toString() ?? 'missing';
    case 'failed':
      return `${outcome.error.code} ${outcome.error.outcome}`;
    default:
      return outcome.result.status;
  }
}

const get = (key: string): PipelineOp => ({ op: 'get', key });
const remove = (key: string): PipelineOp => ({ op: 'delete', key });

test('a transaction is one entry, from whichever node, and its reads come back as they are', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  const [follower] = cluster.followers();
  await write(cluster, leader, 'a', '1');
  const value = Buffer.from([0, 0xff, 1]);
  for (const on of [leader, follower!]) {
    const before = leader.node.appliedIndex;
    const result = await cluster.clock.until(
      on.service.transact({
        op: 'txn',
        checks: [{ key: 'none', revision: 0 }],
        ops: [
          { op: 'set', key: 'raw', value, ttlMs: 10_000 },
          { op: 'get', key: 'raw' },
          { op: 'get', key: 'none' },
        ],
      }),
      'a transaction',
    );
    t.is(result.status, 'txn');
    if (result.status !== 'txn') continue;
    t.is(result.revision, before + 1);
    t.deepEqual(result.results, [
      { status: 'set' },
      { status: 'got', revision: before + 1, ttlMs: 10_000, value },
      { status: 'missing' },
    ]);
    const failing = { op: 'txn', checks: [{ key: 'a', revision: 99 }], ops: [] } as const;
    t.deepEqual(await cluster.clock.until(on.service.transact(failing), 'one that fails'), {
      status: 'check-failed',
      failed: [0],
    });
  }
});

test('a prefix delete takes what was written before it in the very same batch, and nothing else', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  const { service } = leader;
  const all = Promise.all([
    service.write(setOf('p/1', 'v')),
    service.write(setOf('q', 'v')),
    service.deletePrefix({ op: 'delete-prefix', prefix: 'p/' }),
    service.write(setOf('p/2', 'v')),
  ]);
  const [, , removed] = await cluster.clock.until(all, 'four writes');
  t.like(removed, { status: 'prefix-deleted', deleted: 1 });
  t.is(await read(cluster, leader, 'p/1'), undefined);
  t.is(await read(cluster, leader, 'p/2'), 'v');
  t.is(leader.node.keyCount, 2);
});

test('a prefix with more keys than one entry deletes is refused, and nothing of it goes', async (t) => {
  const cluster = await startCluster({ size: 1, pendingMax: 20_000, raft: { uncommittedBytesMax: 1e8 } });
  const leader = await cluster.leader();
  const keys = Array.from({ length: PREFIX_KEYS_MAX + 1 }, (_, at) => `p/${at}`);
  for (let from = 0; from < keys.length; from += 1000) {
    const ops = keys
      .slice(from, from + 1000)
      .map((key) => ({ op: 'set', key, value: Buffer.from('v') }) as const);
    const txn = leader.service.transact({ op: 'txn', checks: [], ops });
    await cluster.clock.until(txn, 'keys are written');
  }
  const command = { op: 'delete-prefix', prefix: 'p/' } as const;
  const refused = await ended(cluster, leader.service.deletePrefix(command));
  t.is(refused.as, 'too-large not-applied');
  t.is(leader.node.keyCount, keys.length);
  await cluster.clock.until(leader.service.write({ op: 'delete', key: 'p/0' }), 'one goes');
  t.like(await cluster.clock.until(leader.service.deletePrefix(command), 'the rest goes'), {
    deleted: PREFIX_KEYS_MAX,
  });
  t.is(leader.node.keyCount, 0);
});

test('a pipeline is in order per key: a read sees the writes before it and none behind it', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  for (const on of [leader, cluster.followers()[0]!]) {
    await write(cluster, leader, 'a', '0');
    await write(cluster, leader, 'b', '0');
    const outcomes = await pipeline(
      cluster,
      on,
      get('a'),
      setOf('a', '1'),
      get('a'),
      get('b'),
      setOf('a', '2'),
      remove('b'),
      setOf('a', '3'),
      get('b'),
      get('a'),
      { ...setOf('a', '4'), ifRevision: 1 },
      get('a'),
    );
    t.deepEqual(outcomes.join(' '), '0 set 1 0 set deleted set missing 3 revision-mismatch 3');
  }
});

test('a pipeline of 256 writes is one append to the log, and from a follower one call', async (t) => {
  const cluster = await startCluster({ raft: { appendBytesMax: 1e6, applyBytesMax: 1e6 } });
  const leader = await cluster.leader();
  const [follower] = cluster.followers();
  let appends = 0;
  const append = leader.logStore.append.bind(leader.logStore);
  leader.logStore.append = (batch, done) => {
    if (batch.entries.length > 0) appends += 1;
    append(batch, done);
  };
  for (const on of [leader, follower!]) {
    appends = 0;
    const ops = Array.from({ length: 256 }, (_, at) => setOf(`k${at}`, 'v'));
    const outcomes = await pipeline(cluster, on, ...ops);
    t.deepEqual(new Set(outcomes), new Set(['set']));
    t.is(appends, 1, on.id);
  }
});

test('each write of a pipeline has its own number in its session, and is applied once', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  const clientId = await cluster.clock.until(leader.service.openSession(), 'a session');
  const ops: PipelineOp[] = ['a', 'b', 'a'].map((key, seq) => ({
    op: 'set',
    key,
    value: Buffer.from(String(seq)),
    session: { clientId, seq, lowestPending: 0 },
  }));
  const first = await cluster.clock.until(leader.service.pipeline(ops, 'linearizable'), 'a pipeline');
  const [follower] = cluster.followers();
  const again = await cluster.clock.until(follower!.service.pipeline(ops, 'linearizable'), 'again');
  t.deepEqual(again.outcomes, first.outcomes);
  t.is(await read(cluster, leader, 'a'), '2');
  const late = await pipeline(
    cluster,
    leader,
    {
      ...setOf('c', 'v'),
      session: { clientId: 999, seq: 0, lowestPending: 0 },
    },
    get('c'),
    get('b'),
  );
  t.deepEqual(late, ['session-expired unknown', 'session-expired not-applied', '1']);
});

test('where there is no room, what sets is refused, with what follows it on its key; deletes are taken', async (t) => {
  const stores = (command: Command): boolean =>
    command.op === 'set' || (command.op === 'txn' && command.ops.some(({ op }) => op === 'set'));
  let isFull = false;
  const cluster = await startCluster({ refuses: (_, command) => isFull && stores(command) });
  const leader = await cluster.leader();
  for (const key of ['a', 'b', 'c']) await write(cluster, leader, key, 'v');
  isFull = true;
  for (const on of [leader, cluster.followers()[0]!]) {
    const { as } = await ended(cluster, on.service.write(setOf('a', '2')));
    t.is(as, 'disk-full not-applied');
    const txn = on.service.transact({ op: 'txn', checks: [], ops: [{ op: 'delete', key: 'none' }] });
    t.like(await cluster.clock.until(txn, 'a transaction of deletes'), { status: 'txn' });
    const outcomes = await pipeline(cluster, on, setOf('a', '2'), remove('a'), remove('none'), get('a'));
    t.deepEqual(outcomes, [
      'disk-full not-applied',
      'disk-full not-applied',
      'not-found',
      'disk-full not-applied',
    ]);
    // Requests of others are not held back by it.
    const [set, other] = await cluster.clock.until(
      Promise.allSettled([on.service.write(setOf('b', '2')), on.service.write({ op: 'delete', key: 'b' })]),
      'both',
    );
    t.is(set.status, 'rejected');
    t.is(other.status, 'fulfilled');
  }
  t.is(await read(cluster, leader, 'a'), 'v');
});

test('when the leader refuses, everything behind it on the key is refused', async (t) => {
  const cluster = await startCluster({ pendingMax: 3 });
  const leader = await cluster.leader();
  const ops = [setOf('a', '1'), setOf('b', '1'), setOf('a', '2'), setOf('a', '3'), setOf('b', '2'), get('a')];
  const outcomes = await pipeline(cluster, leader, ...ops);
  const refused = 'overloaded not-applied';
  t.deepEqual(outcomes, ['set', 'set', 'set', refused, refused, refused]);
  t.is(await timesApplied(t, cluster, leader, 'a'), 2);
});

test('writes of a pipeline whose leader is lost are unknown, and what follows them on their keys is not begun', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  const others = cluster.followers();
  const outcomes = leader.service.pipeline([setOf('a', '1'), get('a'), get('b')], 'linearizable');
  cluster.partitionConsensus([leader], others);
  const { outcomes: told } = await cluster.clock.until(outcomes, 'the pipeline', 20_000);
  const [set, after] = told.map(textOf);
  t.regex(set!, /^(timeout|leadership-lost) unknown$/);
  t.regex(after!, /^(timeout|leadership-lost) not-applied$/);
});

test('what a pipeline answers with is bounded', async (t) => {
  const cluster = await startCluster({ size: 1, raft: { uncommittedBytesMax: 1e9 } });
  const leader = await cluster.leader();
  const value = Buffer.alloc(PIPELINE_READ_BYTES_MAX / 2);
  for (const key of ['a', 'b', 'c'])
    await cluster.clock.until(leader.service.write({ op: 'set', key, value }), 'a long write');
  const { outcomes } = await cluster.clock.until(
    leader.service.pipeline([get('a'), get('b'), get('c')], 'linearizable'),
    'reads',
  );
  t.deepEqual(
    outcomes.map((outcome) => (outcome.op === 'get' ? outcome.entry?.value.length : textOf(outcome))),
    [value.length, value.length, 'too-large not-applied'],
  );
});

test('the newest lines of the log tell what was done', async (t) => {
  const cluster = await startCluster({ size: 1 });
  const leader = await cluster.leader();
  await write(cluster, leader, 'a', 'v');
  await cluster.clock.until(leader.service.deletePrefix({ op: 'delete-prefix', prefix: 'p/' }), 'a delete');
  const lines = await cluster.clock.until(leader.service.log(2), 'lines');
  t.like(lines, [
    { type: 'delete-prefix', key: 'p/', index: leader.node.appliedIndex },
    { type: 'set', key: 'a' },
  ]);
  t.is(lines.length, 2);
  const all = await cluster.clock.until(leader.service.log(1000), 'all lines');
  t.is(all.length, leader.node.appliedIndex);
  t.is(all.at(-1)?.type, 'configuration');
});
