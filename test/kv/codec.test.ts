import test from 'ava';
import fc from 'fast-check';
import { CommandFormatError, decodeCommand, encodeCommand, readStamp, writeStamp } from '../../kv/codec.js';
import type { Command } from '../../kv/command.js';
import { commands, keys } from './arbitraries.js';

function comparable(command: Command): object {
  return command.op === 'set' ? { ...command, value: [...command.value] } : command;
}

test('what is encoded is decoded', (t) => {
  fc.assert(
    fc.property(commands(keys), (command) => {
      t.deepEqual(comparable(decodeCommand(encodeCommand(command))), comparable(command));
    }),
  );
});

test('a command within a larger buffer is decoded from its own bytes', (t) => {
  const bytes = encodeCommand({ op: 'set', key: 'k', value: Buffer.from('v') });
  const around = Buffer.concat([Buffer.from('xx'), bytes, Buffer.from('yy')]);
  const within = new Uint8Array(around.buffer, around.byteOffset + 2, bytes.length);
  t.deepEqual(comparable(decodeCommand(within)), { op: 'set', key: 'k', value: [0x76] });
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
  const expire = encodeCommand({ op: 'expire', clientIds: [7] });
  t.is(expire.toString('hex'), NO_STAMP + '0104' + '0000000000000007');
  writeStamp(expire, 1.5);
  t.is(readStamp(expire), 1.5);
  t.deepEqual(decodeCommand(expire), { op: 'expire', clientIds: [7] });
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
      fc.constantFrom(1, 2, 3, 4, 5),
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

const MALFORMED: readonly [what: string, hex: string, message: RegExp][] = [
  ['nothing', '', /ends after 0 bytes/],
  ['another format', '0201000001' + '6b', /format 2 is not known/],
  ['another operation', '0109000001' + '6b', /command 9 is not known/],
  ['a key beyond the end', '0101000005' + '6b', /ends within its key/],
  // An older node that passed these by would come to another state than the rest.
  ['a flag that is not known', '0101080001' + '6b', /flags 8 are not known/],
  ['a registration of one number', '0103' + '0000000000000001', /two numbers/],
  ['an expiry that ends within a number', '0104' + '00000001', /within a number/],
  ['a condition that its operation does not have', '0102020001' + '6b', /flags 2 are not known/],
  ['bytes behind a delete', '0102000001' + '6b' + '00', /goes on behind its end/],
  ['a key that is not UTF-8', '0101000001' + 'ff', /key is not UTF-8/],
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
