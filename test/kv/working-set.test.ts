import test from 'ava';
import { WorkingSet } from '../../kv/working-set.js';

const bytes = (text: string): Buffer => Buffer.from(text);

test('what was changed last is read and written, each row once', (t) => {
  const set = new WorkingSet(['a', 'b', 'c'], [bytes('1'), undefined, bytes('3')]);
  set.put('a', bytes('2'));
  set.put('a', bytes('4'));
  set.put('b', bytes('5'));
  set.delete('b');
  t.is(set.get('a')?.toString(), '4');
  t.is(set.get('b'), undefined);
  t.is(set.get('c')?.toString(), '3');
  const { puts, deletes } = set.changes();
  t.deepEqual(puts.map(String), ['a,4,false']);
  // It came and went.
  t.deepEqual(deletes.map(String), []);
});

test('what the store was found not to hold is new; of a row that was never looked up that is not known', (t) => {
  const set = new WorkingSet(['a', 'b'], [undefined, bytes('1')]);
  set.put('a', bytes('2'));
  set.delete('b');
  set.put('c', bytes('3'));
  set.delete('d');
  const { puts, deletes } = set.changes();
  t.deepEqual(puts.map(String), ['a,2,true', 'c,3,false']);
  t.deepEqual(deletes.map(String), ['b', 'd']);
});

test('nothing is written that was only read', (t) => {
  const set = new WorkingSet(['a'], [bytes('1')]);
  set.get('a');
  t.deepEqual(set.changes(), { puts: [], deletes: [] });
});

test('rows that differ in any byte are apart, also where they are not UTF-8', (t) => {
  const rows = ['\xff', '\xfe', '\xc3\xbf'];
  const set = new WorkingSet(rows, [bytes('1'), bytes('2'), bytes('3')]);
  t.deepEqual(
    rows.map((key) => set.get(key)?.toString()),
    ['1', '2', '3'],
  );
});

test('a row that was not fetched is never taken for a missing one', (t) => {
  const set = new WorkingSet(['a'], [undefined]);
  t.throws(() => set.get('b'), { message: /not fetched/ });
});
