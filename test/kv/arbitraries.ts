import fc from 'fast-check';
import type { Command, TxnOp, Update, Write } from '../../kv/command.js';

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
        ifPresent: fc.constant(true),
      },
      { requiredKeys: ['op', 'key', 'value'] },
    ),
    fc.record(
      { op: fc.constant('delete' as const), key, ifRevision: revision, ifPresent: fc.constant(true) },
      { requiredKeys: ['op', 'key'] },
    ),
  );
}

const ttls = fc.integer({ min: 1, max: 1_000_000_000_000 });

function txnOps(key: fc.Arbitrary<string>, ttlMs: fc.Arbitrary<number>): fc.Arbitrary<TxnOp> {
  return fc.oneof(
    fc.record(
      { op: fc.constant('set' as const), key, value: values, ttlMs },
      { requiredKeys: ['op', 'key', 'value'] },
    ),
    fc.record({ op: fc.constantFrom('delete' as const, 'get' as const), key }),
  );
}

/** All that changes keys: from clients, and the expiry. */
export function updates(
  key: fc.Arbitrary<string>,
  revision: fc.Arbitrary<number> = fc.maxSafeNat(),
  ttlMs: fc.Arbitrary<number> = ttls,
): fc.Arbitrary<Command> {
  const checks = fc.array(fc.record({ key, revision }), { maxLength: 3 });
  return fc.oneof(
    { weight: 2, arbitrary: commands(key, revision) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('set' as const), key, value: values, ttlMs }) },
    fc.record({
      op: fc.constant('txn' as const),
      checks: fc.oneof(fc.constant([]), checks),
      ops: fc.array(txnOps(key, ttlMs), { maxLength: 5 }),
    }),
    fc.record({ op: fc.constant('delete-prefix' as const), prefix: key }),
    fc.record({ op: fc.constant('expire-keys' as const), keys: checks }),
  );
}

/** Every command there is, those of clients with and without a session. */
export function allCommands(key: fc.Arbitrary<string>): fc.Arbitrary<Command> {
  const number = fc.maxSafeNat();
  const session = fc.record({ clientId: number, seq: number, lowestPending: number });
  const tagged = fc
    .tuple(updates(key), session)
    .map(([command, tag]): Command =>
      'keys' in command ? command : { ...(command as Update), session: tag },
    );
  return fc.oneof(
    updates(key),
    tagged,
    fc.record({ op: fc.constant('register' as const), ttlMs: number, sessionsMax: number }),
    fc.constant<Command>({ op: 'mark' }),
    fc.record({
      op: fc.constant('attest' as const),
      node: key,
      index: number,
      chain: fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    }),
    fc.record({
      op: fc.constant('trim-history' as const),
      revisions: fc.array(number, { maxLength: 4 }),
      bytes: number,
    }),
    fc.record({ op: fc.constant('expire-sessions' as const), clientIds: fc.array(number, { maxLength: 4 }) }),
  );
}
