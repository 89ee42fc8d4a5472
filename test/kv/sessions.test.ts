import test from 'ava';
import fc from 'fast-check';
import type { Proposed } from '../../kv/apply.js';
import { applyAll, rowsRead } from '../../kv/apply.js';
import type { Command, CommandResult, SessionTag, Write } from '../../kv/command.js';
import { SESSION_WINDOW } from '../../kv/command.js';
import { decodeCount } from '../../kv/rows.js';
import { SESSION_COUNT_ROW } from '../../kv/sessions.js';
import { WorkingSet } from '../../kv/working-set.js';
import { commands, fewKeys } from './arbitraries.js';

const TTL_MS = 1000;

/** A state machine on a map of rows. */
class Machine {
  readonly rows = new Map<string, Buffer>();
  #index = 0;

  apply(stampMs: number, ...batch: readonly Command[]): CommandResult[] {
    const read = rowsRead(batch);
    const set = new WorkingSet(
      read,
      read.map((row) => this.rows.get(row.toString('hex'))),
    );
    const proposed = batch.map((command): Proposed => ({ command, index: ++this.#index, stampMs }));
    const results = applyAll(set, proposed);
    const { puts, deletes } = set.changes();
    for (const row of deletes) this.rows.delete(row.toString('hex'));
    for (const [row, value] of puts) this.rows.set(row.toString('hex'), value);
    return results;
  }

  register(stampMs: number, sessionsMax = 10): number {
    const [result] = this.apply(stampMs, { op: 'register', ttlMs: TTL_MS, sessionsMax });
    if (result?.status !== 'registered') throw new Error(`not registered: ${result?.status}`);
    return result.clientId;
  }

  get sessions(): number {
    return decodeCount(this.rows.get(SESSION_COUNT_ROW.toString('hex')));
  }

  rowsOf(prefix: string): number {
    return [...this.rows.keys()].filter((row) => row.startsWith(Buffer.from(prefix).toString('hex'))).length;
  }
}

function put(key: string, value: string, session?: SessionTag): Write {
  return { op: 'set', key, value: Buffer.from(value), ...(session === undefined ? {} : { session }) };
}

test('a repeated write gets the first result and changes nothing', (t) => {
  const machine = new Machine();
  const clientId = machine.register(0);
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
  const clientId = machine.register(0);
  const refused: Write = { ...put('a', '1', { clientId, seq: 0, lowestPending: 0 }), ifRevision: 7 };
  const [one, two] = machine.apply(1, refused, refused);
  t.deepEqual(one, { status: 'revision-mismatch', currentRevision: 0 });
  t.deepEqual(two, one);
  machine.apply(2, put('a', 'x'));
  t.deepEqual(machine.apply(3, refused), [one!]);
});

test('an unknown session, an answered number and one used for another write are refused, and change nothing', (t) => {
  const machine = new Machine();
  const clientId = machine.register(0);
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
  const clientId = machine.register(0);
  for (let seq = 0; seq < 5; seq += 1)
    machine.apply(1, put('a', `${seq}`, { clientId, seq, lowestPending: 0 }));
  t.is(machine.rowsOf('r'), 5);
  machine.apply(1, put('a', '5', { clientId, seq: 5, lowestPending: 4 }));
  t.is(machine.rowsOf('r'), 2);
  t.like(machine.apply(1, put('a', '4', { clientId, seq: 4, lowestPending: 4 }))[0], { status: 'set' });
});

test('a session expires by log time, which never goes back; only an entry ends it', (t) => {
  const machine = new Machine();
  const idle = machine.register(0);
  const busy = machine.register(0);
  machine.apply(TTL_MS, put('a', '1', { clientId: busy, seq: 0, lowestPending: 0 }));
  t.deepEqual(machine.apply(TTL_MS, { op: 'expire', clientIds: [idle, busy] }), [
    { status: 'expired', sessions: 0 },
  ]);
  machine.apply(TTL_MS + 1, put('b', '1'));
  // A new leader's clock may begin a little earlier.
  t.deepEqual(machine.apply(5, put('a', '1', { clientId: idle, seq: 0, lowestPending: 0 })), [
    { status: 'session-expired' },
  ]);
  t.is(machine.sessions, 2);
  t.deepEqual(machine.apply(5, { op: 'expire', clientIds: [idle, busy, 77] }), [
    { status: 'expired', sessions: 1 },
  ]);
  t.is(machine.sessions, 1);
  t.is(machine.rowsOf('s'), 1);
  t.like(machine.apply(6, put('a', '2', { clientId: busy, seq: 1, lowestPending: 0 }))[0], { status: 'set' });
});

test('the end of a session takes its results with it', (t) => {
  const machine = new Machine();
  const clientId = machine.register(0);
  for (const seq of [0, 3, 9]) machine.apply(0, put('a', `${seq}`, { clientId, seq, lowestPending: 0 }));
  machine.apply(TTL_MS + 1, { op: 'expire', clientIds: [clientId] });
  t.is(machine.rowsOf('r') + machine.rowsOf('s') + machine.sessions, 0);
});

test('sessions are bounded', (t) => {
  const machine = new Machine();
  machine.register(0, 2);
  machine.register(0, 2);
  t.deepEqual(machine.apply(0, { op: 'register', ttlMs: TTL_MS, sessionsMax: 2 }), [
    { status: 'sessions-full' },
  ]);
  t.is(machine.sessions, 2);
});

test('however writes are doubled and reordered on their way, each is applied once', (t) => {
  const arrivals = fc.array(fc.tuple(fc.nat(9), fc.boolean()), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.array(commands(fewKeys), { minLength: 10, maxLength: 10 }), arrivals, (writes, order) => {
      const machine = new Machine();
      const once = new Machine();
      const clientId = machine.register(0);
      once.register(0);
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
      if (noConditions) t.is(machine.rowsOf('k'), once.rowsOf('k'));
    }),
    { numRuns: 200 },
  );
});
