import test from 'ava';
import { WorkingSet } from '../../kv/working-set.js';

const row = (name: string): Buffer => Buffer.from(name);

test('what was changed last is read and written, each row once', (t) => {
  const set = new WorkingSet([row('a'), row('b'), row('c')], [row('1'), undefined, row('3')]);
  set.put(row('a'), row('2'));
  set.put(row('a'), row('4'));
  set.put(row('b'), row('5'));
  set.delete(row('b'));
  t.is(set.get(row('a'))?.toString(), '4');
  t.is(set.get(row('b')), undefined);
  t.is(set.get(row('c'))?.toString(), '3');
  const { puts, deletes } = set.changes();
  t.deepEqual(puts.map(String), ['a,4,false']);
  // It came and went.
  t.deepEqual(deletes.map(String), []);
});

test('what the store was found not to hold is new; of a row that was never looked up that is not known', (t) => {
  const set = new WorkingSet([row('a'), row('b')], [undefined, row('1')]);
  set.put(row('a'), row('2'));
  set.delete(row('b'));
  set.put(row('c'), row('3'));
  set.delete(row('d'));
  const { puts, deletes } = set.changes();
  t.deepEqual(puts.map(String), ['a,2,true', 'c,3,false']);
  t.deepEqual(deletes.map(String), ['b', 'd']);
});

test('nothing is written that was only read', (t) => {
  const set = new WorkingSet([row('a')], [row('1')]);
  set.get(row('a'));
  t.deepEqual(set.changes(), { puts: [], deletes: [] });
});

test('rows that differ in any byte are apart, also where they are not UTF-8', (t) => {
  const rows = [Buffer.from([0xff]), Buffer.from([0xfe]), Buffer.from([0xc3, 0xbf])];
  const set = new WorkingSet(rows, [row('1'), row('2'), row('3')]);
  t.deepEqual(
    rows.map((key) => set.get(key)?.toString()),
    ['1', '2', '3'],
  );
});

test('a row that was not fetched is never taken for a missing one', (t) => {
  const set = new WorkingSet([row('a')], [undefined]);
  t.throws(() => set.get(row('b')), { message: /not fetched/ });
});
