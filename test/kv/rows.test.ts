import test from 'ava';
import fc from 'fast-check';
import {
  KEY_COUNT_ROW,
  KEY_ROWS,
  decodeCount,
  decodeValue,
  encodeCount,
  encodeValue,
  keyOfRow,
  keyRow,
} from '../../kv/rows.js';
import { keys, values } from './arbitraries.js';

test('rows sort as the bytes of their keys do', (t) => {
  fc.assert(
    fc.property(keys, keys, (a, b) => {
      t.is(keyRow(a) < keyRow(b), Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0);
    }),
  );
  // Where the order of UTF-16 units is another one.
  t.deepEqual(['\uffff', '\u{10000}'].toSorted(), ['\u{10000}', '\uffff']);
  t.true(keyRow('\u{10000}') > keyRow('\uffff'));
});

test('a row gives back its key, and lies among the rows of keys', (t) => {
  fc.assert(
    fc.property(keys, (key) => {
      const row = keyRow(key);
      t.is(keyOfRow(row), key);
      t.true(row >= KEY_ROWS.gte && row < KEY_ROWS.lt);
      t.is(Buffer.from(row, 'latin1').toString('utf8', 1), key);
    }),
  );
});

test('the counter is no row of a key', (t) => {
  t.true(KEY_COUNT_ROW >= KEY_ROWS.lt);
});

test('values and counts survive their encoding', (t) => {
  fc.assert(
    fc.property(fc.maxSafeNat(), values, (revision, value) => {
      const decoded = decodeValue(encodeValue(revision, value));
      t.is(decoded.revision, revision);
      t.deepEqual([...decoded.value], [...value]);
      t.is(decodeCount(encodeCount(revision)), revision);
    }),
  );
  t.is(decodeCount(undefined), 0);
});
