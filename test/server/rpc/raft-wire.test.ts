import test from 'ava';
import fc from 'fast-check';
import type { Entry } from '../../../raft/entry.js';
import type { Message, Request, Response } from '../../../raft/messages.js';
import { RpcError } from '../../../server/rpc/errors.js';
import type { Envelope } from '../../../server/rpc/identity.js';
import { createPeerTransport } from '../../../server/rpc/peers.js';
import {
  decodeResponse,
  encodeRequest,
  encodeResponse,
  RAFT_METHODS,
} from '../../../server/rpc/raft-wire.js';
import { CLUSTER_ID, ELECTION_TIMEOUT_MS, envelope, inboxOf, rosterOf, silent } from './fixtures.js';

const from = { id: 'n2', incarnation: 'n2-disk' };
const to = { id: 'n1', incarnation: 'n1-disk' };
const wire: Envelope = { cluster: 'demo', clusterId: CLUSTER_ID, from, to };
const head = { from: 'n2', to: 'n1', term: 7 };

const entry = (index: number, term: number, text = ''): Entry => ({
  index,
  term,
  type: text === '' ? 'noop' : 'command',
  data: Buffer.from(text),
});

const REQUESTS: readonly Request[] = [
  { ...head, type: 'preVote', lastIndex: 5, lastTerm: 3 },
  { ...head, type: 'requestVote', lastIndex: 5, lastTerm: 3, transfer: true },
  { ...head, type: 'appendEntries', prevIndex: 0, prevTerm: 0, entries: [], commit: 0 },
  {
    ...head,
    type: 'appendEntries',
    prevIndex: 4,
    prevTerm: 3,
    entries: [entry(5, 3, 'a'), entry(6, 7), entry(7, 7, 'é€😀')],
    commit: Number.MAX_SAFE_INTEGER,
  },
  { ...head, type: 'heartbeat', commit: 4, round: 9 },
  {
    ...head,
    type: 'installSnapshot',
    snapshot: { index: 9, term: 3 },
    chunk: {
      snapshotId: '9-3-n1',
      bytesTotal: 9,
      offset: 4,
      data: Buffer.from('chunk'),
      checksum: 0xffff_ffff,
    },
  },
  { ...head, type: 'timeoutNow' },
];

/** A node's methods, and what got through them. */
function receiver(): { call: (method: string, params: unknown) => unknown; received: Message[] } {
  const inbox = inboxOf();
  const transport = createPeerTransport({
    roster: rosterOf('n1'),
    inbox,
    resolve: () => undefined,
    electionTimeoutMs: ELECTION_TIMEOUT_MS,
    logger: silent,
    callTimeoutMs: 1,
  });
  return {
    received: inbox.received,
    call(method, params) {
      const result = transport.methods[method]?.(params, {});
      // Nobody answers here; that is not what is tested.
      if (result instanceof Promise) result.catch(() => undefined);
      return result;
    },
  };
}

test('every request comes out as it went in', (t) => {
  for (const request of REQUESTS) {
    const { call, received } = receiver();
    void call(RAFT_METHODS[request.type], JSON.parse(JSON.stringify(encodeRequest(request, wire))));
    const numbered = request.type === 'timeoutNow' ? request : { ...request, call: 1 };
    t.deepEqual(received, [numbered], request.type);
  }
});

test('any bytes come out as they went in', (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (payloads) => {
      const entries = payloads.map((data, i): Entry => ({ index: i + 1, term: 1, type: 'command', data }));
      const { call, received } = receiver();
      const request: Request = {
        ...head,
        type: 'appendEntries',
        prevIndex: 0,
        prevTerm: 0,
        entries,
        commit: 0,
      };
      void call(RAFT_METHODS.appendEntries, JSON.parse(JSON.stringify(encodeRequest(request, wire))));
      const message = received[0];
      if (message?.type !== 'appendEntries') return false;
      return message.entries.every(({ data }, i) => Buffer.compare(data, payloads[i] ?? data) === 0);
    }),
    { numRuns: 50 },
  );
  t.pass();
});

test('every response comes out as it went in', (t) => {
  const responses: readonly [Request['type'], Response][] = [
    ['preVote', { ...head, type: 'preVoteResponse', granted: true }],
    ['requestVote', { ...head, type: 'requestVoteResponse', granted: false }],
    [
      'appendEntries',
      { ...head, type: 'appendEntriesResponse', success: false, index: 4, hintIndex: 3, hintTerm: 2 },
    ],
    [
      'appendEntries',
      {
        ...head,
        type: 'appendEntriesResponse',
        success: false,
        index: 4,
        hintIndex: 3,
        hintTerm: 2,
        lostEnd: true,
      },
    ],
    ['heartbeat', { ...head, type: 'heartbeatResponse', round: 12, needsSnapshot: 7 }],
    ['heartbeat', { ...head, type: 'heartbeatResponse', round: 12, needsSnapshot: 0, lostEnd: true }],
    [
      'installSnapshot',
      { ...head, type: 'installSnapshotResponse', snapshotId: 's', offset: 0, refusal: 'older', index: 0 },
    ],
    ['installSnapshot', { ...head, type: 'installSnapshotResponse', snapshotId: 's', offset: 3, index: 0 }],
    [
      'installSnapshot',
      { ...head, type: 'installSnapshotResponse', snapshotId: 's', offset: 0, stale: true, index: 0 },
    ],
  ];
  for (const [type, response] of responses) {
    const result: unknown = JSON.parse(JSON.stringify(encodeResponse({ ...response, call: 3 })));
    t.deepEqual(decodeResponse(type, result, 'n2', 'n1'), response);
  }
  t.is(decodeResponse('timeoutNow', {}, 'n2', 'n1'), undefined);
});

test('a result that is not what it should be is not believed', (t) => {
  for (const result of [
    null,
    {},
    { term: 1 },
    { term: -1, granted: true },
    { term: 2 ** 53, granted: true },
  ]) {
    t.throws(() => decodeResponse('preVote', result, 'n2', 'n1'));
  }
  t.throws(() => decodeResponse('heartbeat', { term: 1, round: 1, needsSnapshot: 0, extra: 1 }, 'n2', 'n1'), {
    message: /extra/,
  });
});

function refusal(method: string, params: unknown): { error: RpcError | undefined; received: Message[] } {
  const { call, received } = receiver();
  try {
    call(method, params);
  } catch (error) {
    if (error instanceof RpcError) return { error, received };
    throw error;
  }
  return { error: undefined, received };
}

test('numbers that are no term, index or round are refused by name, and reach nothing', (t) => {
  for (const request of REQUESTS) {
    const good = encodeRequest(request, wire);
    for (const [field, value] of Object.entries(good)) {
      if (typeof value !== 'number') continue;
      for (const bad of [2 ** 53, -1, 1.5, '1', null, true, [1], Number.NaN, undefined]) {
        const { error, received } = refusal(RAFT_METHODS[request.type], { ...good, [field]: bad });
        t.is(error?.code, -32602, `${request.type}.${field} = ${String(bad)}`);
        t.deepEqual(error?.data, { field });
        t.deepEqual(received, []);
      }
    }
  }
});

test('missing, unknown and wrong fields are refused by name, and reach nothing', (t) => {
  const vote = { ...envelope(), term: 1, lastIndex: 1, lastTerm: 1 };
  const append = { ...envelope(), term: 3, prevIndex: 4, prevTerm: 2, commit: 0 };
  const good = { index: 5, term: 3, type: 'command', data: 'YQ==' };
  const cases: readonly [string, unknown, string][] = [
    ['raft.requestVote', vote, 'transfer'],
    ['raft.requestVote', { ...vote, transfer: 'yes' }, 'transfer'],
    ['raft.preVote', { ...vote, extra: 1 }, 'extra'],
    ['raft.preVote', JSON.parse(JSON.stringify({ ...vote }).replace('{', '{"__proto__":{},')), '__proto__'],
    ['raft.appendEntries', { ...append, entries: {} }, 'entries'],
    ['raft.appendEntries', { ...append, entries: [null] }, 'entries.0'],
    ['raft.appendEntries', { ...append, entries: [{ ...good, type: 'other' }] }, 'entries.0.type'],
    ['raft.appendEntries', { ...append, entries: [{ ...good, index: 6 }] }, 'entries.0.index'],
    ['raft.appendEntries', { ...append, entries: [good, { ...good, index: 7 }] }, 'entries.1.index'],
    ['raft.appendEntries', { ...append, entries: [{ ...good, term: 4 }] }, 'entries.0.term'],
    ['raft.appendEntries', { ...append, entries: [{ ...good, term: 1 }] }, 'entries.0.term'],
    ['raft.appendEntries', { ...append, entries: [good, { ...good, index: 6, term: 2 }] }, 'entries.1.term'],
    ['raft.appendEntries', { ...append, entries: [{ ...good, data: 'YQ=' }] }, 'entries.0.data'],
    ['raft.appendEntries', { ...append, entries: [{ ...good, data: 'Y!==' }] }, 'entries.0.data'],
    ['raft.appendEntries', { ...append, entries: [{ ...good, more: 1 }] }, 'entries.0.more'],
    ['raft.appendEntries', { ...append, prevTerm: 4, entries: [] }, 'prevTerm'],
    [
      'raft.appendEntries',
      { ...append, prevIndex: Number.MAX_SAFE_INTEGER, entries: [{ ...good, index: 2 ** 53 }] },
      'entries.0.index',
    ],
  ];
  for (const [method, params, field] of cases) {
    const { error, received } = refusal(method, params);
    t.is(error?.code, -32602, field);
    t.deepEqual(error?.data, { field });
    t.true(error?.message.includes(field));
    t.deepEqual(received, []);
  }
});
