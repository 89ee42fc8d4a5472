/** What other nodes forward is looked at before it is proposed, and comes back as it was decided. */

import test from 'ava';
import fc from 'fast-check';
import { encodeCommand } from '../../../kv/codec.js';
import type { Command, CommandResult } from '../../../kv/command.js';
import type { Node } from '../../../server/node.js';
import { systemClock } from '../../../server/clock.js';
import { controlMethods } from '../../../server/rpc/control-methods.js';
import { RpcError } from '../../../server/rpc/errors.js';
import { KV_METHODS, readProposalOutcomes, wireOutcome } from '../../../server/rpc/kv-wire.js';
import type { ProposalOutcome } from '../../../server/waiters.js';
import { updates } from '../../kv/arbitraries.js';
import { envelope, rosterOf } from './fixtures.js';

const VALUE_BYTES_MAX = 8;
const APPLIED: ProposalOutcome = { status: 'applied', index: 1, result: { status: 'set', revision: 1 } };

function leader(): { proposed: Buffer[]; call: (params: object) => Promise<unknown> } {
  const proposed: Buffer[] = [];
  const node: Pick<Node, 'propose'> = {
    propose(command) {
      proposed.push(Buffer.from(command));
      return Promise.resolve(APPLIED);
    },
  };
  const methods = controlMethods({
    roster: rosterOf('n1'),
    clock: systemClock,
    node: () => node as Node,
    space: () => ({ refuses: (command) => command.op === 'set' && command.value.length === 0 }),
    status: () => {
      throw new Error('nobody asks');
    },
    valueBytesMax: VALUE_BYTES_MAX,
    requestTimeoutMs: 1000,
  });
  const call = async (params: object): Promise<unknown> =>
    await methods[KV_METHODS.propose]!({ ...envelope(), timeoutMs: 1000, ...params }, {});
  return { proposed, call };
}

const text = (command: Command): string => encodeCommand(command).toString('base64');
const set = (key: string, bytes = 1): Command => ({ op: 'set', key, value: Buffer.alloc(bytes) });
const remove = (key: string): Command => ({ op: 'delete', key });

test('what is malformed, or beyond a bound, is refused with all that came with it', async (t) => {
  const { proposed, call } = leader();
  const long = Buffer.alloc(VALUE_BYTES_MAX + 1);
  const bad: [params: object, message: RegExp][] = [
    [{ commands: [text(set('a')), text(set('b', VALUE_BYTES_MAX + 1))] }, /commands\.1.*at most 8/],
    [
      { commands: [text({ op: 'txn', checks: [], ops: [{ op: 'set', key: 'a', value: long }] })] },
      /commands\.0.*at most 8/,
    ],
    [{ commands: [Buffer.from('nonsense').toString('base64')] }, /commands\.0/],
    [{ commands: [text(set(''))] }, /a key has 0 bytes/],
    [{ commands: [] }, /commands/],
    [{ commands: [text(set('a')), text(set('b'))], groups: [1] }, /groups/],
    [{ commands: [text(set('a'))], groups: [1, 1] }, /groups/],
    [{ commands: [text(set('a'))], groups: [0, 1] }, /groups/],
  ];
  for (const [params, message] of bad) {
    const error = await t.throwsAsync(call(params));
    t.true(error instanceof RpcError && error.code === -32602, String(error));
    t.regex(JSON.stringify([error.message, error]), message);
  }
  t.deepEqual(proposed, []);
});

test('commands of one request are in order per key, those of different requests do not hold up each other', async (t) => {
  const refused = { status: 'refused', why: 'disk-full' };
  const commands = [set('a', 0), remove('a'), remove('b')].map(text);
  const together = leader();
  t.deepEqual(await together.call({ commands, groups: [3] }), [refused, refused, APPLIED]);
  t.is(together.proposed.length, 1);
  const apart = leader();
  t.deepEqual(await apart.call({ commands, groups: [1, 2] }), [refused, APPLIED, APPLIED]);
  t.deepEqual(await leader().call({ commands }), [refused, APPLIED, APPLIED]);
});

test('whatever commands come, they are proposed as they are', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(updates(fc.constantFrom('a', 'b')), { minLength: 1 }), async (commands) => {
      const { proposed, call } = leader();
      const fits = commands.filter(
        (command) =>
          !(command.op === 'set' && (command.value.length > VALUE_BYTES_MAX || command.value.length === 0)) &&
          !(
            command.op === 'txn' &&
            command.ops.some((op) => op.op === 'set' && op.value.length > VALUE_BYTES_MAX)
          ),
      );
      if (fits.length === 0) return;
      await call({ commands: fits.map(text) });
      t.deepEqual(proposed, fits.map(encodeCommand));
    }),
    { numRuns: 50 },
  );
});

const RESULTS: readonly CommandResult[] = [
  { status: 'set', revision: 1 },
  { status: 'revision-mismatch', currentRevision: 0 },
  { status: 'expired', count: 3 },
  { status: 'prefix-deleted', revision: 4, deleted: 2 },
  { status: 'check-failed', failed: [0, 7] },
  { status: 'too-large' },
  {
    status: 'txn',
    revision: 9,
    results: [
      { status: 'set' },
      { status: 'deleted' },
      { status: 'not-found' },
      { status: 'missing' },
      { status: 'got', revision: 3, value: Buffer.from([0, 0xff]) },
      { status: 'got', revision: 4, value: Buffer.alloc(0), ttlMs: 0 },
    ],
  },
];

test('results come through as they are; what is none is not taken for one', (t) => {
  const outcomes = RESULTS.map((result): ProposalOutcome => ({ status: 'applied', index: 1, result }));
  const sent: unknown = JSON.parse(JSON.stringify(outcomes.map(wireOutcome)));
  t.deepEqual(readProposalOutcomes(sent, outcomes.length), outcomes);
  for (const result of [
    { status: 'txn', revision: 9, results: [{ status: 'got', revision: 3, value: '!', ttlMs: null }] },
    { status: 'txn', revision: 9, results: [{ status: 'read' }] },
    { status: 'txn', revision: -1, results: [] },
    { status: 'prefix-deleted', revision: 1 },
  ])
    t.is(readProposalOutcomes([{ status: 'applied', index: 1, result }], 1), undefined);
});
