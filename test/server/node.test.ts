import test from 'ava';
import { LEADER_WAIT_MS, REQUEST_TIMEOUT_MS, startCluster } from './cluster.js';
import { ended, read, setOf, timesApplied, write } from './requests.js';

test('any node takes writes and reads, and all come to the same state', async (t) => {
  const cluster = await startCluster();
  await cluster.leader();
  let at = 0;
  for (const writer of cluster.nodes) {
    at += 1;
    const result = await write(cluster, writer, 'k', `v${at}`);
    t.is(result.status, 'set');
    for (const reader of cluster.nodes) t.is(await read(cluster, reader, 'k'), `v${at}`);
  }
  for (const { node } of cluster.nodes) t.is(node.keyCount, 1);
});

test('conditions hold wherever the write came in', async (t) => {
  const cluster = await startCluster();
  await cluster.leader();
  const [a, b] = cluster.followers();
  const first = await write(cluster, a!, 'k', '1');
  const revision = first.status === 'set' ? first.revision : 0;
  const conditional = (ifRevision: number): Promise<unknown> =>
    cluster.clock.until(b!.service.write({ ...setOf('k', '2'), ifRevision }), 'a conditional write');
  t.deepEqual(await conditional(revision + 1), { status: 'revision-mismatch', currentRevision: revision });
  t.like(await conditional(revision), { status: 'set' });
  t.like(await cluster.clock.until(a!.service.write({ op: 'delete', key: 'k' }), 'a delete'), {
    status: 'deleted',
  });
  t.is(await read(cluster, b!, 'k'), undefined);
});

test('many writes at once, from every node, are each applied once', async (t) => {
  const cluster = await startCluster();
  await cluster.leader();
  const writes = Array.from({ length: 60 }, (_, at) =>
    cluster.nodes[at % 3]!.service.write(setOf(`k${at}`, 'v')),
  );
  const results = await cluster.clock.until(Promise.all(writes), 'all writes');
  const revisions = new Map(
    results.map((result, at) => [`k${at}`, result.status === 'set' ? result.revision : 0]),
  );
  for (const { service } of cluster.nodes) {
    const { entries } = await cluster.clock.until(
      service.list({ limit: 100, reverse: false, keysOnly: false }, 'linearizable'),
      'a listing',
    );
    t.deepEqual(
      new Map(entries.map(({ key, revision }) => [key, revision])),
      new Map([...revisions].toSorted()),
    );
  }
  for (const key of revisions.keys()) t.is(await timesApplied(t, cluster, cluster.nodes[0]!, key), 1);
});

test('writes of one key at once, from every node, have a revision each; together with others they share entries', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  const before = leader.node.appliedIndex;
  const writes = Array.from({ length: 60 }, (_, at) =>
    cluster.nodes[at % 3]!.service.write(setOf(at % 2 === 0 ? 'hot' : `k${at}`, `v${at}`)),
  );
  const results = await cluster.clock.until(Promise.all(writes), 'all writes');
  const revisions = results.map((result) => (result.status === 'set' ? result.revision : 0));
  const hot = revisions.filter((_, at) => at % 2 === 0);
  t.is(new Set(hot).size, 30);
  t.true(leader.node.appliedIndex - before < 60);
  const last = hot.indexOf(Math.max(...hot));
  for (const on of cluster.nodes) t.is(await read(cluster, on, 'hot'), `v${last * 2}`);
});

test('a leader that stops is replaced; what it acknowledged is there, and it catches up when it is back', async (t) => {
  const cluster = await startCluster();
  const old = await cluster.leader();
  await write(cluster, old, 'k', '1');
  await cluster.stop(old.id);
  const next = await cluster.leader();
  t.not(next.id, old.id);
  t.is(await read(cluster, next, 'k'), '1');
  await write(cluster, cluster.followers()[0]!, 'k', '2');
  const back = await cluster.start(old.id);
  await cluster.leader();
  t.is(await read(cluster, back, 'k'), '2');
});

test('all nodes stop and start again: nothing is lost', async (t) => {
  const cluster = await startCluster();
  await write(cluster, await cluster.leader(), 'k', '1');
  for (const id of ['n1', 'n2', 'n3']) await cluster.stop(id);
  for (const id of ['n1', 'n2', 'n3']) await cluster.start(id);
  await cluster.leader();
  for (const node of cluster.nodes) t.is(await read(cluster, node, 'k'), '1');
});

test('a write through a leader that is cut off ends in time as unknown, or as never begun', async (t) => {
  const cluster = await startCluster();
  const leader = await cluster.leader();
  await write(cluster, leader, 'k', '1');
  cluster.partition();
  t.deepEqual(await ended(cluster, leader.service.write(setOf('k', '2'))), {
    as: 'timeout unknown',
    ms: REQUEST_TIMEOUT_MS,
  });
  t.is(leader.node.standing.role === 'leader', false);
  for (const { service } of cluster.nodes) {
    t.deepEqual(await ended(cluster, service.write(setOf('k', '3'))), {
      as: 'no-leader not-applied',
      ms: LEADER_WAIT_MS,
    });
    t.deepEqual(await ended(cluster, service.read(['k'], 'linearizable')), {
      as: 'no-leader not-applied',
      ms: LEADER_WAIT_MS,
    });
  }
  t.is(await read(cluster, leader, 'k', 'stale'), '1');
  t.is(leader.service.notReady(), 'no leader is known');
  cluster.heal();
  await cluster.leader();
  for (const node of cluster.nodes) t.true(['1', '2'].includes((await read(cluster, node, 'k'))!));
});

test('a leader that lost its majority answers no linearizable read from what it has', async (t) => {
  const cluster = await startCluster();
  const old = await cluster.leader();
  await write(cluster, old, 'k', 'old');
  const others = cluster.followers();
  cluster.partition([old], others);
  const asked = old.service.read(['k'], 'linearizable');
  const next = await cluster.leader(others);
  await write(cluster, next, 'k', 'new');
  cluster.heal();
  const { entries } = await cluster.clock.until(asked, 'the read that was asked for meanwhile');
  t.is(entries[0]?.value.toString(), 'new');
});

test('a lease read never answers with what a later leader has replaced', async (t) => {
  const cluster = await startCluster();
  const old = await cluster.leader();
  await write(cluster, old, 'k', 'old');
  for (const { service } of cluster.nodes) {
    const { entries } = await cluster.clock.until(service.read(['k'], 'lease'), 'a lease read');
    t.is(entries[0]?.value.toString(), 'old');
  }
  const others = cluster.followers();
  cluster.partition([old], others);
  // By its lease the old leader still answers, and at once, as long as nobody else can lead.
  const atOnce = await ended(cluster, old.service.read(['k'], 'lease'));
  t.regex(atOnce.as, /"revision"/);
  t.is(atOnce.ms, 0);
  const next = await cluster.leader(others);
  const written = write(cluster, next, 'k', 'new');
  const asked: Promise<string>[] = [];
  await written;
  for (let round = 0; round < 30; round += 1) {
    asked.push(ended(cluster, old.service.read(['k'], 'lease')).then(({ as }) => as));
    await cluster.clock.run(10);
  }
  cluster.heal();
  const old64 = JSON.stringify(Buffer.from('old'));
  for (const as of await Promise.all(asked)) t.false(as.includes(old64), as);
});

test('a write whose entry another leader replaced is proposed again, and applied once', async (t) => {
  const cluster = await startCluster();
  const old = await cluster.leader();
  const others = cluster.followers();
  cluster.partition([old], others);
  const pending = [1, 2, 3].map((at) => old.service.write(setOf(`lost${at}`, 'v')));
  const next = await cluster.leader(others);
  for (let at = 0; at < 5; at += 1) await write(cluster, next, `k${at}`, 'v');
  cluster.heal();
  const results = await cluster.clock.until(Promise.all(pending), 'the writes are applied after all');
  for (const { status } of results) t.is(status, 'set');
  await cluster.leader();
  for (const node of cluster.nodes) {
    t.is(await read(cluster, node, 'lost1'), 'v');
    for (const at of [1, 2, 3]) t.is(await timesApplied(t, cluster, node, `lost${at}`), 1);
  }
});

test('a follower whose leader hangs says so of its write, and reads on from the next leader', async (t) => {
  const cluster = await startCluster();
  const old = await cluster.leader();
  await write(cluster, old, 'k', '1');
  const others = cluster.followers();
  cluster.partition(others);
  const [a, b] = others;
  const reading = ended(cluster, a!.service.read(['k'], 'linearizable'));
  const written = b!.service.write(setOf('k', '2'));
  const { as, ms } = await reading;
  t.regex(as, /"revision"/);
  t.true(ms < LEADER_WAIT_MS, `${ms} ms`);
  // Sent, and never answered: it may have been appended.
  t.is((await ended(cluster, written)).as, 'timeout unknown');
  t.is((await write(cluster, b!, 'k', '3')).status, 'set');
});

test('a follower whose leader can not be called waits for another, and nothing is lost', async (t) => {
  const cluster = await startCluster();
  cluster.cutIs = 'refused';
  const old = await cluster.leader();
  const others = cluster.followers();
  cluster.partition(others);
  const { as } = await ended(cluster, others[0]!.service.write(setOf('k', '1')));
  t.regex(as, /"set"/);
  t.is(await read(cluster, others[0]!, 'k'), '1');
  t.is(await timesApplied(t, cluster, others[0]!, 'k'), 1);
  cluster.heal();
  await cluster.leader();
  t.is(await read(cluster, old, 'k'), '1');
});

test('beyond the bound of what waits, writes are refused at once as overloaded, forwarded ones too', async (t) => {
  const cluster = await startCluster({ pendingMax: 2 });
  const leader = await cluster.leader();
  const [follower] = cluster.followers();
  const results = await Promise.all(
    [leader, leader, leader, follower!, follower!].map(({ service }) =>
      ended(cluster, service.write(setOf('k', 'v'))),
    ),
  );
  const codes = results.map(({ as }) => (as.startsWith('{') ? 'set' : as));
  t.deepEqual(codes.slice(0, 3), ['set', 'set', 'overloaded not-applied']);
  for (const code of codes.slice(3)) t.true(['set', 'overloaded not-applied'].includes(code), code);
  t.is(leader.node.pendingProposals, 0);
  t.is((await write(cluster, follower!, 'k', 'v')).status, 'set');
});

test('bytes beyond the bound are refused as overloaded', async (t) => {
  const cluster = await startCluster({ raft: { uncommittedBytesMax: 1000 } });
  const leader = await cluster.leader();
  const first = leader.service.write(setOf('k', 'x'.repeat(1000)));
  t.deepEqual(await ended(cluster, leader.service.write(setOf('k', 'y'))), {
    as: 'overloaded not-applied',
    ms: 0,
  });
  t.is((await cluster.clock.until(first, 'the first write')).status, 'set');
});

test('reads that gave up are not remembered while the state machine is behind', async (t) => {
  const stateDelaysMs = new Map<string, number>();
  const cluster = await startCluster({ stateDelaysMs });
  const leader = await cluster.leader();
  const [behind] = cluster.followers();
  await write(cluster, leader, 'k', '1');
  await read(cluster, behind!, 'k');
  stateDelaysMs.set(behind!.id, 60_000);
  await write(cluster, leader, 'k', '2');
  const reads = Array.from({ length: 20 }, () => ended(cluster, behind!.service.read(['k'], 'linearizable')));
  for (const { as, ms } of await Promise.all(reads)) {
    t.is(as, 'no-quorum not-applied');
    t.true(ms <= REQUEST_TIMEOUT_MS, `${ms} ms`);
  }
  t.is(behind!.node.waitingReads, 0);
});

test('time without a quorum leaves nothing behind', async (t) => {
  const cluster = await startCluster();
  await cluster.leader();
  cluster.partition();
  await cluster.clock.run(2000);
  for (let round = 0; round < 5; round += 1) {
    const requests = cluster.nodes.flatMap(({ service }) => [
      ended(cluster, service.write(setOf('k', 'v'))),
      ended(cluster, service.read(['k'], 'linearizable')),
    ]);
    for (const { as } of await Promise.all(requests)) t.is(as, 'no-leader not-applied');
  }
  for (const { node } of cluster.nodes) {
    t.is(node.pendingProposals, 0);
    t.is(node.waitingReads, 0);
  }
  // What remains are the ticks of the three nodes, and their looks at the learners.
  t.is(cluster.clock.pendingTimers, 6);
});

test('a node that stops answers all that waits, and touches its closed stores no more', async (t) => {
  const stateDelaysMs = new Map<string, number>();
  const cluster = await startCluster({ stateDelaysMs });
  const leader = await cluster.leader();
  // Each operation of its state machine takes a while, so that one is in flight whenever it stops.
  stateDelaysMs.set(leader.id, 20);
  for (const stopAfterMs of [0, 3, 10, 25, 45]) {
    const node = cluster.node(leader.id);
    const requests = [1, 2, 3].flatMap((at) => [
      ended(cluster, node.service.write(setOf(`k${at}`, 'v'))),
      ended(cluster, node.service.read(['k1'], 'linearizable')),
      ended(cluster, node.service.read(['k1'], 'stale')),
    ]);
    await cluster.clock.run(stopAfterMs);
    const [stopped] = await Promise.all([cluster.stop(leader.id), cluster.clock.run(100)]);
    t.is(stopped, undefined);
    for (const { as } of await Promise.all(requests)) {
      t.regex(as, /^\{|^(leadership-lost unknown|shutting-down not-applied)$/);
    }
    t.deepEqual(await ended(cluster, node.service.write(setOf('k', 'v'))), {
      as: 'shutting-down not-applied',
      ms: 0,
    });
    for (const consistency of ['linearizable', 'stale'] as const) {
      t.is((await ended(cluster, node.service.read(['k'], consistency))).as, 'shutting-down not-applied');
    }
    await cluster.start(leader.id);
    await cluster.leader();
  }
});
