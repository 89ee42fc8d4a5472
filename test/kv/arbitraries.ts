import fc from 'fast-check';
import type { Write } from '../../kv/command.js';

/** Whole code points, those above U+FFFF well among them: in UTF-16 those sort before U+E000, in UTF-8 behind. */
export const keys = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      'a',
      'b',
      '/',
      '\u0000',
      '\u007f',
      '\u0080',
      '\ue000',
      '\uffff',
      '\u{10000}',
      '\u{10ffff}',
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
  minLength: 1,
  maxLength: 8,
});

/** Few enough that commands meet. */
export const fewKeys = fc.constantFrom('a', 'b', '\u{10000}');

export const values = fc.uint8Array({ maxLength: 40 });

/** 0 is the revision of a missing key. */
export function commands(
  key: fc.Arbitrary<string>,
  revision: fc.Arbitrary<number> = fc.maxSafeNat(),
): fc.Arbitrary<Write> {
  return fc.oneof(
    fc.record(
      {
        op: fc.constant('set' as const),
        key,
        value: values,
        ifRevision: revision,
        ifAbsent: fc.constant(true),
      },
      { requiredKeys: ['op', 'key', 'value'] },
    ),
    fc.record(
      { op: fc.constant('delete' as const), key, ifRevision: revision },
      { requiredKeys: ['op', 'key'] },
    ),
  );
}
