import test from 'ava';
import fc from 'fast-check';
import { rowsRead } from '../../kv/apply.js';
import type { Command, CommandResult, TxnOp, TxnOpResult } from '../../kv/command.js';
import { TXN_READ_BYTES_MAX, TXN_SESSION_READ_BYTES_MAX } from '../../kv/command.js';
import { DATA_BYTES_ROW, KEY_COUNT_ROW, expiryRow } from '../../kv/rows.js';
import { fewKeys, updates } from './arbitraries.js';
import { Machine } from './machine.js';

interface Known {
  readonly revision: number;
  readonly value: string;
  readonly deadlineMs: number;
}

/** What a user would say that commands do. */
class Model {
  readonly known = new Map<string, Known>();

  apply(command: Command, index: number, nowMs: number): CommandResult {
    switch (command.op) {
      case 'set':
      case 'delete': {
        const currentRevision = this.#revision(command.key);
        const wanted = command.ifRevision ?? currentRevision;
        const mustBeAbsent = command.op === 'set' && command.ifAbsent === true;
        const mustBePresent = command.ifPresent === true;
        if (
          wanted !== currentRevision ||
          (mustBeAbsent && currentRevision !== 0) ||
          (mustBePresent && currentRevision === 0)
        )
          return { status: 'revision-mismatch', currentRevision };
        const { status } = this.#change(command, index, nowMs);
        if (status === 'got' || status === 'missing') throw new Error('a write reads');
        return { status, revision: index };
      }
      case 'txn': {
        const failed = command.checks.flatMap(({ key, revision }, at) =>
          this.#revision(key) === revision ? [] : [at],
        );
        if (failed.length > 0) return { status: 'check-failed', failed };
        return {
          status: 'txn',
          revision: index,
          results: command.ops.map((op) => this.#change(op, index, nowMs)),
        };
      }
      case 'delete-prefix': {
        const keys = [...this.known.keys()].filter((key) => key.startsWith(command.prefix));
        for (const key of keys) this.known.delete(key);
        return { status: 'prefix-deleted', revision: index, deleted: keys.length };
      }
      case 'expire-keys': {
        const due = command.keys.filter(({ key, revision }) => {
          const { deadlineMs = 0 } = this.known.get(key) ?? {};
          if (this.#revision(key) !== revision || deadlineMs === 0 || deadlineMs > nowMs) return false;
          return this.known.delete(key);
        });
        return { status: 'expired', count: due.length };
      }
      default:
        throw new Error(`${command.op} is not modelled`);
    }
  }

  #revision(key: string): number {
    return this.known.get(key)?.revision ?? 0;
  }

  #change(op: TxnOp, revision: number, nowMs: number): TxnOpResult {
    const before = this.known.get(op.key);
    if (op.op === 'delete') return { status: this.known.delete(op.key) ? 'deleted' : 'not-found' };
    if (op.op === 'get') {
      if (before === undefined) return { status: 'missing' };
      const ttl = before.deadlineMs === 0 ? {} : { ttlMs: Math.max(0, Math.ceil(before.deadlineMs - nowMs)) };
      return { status: 'got', revision: before.revision, value: Buffer.from(before.value, 'hex'), ...ttl };
    }
    const deadlineMs = op.ttlMs === undefined ? 0 : nowMs + op.ttlMs;
    this.known.set(op.key, { revision, value: Buffer.from(op.value).toString('hex'), deadlineMs });
    return { status: 'set' };
  }

  entries(): object[] {
    return [...this.known]
      .map(([key, known]) => ({ key, ...known }))
      .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  }

  get bytes(): number {
    return [...this.known].reduce(
      (sum, [key, { value }]) => sum + Buffer.byteLength(key) + value.length / 2,
      0,
    );
  }

  /** The rows that find keys by their deadline, in order. */
  get expiryRows(): string[] {
    return [...this.known]
      .filter(([, { deadlineMs }]) => deadlineMs > 0)
      .map(([key, { deadlineMs }]) => expiryRow(deadlineMs, key))
      .toSorted();
  }
}

// Revisions that are likely to be those of the keys, and 0: "must be missing".
const step = fc.record({
  commands: fc.array(updates(fewKeys, fc.nat(25), fc.integer({ min: 1, max: 60 })), {
    minLength: 1,
    maxLength: 6,
  }),
  passMs: fc.nat(50),
});
const history = fc.array(step, { maxLength: 8 });

test('commands do what a naive model says, batch by batch: results, keys, counters and deadlines', (t) => {
  fc.assert(
    fc.property(history, (steps) => {
      const machine = new Machine();
      const model = new Model();
      let nowMs = 0;
      for (const { commands, passMs } of steps) {
        nowMs += passMs;
        const first = machine.index + 1;
        const results = machine.apply(nowMs, ...commands);
        t.deepEqual(
          results,
          commands.map((command, at) => model.apply(command, first + at, nowMs)),
        );
        t.deepEqual(machine.entries() as object[], model.entries());
        t.is(machine.count(KEY_COUNT_ROW), model.known.size);
        t.is(machine.count(DATA_BYTES_ROW), model.bytes);
        t.deepEqual(machine.rowsOf('x'), model.expiryRows);
      }
    }),
    { numRuns: 500 },
  );
});

test('how commands are cut into batches changes nothing', (t) => {
  fc.assert(
    fc.property(history, (steps) => {
      const together = new Machine();
      const apart = new Machine();
      const all = steps.flatMap(({ commands }) => commands);
      const results = together.apply(7, ...all);
      t.deepEqual(
        all.flatMap((command) => apart.apply(7, command)),
        results,
      );
      t.deepEqual(
        [...apart.rows].toSorted(([a], [b]) => (a < b ? -1 : 1)),
        [...together.rows].toSorted(([a], [b]) => (a < b ? -1 : 1)),
      );
    }),
  );
});

test('each row is read once, the counters and the clock among them', (t) => {
  const read = rowsRead([
    { op: 'delete', key: 'a' },
    { op: 'set', key: 'a', value: Buffer.alloc(0) },
    { op: 'txn', checks: [{ key: 'b', revision: 0 }], ops: [{ op: 'get', key: 'c' }] },
    { op: 'expire-keys', keys: [{ key: 'd', revision: 1 }] },
  ]);
  t.deepEqual(read.map(String), [
    'mkeys',
    'mbytes',
    'mclock',
    'mhistory',
    'mhistorybytes',
    'mhistorylost',
    'mchain',
    'ka',
    'kb',
    'kc',
    'kd',
  ]);
});

const value = Buffer.from('v');

test('a key goes when its time is over by the stamps of entries, and not a moment before', (t) => {
  const machine = new Machine();
  machine.apply(100, { op: 'set', key: 'a', value, ttlMs: 50 });
  const expire: Command = { op: 'expire-keys', keys: [{ key: 'a', revision: 1 }] };
  t.deepEqual(machine.apply(149.9, expire), [{ status: 'expired', count: 0 }]);
  // A stamp that goes back does not take log time with it.
  t.deepEqual(machine.apply(10, expire), [{ status: 'expired', count: 0 }]);
  t.deepEqual(machine.apply(150, expire), [{ status: 'expired', count: 1 }]);
  t.deepEqual(machine.apply(151, expire), [{ status: 'expired', count: 0 }]);
  t.deepEqual([machine.entries(), machine.rowsOf('x'), machine.count(KEY_COUNT_ROW)], [[], [], 0]);
});

test('a key that was written again, with or without a time to live, outlives what was found to be due', (t) => {
  const machine = new Machine();
  machine.apply(0, { op: 'set', key: 'a', value, ttlMs: 10 }, { op: 'set', key: 'b', value, ttlMs: 10 });
  machine.apply(5, { op: 'set', key: 'a', value }, { op: 'set', key: 'b', value, ttlMs: 10 });
  const keys = ['a', 'b'].flatMap((key) => [1, 2, 3, 4].map((revision) => ({ key, revision })));
  t.deepEqual(machine.apply(14, { op: 'expire-keys', keys }), [{ status: 'expired', count: 0 }]);
  t.deepEqual(
    machine.entries().map(({ key, deadlineMs }) => [key, deadlineMs]),
    [
      ['a', 0],
      ['b', 15],
    ],
  );
  t.deepEqual(machine.apply(15, { op: 'expire-keys', keys }), [{ status: 'expired', count: 1 }]);
});

test('a transaction that would read too much does nothing; what it wrote itself counts as well', (t) => {
  const machine = new Machine();
  const long = Buffer.alloc(TXN_READ_BYTES_MAX / 2);
  const [a, b, c] = ['a', 'b', 'c'].map((key) => ({ op: 'get', key }) as const);
  const set = { op: 'set', key: 'c', value } as const;
  machine.apply(0, { op: 'set', key: 'a', value: long }, { op: 'set', key: 'b', value: long });
  t.like(machine.apply(0, { op: 'txn', checks: [], ops: [a!, b!] })[0], { status: 'txn' });
  const before = machine.entries();
  t.deepEqual(machine.apply(0, { op: 'txn', checks: [], ops: [set, a!, b!, c!] }), [{ status: 'too-large' }]);
  t.deepEqual(machine.entries(), before);
  t.like(machine.apply(0, { op: 'txn', checks: [], ops: [a!, b!, { op: 'delete', key: 'c' }, c!] })[0], {
    status: 'txn',
  });
  const clientId = machine.register(0, 1000);
  const session = { clientId, seq: 0, lowestPending: 0 };
  const short = Buffer.alloc(TXN_SESSION_READ_BYTES_MAX + 1);
  machine.apply(0, { op: 'set', key: 'd', value: short });
  const tagged: Command = { op: 'txn', checks: [], ops: [{ op: 'get', key: 'd' }], session };
  t.deepEqual(machine.apply(0, tagged), [{ status: 'too-large' }]);
});

test('the end of what a prefix holds is not mistaken: the last code points, and keys that are the prefix itself', (t) => {
  const machine = new Machine();
  const all = ['a', 'a\u{10ffff}', 'a\u{10ffff}b', 'b', '\u007f', '\u0080'];
  for (const key of all) machine.apply(0, { op: 'set', key, value });
  t.like(machine.apply(0, { op: 'delete-prefix', prefix: 'a\u{10ffff}' })[0], { deleted: 2 });
  t.like(machine.apply(0, { op: 'delete-prefix', prefix: '\u007f' })[0], { deleted: 1 });
  t.deepEqual(
    machine.entries().map(({ key }) => key),
    ['a', 'b', '\u0080'],
  );
});
