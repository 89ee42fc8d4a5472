import test from 'ava';
import fc from 'fast-check';
import type { CommandResult, SessionTag, Update, Write } from '../../kv/command.js';
import { SESSION_WINDOW } from '../../kv/command.js';
import { SESSION_COUNT_ROW } from '../../kv/session-rows.js';
import { commands, fewKeys } from './arbitraries.js';
import { Machine } from './machine.js';

const TTL_MS = 1000;

function put(key: string, value: string, session?: SessionTag): Write {
  return { op: 'set', key, value: Buffer.from(value), ...(session === undefined ? {} : { session }) };
}

test('a repeated write gets the first result and changes nothing', (t) => {
  const machine = new Machine();
  const clientId = machine.register(0, TTL_MS);
  const tag = { clientId, seq: 0, lowestPending: 0 };
  const [first] = machine.apply(1, put('a', '1', tag));
  machine.apply(2, put('a', '2'));
  t.deepEqual(machine.apply(3, put('a', '1', tag)), [first!]);
  t.deepEqual(machine.apply(4, { op: 'delete', key: 'a', ifRevision: 3 }), [
    { status: 'deleted', revision: 5 },
  ]);
});

test('a repeat within one batch, and of a refused condition, gets the first result too', (t) => {
  const machine = new Machine();
  const clientId = machine.register(0, TTL_MS);
  const refused: Write = { ...put('a', '1', { clientId, seq: 0, lowestPending: 0 }), ifRevision: 7 };
  const [one, two] = machine.apply(1, refused, refused);
  t.deepEqual(one, { status: 'revision-mismatch', currentRevision: 0 });
  t.deepEqual(two, one);
  machine.apply(2, put('a', 'x'));
  t.deepEqual(machine.apply(3, refused), [one!]);
});

test('an unknown session, an answered number and one used for another write are refused, and change nothing', (t) => {
  const machine = new Machine();
  const clientId = machine.register(0, TTL_MS);
  machine.apply(1, put('a', '1', { clientId, seq: 3, lowestPending: 3 }));
  const before = [...machine.rows];
  const expired = [{ status: 'session-expired' }];
  const conflict = [{ status: 'session-conflict' }];
  t.deepEqual(machine.apply(1, put('a', '2', { clientId: 99, seq: 0, lowestPending: 0 })), expired);
  t.deepEqual(machine.apply(1, put('a', '2', { clientId, seq: 2, lowestPending: 0 })), expired);
  t.deepEqual(machine.apply(1, put('a', '2', { clientId, seq: 3, lowestPending: 3 })), conflict);
  t.deepEqual(machine.apply(1, put('b', '1', { clientId, seq: 3, lowestPending: 3 })), conflict);
  t.deepEqual(
    machine.apply(1, put('a', '1', { clientId, seq: 3 + SESSION_WINDOW, lowestPending: 3 })),
    conflict,
  );
  t.deepEqual([...machine.rows], before);
});

test('results below the lowest pending number are forgotten, the others kept', (t) => {
  const machine = new Machine();
  const clientId = machine.register(0, TTL_MS);
  for (let seq = 0; seq < 5; seq += 1)
    machine.apply(1, put('a', `${seq}`, { clientId, seq, lowestPending: 0 }));
  t.is(machine.rowsOf('r').length, 5);
  machine.apply(1, put('a', '5', { clientId, seq: 5, lowestPending: 4 }));
  t.is(machine.rowsOf('r').length, 2);
  t.like(machine.apply(1, put('a', '4', { clientId, seq: 4, lowestPending: 4 }))[0], { status: 'set' });
});

test('a session expires by log time, which never goes back; only an entry ends it', (t) => {
  const machine = new Machine();
  const idle = machine.register(0, TTL_MS);
  const busy = machine.register(0, TTL_MS);
  machine.apply(TTL_MS, put('a', '1', { clientId: busy, seq: 0, lowestPending: 0 }));
  t.deepEqual(machine.apply(TTL_MS, { op: 'expire-sessions', clientIds: [idle, busy] }), [
    { status: 'expired', count: 0 },
  ]);
  machine.apply(TTL_MS + 1, put('b', '1'));
  // A new leader's clock may begin a little earlier.
  t.deepEqual(machine.apply(5, put('a', '1', { clientId: idle, seq: 0, lowestPending: 0 })), [
    { status: 'session-expired' },
  ]);
  t.is(machine.count(SESSION_COUNT_ROW), 2);
  t.deepEqual(machine.apply(5, { op: 'expire-sessions', clientIds: [idle, busy, 77] }), [
    { status: 'expired', count: 1 },
  ]);
  t.is(machine.count(SESSION_COUNT_ROW), 1);
  t.is(machine.rowsOf('s').length, 1);
  t.like(machine.apply(6, put('a', '2', { clientId: busy, seq: 1, lowestPending: 0 }))[0], { status: 'set' });
});

test('the end of a session takes its results with it', (t) => {
  const machine = new Machine();
  const clientId = machine.register(0, TTL_MS);
  for (const seq of [0, 3, 9]) machine.apply(0, put('a', `${seq}`, { clientId, seq, lowestPending: 0 }));
  machine.apply(TTL_MS + 1, { op: 'expire-sessions', clientIds: [clientId] });
  t.is(machine.rowsOf('r').length + machine.rowsOf('s').length + machine.count(SESSION_COUNT_ROW), 0);
});

test('sessions are bounded', (t) => {
  const machine = new Machine();
  machine.register(0, TTL_MS, 2);
  machine.register(0, TTL_MS, 2);
  t.deepEqual(machine.apply(0, { op: 'register', ttlMs: TTL_MS, sessionsMax: 2 }), [
    { status: 'sessions-full' },
  ]);
  t.is(machine.count(SESSION_COUNT_ROW), 2);
});

test('however writes are doubled and reordered on their way, each is applied once', (t) => {
  const arrivals = fc.array(fc.tuple(fc.nat(9), fc.boolean()), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.array(commands(fewKeys), { minLength: 10, maxLength: 10 }), arrivals, (writes, order) => {
      const machine = new Machine();
      const once = new Machine();
      const clientId = machine.register(0, TTL_MS);
      once.register(0, TTL_MS);
      const results = new Map<number, CommandResult>();
      for (const [seq] of order) {
        const write: Write = { ...writes[seq]!, session: { clientId, seq, lowestPending: 0 } };
        const [result] = machine.apply(0, write);
        const known = results.get(seq);
        if (known !== undefined) t.deepEqual(result, known);
        else results.set(seq, result!);
      }
      // Without the repeats the keys are the same, but for the indexes that the repeats took.
      const firsts = [...results.keys()];
      for (const seq of firsts)
        once.apply(0, { ...writes[seq]!, session: { clientId, seq, lowestPending: 0 } });
      const noConditions = firsts.every((seq) => writes[seq]!.ifRevision === undefined);
      if (noConditions) t.is(machine.rowsOf('k').length, once.rowsOf('k').length);
    }),
    { numRuns: 200 },
  );
});

test('a transaction and a delete of a prefix are applied once, too, and their whole results are kept', (t) => {
  const machine = new Machine();
  const clientId = machine.register(0, TTL_MS);
  machine.apply(0, { ...put('a', '1'), ttlMs: 100 } as Write, put('p/1', '1'), put('p/2', '1'));
  const txn: Update = {
    op: 'txn',
    checks: [],
    ops: [
      { op: 'get', key: 'a' },
      { op: 'get', key: 'none' },
      { op: 'set', key: 'a', value: Buffer.from('2') },
      { op: 'delete', key: 'p/1' },
      { op: 'delete', key: 'none' },
      { op: 'get', key: 'a' },
    ],
    session: { clientId, seq: 0, lowestPending: 0 },
  };
  const failing: Update = {
    op: 'txn',
    checks: [
      { key: 'a', revision: 5 },
      { key: 'a', revision: 99 },
    ],
    ops: [],
    session: { clientId, seq: 1, lowestPending: 0 },
  };
  const sweep: Update = {
    op: 'delete-prefix',
    prefix: 'p/',
    session: { clientId, seq: 2, lowestPending: 0 },
  };
  const first = machine.apply(10, txn, failing, sweep);
  t.deepEqual(first, [
    {
      status: 'txn',
      revision: 5,
      results: [
        { status: 'got', revision: 2, ttlMs: 90, value: Buffer.from('1') },
        { status: 'missing' },
        { status: 'set' },
        { status: 'deleted' },
        { status: 'not-found' },
        { status: 'got', revision: 5, value: Buffer.from('2') },
      ],
    },
    { status: 'check-failed', failed: [1] },
    { status: 'prefix-deleted', revision: 7, deleted: 1 },
  ]);
  machine.apply(11, put('a', '3'), put('p/3', '1'));
  const before = machine.entries();
  t.deepEqual(machine.apply(12, txn, failing, sweep), first);
  t.deepEqual(machine.entries(), before);
  const other: Update = { ...txn, ops: txn.ops.slice(1) };
  t.deepEqual(machine.apply(12, other), [{ status: 'session-conflict' }]);
});
