import test from 'ava';
import fc from 'fast-check';
import { decodeCommand, encodeCommand, readStamp, writeStamp } from '../../kv/codec.js';
import type { Command } from '../../kv/command.js';
import { KEY_BYTES_MAX, TTL_MS_MAX, TXN_OPS_MAX } from '../../kv/command.js';
import { CommandFormatError } from '../../kv/cursor.js';
import { allCommands, commands, keys } from './arbitraries.js';

function comparable(command: Command): object {
  const plain = (op: object): object =>
    'value' in op ? { ...op, value: Buffer.from(op.value as Uint8Array).toString('hex') } : op;
  return command.op === 'txn' ? { ...command, ops: command.ops.map(plain) } : plain(command);
}

test('what is encoded is decoded', (t) => {
  fc.assert(
    fc.property(allCommands(keys), (command) => {
      t.deepEqual(comparable(decodeCommand(encodeCommand(command))), comparable(command));
    }),
    { numRuns: 500 },
  );
});

test('a command within a larger buffer is decoded from its own bytes', (t) => {
  const bytes = encodeCommand({ op: 'set', key: 'k', value: Buffer.from('v') });
  const around = Buffer.concat([Buffer.from('xx'), bytes, Buffer.from('yy')]);
  const within = new Uint8Array(around.buffer, around.byteOffset + 2, bytes.length);
  t.deepEqual(comparable(decodeCommand(within)), { op: 'set', key: 'k', value: '76' });
});

const NO_STAMP = '00'.repeat(8);

test('the layout is the documented one, for logs that were written before', (t) => {
  const set = { op: 'set', key: 'é', value: Buffer.from('v'), ifRevision: 7, ifAbsent: true } as const;
  t.is(encodeCommand(set).toString('hex'), NO_STAMP + '010103' + '0000000000000007' + '0002' + 'c3a9' + '76');
  t.is(encodeCommand({ op: 'delete', key: 'k' }).toString('hex'), NO_STAMP + '010200' + '0001' + '6b');
  const session = { clientId: 1, seq: 2, lowestPending: 3 };
  const tag = '0000000000000001' + '0000000000000002' + '0000000000000003';
  t.is(
    encodeCommand({ op: 'delete', key: 'k', session }).toString('hex'),
    NO_STAMP + '010204' + tag + '0001' + '6b',
  );
  const register = encodeCommand({ op: 'register', ttlMs: 5, sessionsMax: 6 });
  t.is(register.toString('hex'), NO_STAMP + '0103' + '0000000000000005' + '0000000000000006');
  const expire = encodeCommand({ op: 'expire-sessions', clientIds: [7] });
  t.is(expire.toString('hex'), NO_STAMP + '0104' + '0000000000000007');
  writeStamp(expire, 1.5);
  t.is(readStamp(expire), 1.5);
  t.deepEqual(decodeCommand(expire), { op: 'expire-sessions', clientIds: [7] });
});

test('a command that ends early is refused, wherever it ends', (t) => {
  fc.assert(
    fc.property(commands(keys), fc.nat(), (command, at) => {
      const bytes = encodeCommand(command);
      const minimum = bytes.length - (command.op === 'set' ? command.value.length : 0);
      const cut = bytes.subarray(0, at % minimum);
      t.throws(() => decodeCommand(cut), { instanceOf: CommandFormatError });
    }),
  );
});

test('any bytes are a command, or refused as none; nothing else is thrown', (t) => {
  const likely = fc
    .tuple(
      fc.constantFrom(1, 1, 1, 2),
      fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9),
      fc.nat(8),
      fc.uint8Array({ maxLength: 20 }),
    )
    .map(([format, op, flags, rest]) => Uint8Array.from([...Buffer.alloc(8), format, op, flags, ...rest]));
  fc.assert(
    fc.property(fc.oneof(likely, fc.uint8Array({ maxLength: 30 })), (bytes) => {
      try {
        const again = encodeCommand(decodeCommand(bytes));
        writeStamp(again, readStamp(bytes));
        t.deepEqual(again, Buffer.from(bytes));
      } catch (error) {
        t.true(error instanceof CommandFormatError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

function hex8(value: number): string {
  return value.toString(16).padStart(16, '0');
}

const MALFORMED: readonly [what: string, hex: string, message: RegExp][] = [
  ['nothing', '', /ends after 0 bytes/],
  ['another format', '0201000001' + '6b', /format 2 is not known/],
  ['another operation', '01ff000001' + '6b', /command 255 is not known/],
  ['bytes behind a mark', '010900', /goes on behind its end/],
  ['an attestation that ends early', '010a' + hex8(1) + '00112233', /within its bytes/],
  ['a key beyond the end', '0101000005' + '6b', /ends within its key/],
  // An older node that passed these by would come to another state than the rest.
  ['a flag that is not known', '0101200001' + '6b', /flags 32 are not known/],
  ['a registration of one number', '0103' + '0000000000000001', /within a number/],
  ['an expiry that ends within a number', '0104' + '00000001', /within a number/],
  ['a condition that its operation does not have', '0102020001' + '6b', /flags 2 are not known/],
  ['bytes behind a delete', '0102000001' + '6b' + '00', /goes on behind its end/],
  ['a key that is not UTF-8', '0101000001' + 'ff', /key is not UTF-8/],
  ['an empty key', '0102000000', /a key has 0 bytes/],
  ['a key that is too long', '01020010' + '01' + '6b'.repeat(KEY_BYTES_MAX + 1), /a key has 4097 bytes/],
  ['a time to live of nothing', '010108' + '0000000000000000' + '0001' + '6b', /0 is no time to live/],
  ['a time to live beyond all', '010108' + hex8(TTL_MS_MAX + 1) + '0001' + '6b', /is no time to live/],
  ['a time to live of a delete', '010208' + hex8(1) + '0001' + '6b', /flags 8 are not known/],
  ['an unknown operation of a transaction', '0106000000' + '04' + '0001' + '6b', /operation 4/],
  ['a value beyond the end', '0106000000' + '0100' + '0001' + '6b' + '00000002' + '76', /within its bytes/],
  [
    'a transaction without end',
    '0106000000' + '02' + ('0001' + '6b' + '02').repeat(TXN_OPS_MAX) + '0001' + '6b',
    /too many/,
  ],
  ['too many checks', '010600' + '03e9', /1001 checks/],
  ['an expiry of too many keys', '0105' + (hex8(1) + '0001' + '6b').repeat(257), /257 keys/],
  ['bytes behind a prefix', '010700' + '0001' + '6b' + '00', /goes on behind its end/],
  ['a revision that is no safe integer', '010101' + '0020000000000001' + '0001' + '6b', /beyond 2\^53/],
];
for (const [what, hex, message] of MALFORMED) {
  test(`refused: ${what}`, (t) => {
    t.throws(() => decodeCommand(Buffer.from(hex === '' ? '' : NO_STAMP + hex, 'hex')), {
      instanceOf: CommandFormatError,
      message,
    });
  });
}
