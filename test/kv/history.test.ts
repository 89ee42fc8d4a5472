import test from 'ava';
import fc from 'fast-check';
import type { Command } from '../../kv/command.js';
import {
  HISTORY_BYTES_ROW,
  HISTORY_COUNT_ROW,
  HISTORY_LOST_ROW,
  historyBytesOf,
  revisionOfHistoryRow,
} from '../../kv/history.js';
import { Machine } from './machine.js';

const set = (key: string, bytes: number): Command => ({ op: 'set', key, value: Buffer.alloc(bytes) });

type Found = readonly (readonly [revision: number, bytes: number])[];

function historyOf(machine: Machine): Found {
  return machine
    .rowsOf('h')
    .map((row) => [revisionOfHistoryRow(row), historyBytesOf(machine.rows.get(row)!)]);
}

/** What a leader proposes that has found this. */
function trim(found: Found, count: number): Command {
  const oldest = found.slice(0, count);
  const bytes = oldest.reduce((sum, [, each]) => sum + each, 0);
  return { op: 'trim-history', revisions: oldest.map(([revision]) => revision), bytes };
}

const act = fc.oneof(
  fc.record({ do: fc.constant('set' as const), key: fc.constantFrom('a', 'b'), bytes: fc.nat(40) }),
  // By what was found so many acts ago: leaders come and go, and what the one before proposed may still be on its way.
  fc.record({ do: fc.constant('trim' as const), count: fc.nat(4), lateness: fc.nat(4) }),
);

test('whatever a leader has found when it trims, the counters say what the history holds, and the newest that is lost', (t) => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const machine = new Machine();
      const seen: Found[] = [];
      for (const each of acts) {
        const before = historyOf(machine);
        seen.push(before);
        if (each.do === 'set') machine.apply(0, set(each.key, each.bytes));
        else machine.apply(0, trim(seen.at(-1 - each.lateness) ?? [], each.count));
        const held = historyOf(machine);
        const lost = machine.count(HISTORY_LOST_ROW);
        t.is(machine.count(HISTORY_COUNT_ROW), held.length);
        const bytes = held.reduce((sum, [, one]) => sum + one, 0);
        t.is(machine.count(HISTORY_BYTES_ROW), bytes);
        t.true(held.every(([revision]) => revision > lost));
        const gone = before.filter(([revision]) => !held.some(([other]) => other === revision));
        t.true(gone.every(([revision]) => revision <= lost));
      }
    }),
    { numRuns: 500 },
  );
});
