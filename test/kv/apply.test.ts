import test from 'ava';
import fc from 'fast-check';
import { applyAll, rowsRead } from '../../kv/apply.js';
import type { CommandResult, Write } from '../../kv/command.js';
import { KEY_COUNT_ROW, decodeCount, decodeValue, keyOfRow } from '../../kv/rows.js';
import { WorkingSet } from '../../kv/working-set.js';
import { commands, fewKeys } from './arbitraries.js';

interface Known {
  readonly revision: number;
  readonly value: string;
}

/** What a user would say that a command does. */
function naive(model: Map<string, Known>, command: Write, index: number): CommandResult {
  const currentRevision = model.get(command.key)?.revision ?? 0;
  const wanted = command.ifRevision ?? currentRevision;
  const mustBeAbsent = command.op === 'set' && command.ifAbsent === true;
  if (wanted !== currentRevision || (mustBeAbsent && currentRevision !== 0))
    return { status: 'revision-mismatch', currentRevision };
  if (command.op === 'delete')
    return { status: model.delete(command.key) ? 'deleted' : 'not-found', revision: index };
  model.set(command.key, { revision: index, value: Buffer.from(command.value).toString('hex') });
  return { status: 'set', revision: index };
}

/** Rows as a store keeps them, by their bytes in hex. */
type Rows = Map<string, Buffer>;

function applyBatch(rows: Rows, batch: readonly Write[], firstIndex: number): CommandResult[] {
  const read = rowsRead(batch);
  const set = new WorkingSet(
    read,
    read.map((row) => rows.get(row.toString('hex'))),
  );
  const results = applyAll(
    set,
    batch.map((command, at) => ({ command, index: firstIndex + at, stampMs: 0 })),
  );
  const { puts, deletes } = set.changes();
  for (const row of deletes) rows.delete(row.toString('hex'));
  for (const [row, value] of puts) rows.set(row.toString('hex'), value);
  return results;
}

function modelOf(rows: Rows): { known: Map<string, Known>; count: number } {
  const known = new Map<string, Known>();
  for (const [hex, record] of rows) {
    const row = Buffer.from(hex, 'hex');
    if (row.equals(KEY_COUNT_ROW)) continue;
    const { revision, value } = decodeValue(record);
    known.set(keyOfRow(row), { revision, value: value.toString('hex') });
  }
  return { known, count: decodeCount(rows.get(KEY_COUNT_ROW.toString('hex'))) };
}

function sorted(known: Map<string, Known>): [string, Known][] {
  return [...known].sort(([a], [b]) => (a < b ? -1 : 1));
}

// Revisions that are likely to be those of the keys, and 0: "must be missing".
const history = fc.array(fc.array(commands(fewKeys, fc.nat(25)), { minLength: 1, maxLength: 6 }), {
  maxLength: 6,
});

test('commands do what a naive model says, batch by batch: results, rows and count', (t) => {
  fc.assert(
    fc.property(history, (batches) => {
      const rows: Rows = new Map();
      const model = new Map<string, Known>();
      let index = 1;
      for (const batch of batches) {
        const first = index;
        const results = applyBatch(rows, batch, first);
        index += batch.length;
        t.deepEqual(
          results,
          batch.map((command, at) => naive(model, command, first + at)),
        );
        const { known, count } = modelOf(rows);
        t.deepEqual(sorted(known), sorted(model));
        t.is(count, model.size);
      }
    }),
    { numRuns: 300 },
  );
});

test('how commands are cut into batches changes nothing', (t) => {
  fc.assert(
    fc.property(history, (batches) => {
      const together: Rows = new Map();
      const apart: Rows = new Map();
      const all = batches.flat();
      const results = applyBatch(together, all, 1);
      t.deepEqual(
        all.flatMap((command, at) => applyBatch(apart, [command], 1 + at)),
        results,
      );
      t.deepEqual(sorted(modelOf(apart).known), sorted(modelOf(together).known));
      t.is(modelOf(apart).count, modelOf(together).count);
    }),
  );
});

test('each row is read once, the counter and the clock among them', (t) => {
  const read = rowsRead([
    { op: 'delete', key: 'a' },
    { op: 'set', key: 'a', value: Buffer.alloc(0) },
    { op: 'delete', key: 'b' },
  ]);
  t.deepEqual(read.map(String), [KEY_COUNT_ROW.toString(), 'mclock', 'ka', 'kb']);
});
