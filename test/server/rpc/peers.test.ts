import test from 'ava';
import type { ExecutionContext } from 'ava';
import type { Message, Request, Response } from '../../../raft/messages.js';
import { createDispatcher } from '../../../server/rpc/dispatch.js';
import { RpcError } from '../../../server/rpc/errors.js';
import type { PeerTransport } from '../../../server/rpc/peers.js';
import { RAFT_METHODS } from '../../../server/rpc/raft-wire.js';
import { connectChannel } from '../../../server/rpc/upgrade.js';
import { envelope, rejection, serve, silent, startNode, until } from './fixtures.js';
import type { NodeOptions, TestNode } from './fixtures.js';

/** What a core would answer, more or less: yes. */
function yes(message: Message, transport: PeerTransport): void {
  const head = {
    from: message.to,
    to: message.from,
    term: message.term,
    ...(message.call === undefined ? {} : { call: message.call }),
  };
  switch (message.type) {
    case 'preVote':
      transport.send([{ ...head, type: 'preVoteResponse', granted: true }]);
      break;
    case 'requestVote':
      transport.send([{ ...head, type: 'requestVoteResponse', granted: true }]);
      break;
    case 'appendEntries': {
      const index = message.prevIndex + message.entries.length;
      const answer = { success: true, index, hintIndex: 0, hintTerm: 0 };
      transport.send([{ ...head, type: 'appendEntriesResponse', ...answer }]);
      break;
    }
    case 'heartbeat':
      transport.send([{ ...head, type: 'heartbeatResponse', round: message.round, needsSnapshot: 0 }]);
      break;
    default:
  }
}

async function nodes(t: ExecutionContext, ...options: readonly NodeOptions[]): Promise<TestNode[]> {
  const started: TestNode[] = [];
  for (const [i, one] of options.entries()) {
    const node = await startNode(`n${i + 1}`, one);
    t.teardown(node.close);
    started.push(node);
  }
  for (const node of started) {
    for (const other of started) node.addresses.set(other.id, other.served.address);
  }
  return started;
}

const heartbeat = (from: string, to: string, round: number): Request => ({
  type: 'heartbeat',
  from,
  to,
  term: 1,
  commit: 0,
  round,
});

const rounds = (messages: readonly Message[]): number[] =>
  messages.flatMap((message) => (message.type === 'heartbeatResponse' ? [message.round] : []));

const warnings = (node: TestNode): string[] =>
  node.lines
    .filter(({ level }) => level !== 'debug')
    .map(({ level, fields }) => `${level} ${JSON.stringify(fields)}`);

test('three nodes: every request arrives, every response comes back to its sender', async (t) => {
  const [n1, n2, n3] = await nodes(t, { react: yes }, { react: yes }, { react: yes });
  const head = { from: 'n1', term: 4 };
  const requests = ['n2', 'n3'].flatMap((to): Request[] => [
    { ...head, to, type: 'preVote', lastIndex: 0, lastTerm: 0 },
    { ...head, to, type: 'requestVote', lastIndex: 0, lastTerm: 0, transfer: false },
    {
      ...head,
      to,
      type: 'appendEntries',
      prevIndex: 0,
      prevTerm: 0,
      entries: [{ index: 1, term: 4, type: 'command', data: Buffer.from('x') }],
      commit: 0,
    },
    { ...head, to, type: 'heartbeat', commit: 1, round: 8 },
    { ...head, to, type: 'timeoutNow' },
  ]);
  n1!.transport.send(requests);
  n2!.transport.send([heartbeat('n2', 'n1', 5)]);
  await until(() => n1!.inbox.received.length === 9 && n2!.inbox.received.length === 6, 'all arrive');
  await until(() => n3!.inbox.received.length === 5, 'all arrive at n3');
  const from = (id: string): Message[] => n1!.inbox.received.filter((message) => message.from === id);
  const back = { to: 'n1', term: 4 };
  const expected = (id: string): Response[] => [
    { ...back, from: id, type: 'preVoteResponse', granted: true },
    { ...back, from: id, type: 'requestVoteResponse', granted: true },
    { ...back, from: id, type: 'appendEntriesResponse', success: true, index: 1, hintIndex: 0, hintTerm: 0 },
    { ...back, from: id, type: 'heartbeatResponse', round: 8, needsSnapshot: 0 },
  ];
  t.deepEqual(from('n2').filter(({ type }) => type !== 'heartbeat') as Response[], expected('n2'));
  t.deepEqual(from('n3') as Response[], expected('n3'));
  const sent = requests
    .slice(5)
    .map((message, i) => (message.type === 'timeoutNow' ? message : { ...message, call: i + 1 }));
  t.deepEqual(n3!.inbox.received, sent);
  t.deepEqual(warnings(n1!), []);
});

test('messages to one peer arrive in order, also those sent while the connection is made', async (t) => {
  const [n1, n2] = await nodes(t, { react: yes }, { react: yes });
  n1!.transport.send(Array.from({ length: 20 }, (_, round) => heartbeat('n1', 'n2', round)));
  await until(() => n1!.inbox.received.length === 20, 'the first answers');
  n1!.transport.send(Array.from({ length: 64 }, (_, round) => heartbeat('n1', 'n2', 20 + round)));
  await until(() => n1!.inbox.received.length === 84, 'the other answers');
  t.deepEqual(
    rounds(n1!.inbox.received),
    Array.from({ length: 84 }, (_, round) => round),
  );
  t.is(n2!.served.sockets.length, 1);
});

test('a peer that restarts on its port is reached again; one line when it goes, one when it is back', async (t) => {
  const [n1, n2] = await nodes(t, { react: yes }, { react: yes });
  n1!.transport.send([heartbeat('n1', 'n2', 1)]);
  await until(() => n1!.inbox.received.length === 1, 'the first answer');
  await n2!.close();
  await until(() => n1!.inbox.unreached.length === 1, 'n2 is unreachable');
  for (let i = 0; i < 5; i += 1) {
    const before = n1!.inbox.unreached.length;
    await until(() => {
      n1!.transport.send([heartbeat('n1', 'n2', 2)]);
      return n1!.inbox.unreached.length > before;
    }, 'another attempt fails');
  }
  const again = await startNode('n2', { react: yes, port: n2!.served.port });
  t.teardown(again.close);
  await until(() => {
    n1!.transport.send([heartbeat('n1', 'n2', 3)]);
    return rounds(n1!.inbox.received).includes(3);
  }, 'n2 answers again');
  const said = warnings(n1!);
  t.is(said.length, 2, said.join('\n'));
  t.regex(said[0] ?? '', /^warn .*n2/);
  t.regex(said[1] ?? '', /^info .*n2/);
});

test('nothing is attempted while nothing is sent, and attempts keep their distance', async (t) => {
  const [n1] = await nodes(t, {});
  const dead = await serve({});
  n1!.addresses.set('n2', dead.address);
  await dead.close();
  const began = performance.now();
  await until(() => {
    n1!.transport.send([heartbeat('n1', 'n2', 1)]);
    return performance.now() - began > 400;
  }, 'time passes');
  // At once twice, then (the shortest waits, by the random number) after 25, 50, 100 and 200 ms.
  const attempts = n1!.inbox.unreached.length;
  t.true(attempts >= 3 && attempts <= 7, `${attempts} attempts`);
});

test('a peer with other election timeouts is refused on either side, and told why', async (t) => {
  const [n1, n2] = await nodes(
    t,
    { react: yes },
    { react: yes, transport: { electionTimeoutMs: [1000, 2000] } },
  );
  n1!.transport.send([heartbeat('n1', 'n2', 1)]);
  n2!.transport.send([heartbeat('n2', 'n1', 1)]);
  await until(() => n1!.inbox.unreached.length === 1 && n2!.inbox.unreached.length === 1, 'both refuse');
  t.deepEqual([n1!.inbox.received, n2!.inbox.received], [[], []]);
  const expected = /election timeouts of 1000 to 2000 ms, n1 of 150 to 300 ms: set raft\.electionTimeout/;
  t.regex(warnings(n1!).join('\n'), expected);
  t.is(warnings(n1!).length, 1);
});

test('a hello from another cluster, for another node, of another version or from a replaced disk is refused', async (t) => {
  const [n1] = await nodes(t, { roster: { isReplaced: (id) => id === 'n3' } });
  const hello = {
    cluster: 'demo',
    clusterId: null,
    from: { id: 'n2', incarnation: 'x' },
    toId: 'n1',
    electionTimeoutMs: [150, 300],
    protocol: 1,
  };
  const code = async (change: object): Promise<number | undefined> => {
    const params = { ...hello, ...change };
    const response = await n1!.served.post({ jsonrpc: '2.0', id: 1, method: 'raft.hello', params });
    return ((await response.json()) as { error?: { code: number } }).error?.code;
  };
  t.is(await code({}), undefined);
  t.is(await code({ cluster: 'other' }), -32001);
  t.is(await code({ clusterId: 'c-2' }), -32001);
  t.is(await code({ toId: 'n9' }), -32002);
  t.is(await code({ from: { id: 'n3', incarnation: 'x' } }), -32003);
  t.is(await code({ protocol: 2 }), -32005);
  t.is(await code({ electionTimeoutMs: [150, 301] }), -32005);
  t.is(await code({ electionTimeoutMs: 150 }), -32602);
  t.is(await code({ extra: 1 }), -32602);
});

test('a peer whose disk was replaced is not taken for the old one', async (t) => {
  const [n1, n2] = await nodes(
    t,
    {},
    { react: yes, roster: { self: () => ({ id: 'n2', incarnation: 'new-disk' }) } },
  );
  n1!.transport.send([heartbeat('n1', 'n2', 1)]);
  await until(() => n1!.inbox.unreached.length === 1, 'it is refused');
  t.regex(warnings(n1!).join('\n'), /n2 \(new-disk\), not n2 \(n2-disk\)/);
  t.deepEqual(n2!.inbox.received, []);
});

test('a connection on which the sender turns out to be replaced is given up', async (t) => {
  let replaced = false;
  const [n1, n2] = await nodes(t, {}, { react: yes, roster: { isReplaced: () => replaced } });
  n1!.transport.send([heartbeat('n1', 'n2', 1)]);
  await until(() => n1!.inbox.received.length === 1, 'the first answer');
  replaced = true;
  n1!.transport.send([heartbeat('n1', 'n2', 2)]);
  await until(() => n1!.inbox.unreached.length === 1, 'it is refused');
  t.is(n2!.inbox.received.length, 1);
});

test('calls under way when the connection breaks are lost messages: said once, nothing received', async (t) => {
  const [n1, n2] = await nodes(t, {}, {});
  n1!.transport.send(Array.from({ length: 10 }, (_, round) => heartbeat('n1', 'n2', round)));
  await until(() => n2!.inbox.received.length === 10, 'they arrive');
  for (const socket of n2!.served.sockets) socket.destroy();
  await until(() => n1!.inbox.unreached.length > 0, 'the loss is noticed');
  // What the core answers now has nowhere to go.
  for (const message of n2!.inbox.received) yes(message, n2!.transport);
  n1!.transport.send([heartbeat('n1', 'n2', 99)]);
  await until(() => n2!.inbox.received.length === 11, 'a new connection');
  t.deepEqual(n1!.inbox.unreached, ['n2']);
  t.deepEqual(n1!.inbox.received, []);
  t.is(n2!.lines.filter(({ message }) => message === 'an answer came too late').length, 10);
});

test('a connection serves consensus only after a hello', async (t) => {
  const [n1] = await nodes(t, { react: yes });
  const dispatcher = createDispatcher({}, silent);
  const options = { dispatcher, logger: silent, connectTimeoutMs: 1000 };
  const channel = await connectChannel(n1!.served.address, options);
  const params = { ...envelope(), term: 1, commit: 0, round: 1 };
  const error = await rejection(t, channel.request(RAFT_METHODS.heartbeat, params, 1000));
  t.true(error instanceof RpcError && error.code === -32005);
  t.deepEqual(n1!.inbox.received, []);
  channel.close('done');
});

test('a POST is answered by the core, or after the deadline with -32006', async (t) => {
  let silently = false;
  const react: NodeOptions['react'] = (message, transport) => {
    if (!silently) yes(message, transport);
  };
  const [n1] = await nodes(t, { react, transport: { callTimeoutMs: 30 } });
  const post = async (): Promise<unknown> => {
    const params = { ...envelope(), term: 3, lastIndex: 0, lastTerm: 0, transfer: false };
    return (
      await n1!.served.post({ jsonrpc: '2.0', id: 'v', method: RAFT_METHODS.requestVote, params })
    ).json();
  };
  t.deepEqual(await post(), { jsonrpc: '2.0', id: 'v', result: { term: 3, granted: true } });
  silently = true;
  const { error } = (await post()) as { error: { code: number } };
  t.is(error.code, -32006);
  yes(n1!.inbox.received[1]!, n1!.transport);
  t.is(n1!.lines.filter(({ message }) => message === 'an answer came too late').length, 1);
});

test('calls that wait for the core are bounded', async (t) => {
  const [n1] = await nodes(t, { transport: { inboundCallsMax: 2, callTimeoutMs: 200 } });
  const call = { jsonrpc: '2.0', method: RAFT_METHODS.heartbeat };
  const params = { ...envelope(), term: 1, commit: 0, round: 1 };
  const response = await n1!.served.post([1, 2, 3].map((id) => ({ ...call, params, id })));
  const answers = (await response.json()) as { error: { code: number; data?: unknown } }[];
  t.deepEqual(
    answers.map(({ error }) => error.code),
    [-32006, -32006, -32010],
  );
  t.deepEqual(answers[2]?.error.data, { code: 'overloaded', outcome: 'not-applied' });
  t.is(n1!.inbox.received.length, 2);
});

test('a message to nobody known is dropped; a closed transport sends and takes nothing', async (t) => {
  const [n1, n2] = await nodes(t, { react: yes }, { react: yes });
  n1!.transport.send([heartbeat('n1', 'n9', 1)]);
  t.deepEqual(n1!.inbox.unreached, []);
  n1!.transport.send([heartbeat('n1', 'n2', 1)]);
  await until(() => n1!.inbox.received.length === 1, 'an answer');
  n1!.transport.close();
  n1!.transport.send([heartbeat('n1', 'n2', 2)]);
  const params = { ...envelope(), term: 1, commit: 0, round: 1 };
  const response = await n1!.served.post({ jsonrpc: '2.0', id: 1, method: RAFT_METHODS.heartbeat, params });
  t.is(((await response.json()) as { error: { code: number } }).error.code, -32006);
  t.is(n1!.inbox.received.length, 1);
  t.is(n2!.inbox.received.length, 1);
  t.deepEqual(warnings(n1!), []);
});

test('what was sent just before the transport closes still arrives', async (t) => {
  const [n1, n2] = await nodes(t, { react: yes }, { react: yes });
  n1!.transport.send([heartbeat('n1', 'n2', 1)]);
  await until(() => n1!.inbox.received.length === 1, 'an answer');
  n1!.transport.send([{ type: 'timeoutNow', from: 'n1', to: 'n2', term: 1 }]);
  n1!.transport.close();
  await until(() => n2!.inbox.received.length === 2, 'it arrives');
  t.is(n2!.inbox.received[1]?.type, 'timeoutNow');
});
