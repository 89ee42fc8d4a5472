import test from 'ava';
import { RAFT_METHODS } from '../../../server/rpc/raft-wire.js';
import type { Roster } from '../../../server/rpc/identity.js';
import { CLUSTER_ID, envelope, startNode } from './fixtures.js';
import type { TestNode } from './fixtures.js';

const BODIES: Record<string, object> = {
  [RAFT_METHODS.preVote]: { term: 9, lastIndex: 0, lastTerm: 0 },
  [RAFT_METHODS.requestVote]: { term: 9, lastIndex: 0, lastTerm: 0, transfer: false },
  [RAFT_METHODS.appendEntries]: { term: 9, prevIndex: 0, prevTerm: 0, entries: [], commit: 0 },
  [RAFT_METHODS.heartbeat]: { term: 9, commit: 0, round: 1 },
  [RAFT_METHODS.timeoutNow]: { term: 9 },
};

interface Answer {
  readonly result?: unknown;
  readonly error?: { code: number; message: string; data?: { field?: string } };
}

async function ask(node: TestNode, method: string, params: object): Promise<Answer> {
  const response = await node.served.post({ jsonrpc: '2.0', id: 1, method, params });
  return (await response.json()) as Answer;
}

function granting(roster: Partial<Roster> = {}): Promise<TestNode> {
  return startNode('n1', {
    roster,
    react: (message, transport) => {
      if (message.type === 'preVote') {
        const { from, to, term, call } = message;
        transport.send([
          { type: 'preVoteResponse', from: to, to: from, term, granted: true, call: call ?? 0 },
        ]);
      }
    },
  });
}

const person = (id: string, incarnation = `${id}-disk`): object => ({ id, incarnation });

test('every method refuses what is not for this node, and nothing reaches the core', async (t) => {
  const node = await granting({ isReplaced: (id, incarnation) => id === 'n3' && incarnation === 'old' });
  t.teardown(node.close);
  const good = envelope();
  const without = (field: string): object =>
    Object.fromEntries(Object.entries(good).filter(([key]) => key !== field));
  const cases: readonly [object, number, string][] = [
    [{}, -32004, 'cluster'],
    [without('cluster'), -32004, 'cluster'],
    [without('clusterId'), -32004, 'clusterId'],
    [{ ...good, clusterId: null }, -32004, 'clusterId'],
    [without('from'), -32004, 'from'],
    [without('to'), -32004, 'to'],
    [{ ...good, from: { id: 'n2' } }, -32004, 'from.incarnation'],
    [{ ...good, to: { incarnation: 'n1-disk' } }, -32004, 'to.id'],
    [{ ...good, from: 'n2' }, -32004, 'from'],
    [{ ...good, cluster: '' }, -32004, 'cluster'],
    [{ ...good, cluster: 'other' }, -32001, 'cluster'],
    [{ ...good, clusterId: 'c-2' }, -32001, 'clusterId'],
    [{ ...good, to: person('n3') }, -32002, 'to'],
    [{ ...good, to: person('n1', 'older-disk') }, -32002, 'to'],
    [{ ...good, from: person('n3', 'old') }, -32003, 'from'],
    [{ ...good, from: person('n1') }, -32003, 'from'],
  ];
  for (const [method, body] of Object.entries(BODIES)) {
    for (const [head, code, field] of cases) {
      const { error } = await ask(node, method, { ...head, ...body });
      t.is(error?.code, code, `${method} ${JSON.stringify(head)}`);
      t.is(error?.data?.field, field);
    }
  }
  t.deepEqual(node.inbox.received, []);
});

test('params by position do not say who calls', async (t) => {
  const node = await granting();
  t.teardown(node.close);
  t.is((await ask(node, RAFT_METHODS.preVote, [1, 2])).error?.code, -32004);
  t.deepEqual(node.inbox.received, []);
});

test('a sender that is merely unknown is heard', async (t) => {
  const node = await granting({ isReplaced: (id, incarnation) => id === 'n3' && incarnation === 'old' });
  t.teardown(node.close);
  const body = BODIES[RAFT_METHODS.preVote];
  for (const from of [person('n9'), person('n3', 'new')]) {
    const { result } = await ask(node, RAFT_METHODS.preVote, { ...envelope(), from, ...body });
    t.deepEqual(result, { term: 9, granted: true });
  }
  t.is(node.inbox.received.length, 2);
});

test('a node without a cluster id goes by the name and the incarnations', async (t) => {
  const node = await granting({ clusterId: () => undefined });
  t.teardown(node.close);
  const body = BODIES[RAFT_METHODS.preVote];
  for (const clusterId of [null, CLUSTER_ID]) {
    const { result } = await ask(node, RAFT_METHODS.preVote, { ...envelope(), clusterId, ...body });
    t.deepEqual(result, { term: 9, granted: true });
  }
});
