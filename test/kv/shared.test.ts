import test from 'ava';
import fc from 'fast-check';
import { encodeCommand, keyIdOf, readStamp, writeStamp } from '../../kv/codec.js';
import type { Command, Write } from '../../kv/command.js';
import { CommandFormatError } from '../../kv/cursor.js';
import { commandsOf, encodeShared, sharedBytesOf } from '../../kv/shared.js';
import { allCommands, commands, fewKeys, keys } from './arbitraries.js';
import { Machine } from './machine.js';

const session = fc.record({
  clientId: fc.integer({ min: 1, max: 3 }),
  seq: fc.nat(20),
  lowestPending: fc.nat(20),
});

function writes(key: fc.Arbitrary<string>): fc.Arbitrary<Write[]> {
  const write = fc
    .tuple(commands(key, fc.nat(12)), fc.option(session))
    .map(([command, tag]): Write => (tag === null ? command : { ...command, session: tag }));
  return fc.uniqueArray(write, { selector: (one) => one.key, minLength: 2, maxLength: 6 });
}

const plain = (command: Command): object =>
  'value' in command ? { ...command, value: Buffer.from(command.value).toString('hex') } : command;

test('writes that share an entry come out as they went in, whichever they are', (t) => {
  fc.assert(
    fc.property(writes(keys), (shared) => {
      const bytes = encodeShared(shared.map(encodeCommand));
      writeStamp(bytes, 3.5);
      t.is(readStamp(bytes), 3.5);
      t.deepEqual(commandsOf(bytes).map(plain), shared.map(plain));
      const overhead = bytes.length - shared.reduce((sum, one) => sum + sharedBytesOf(encodeCommand(one)), 0);
      t.is(overhead, 10);
    }),
  );
});

test('an entry of one command is that command', (t) => {
  const command = { op: 'set', key: 'k', value: Buffer.from('v') } as const;
  t.deepEqual(commandsOf(encodeCommand(command)).map(plain), [plain(command)]);
});

test('the key of an encoded write is found without decoding it; other commands have none', (t) => {
  fc.assert(
    fc.property(allCommands(keys), (command) => {
      const isWrite = command.op === 'set' || command.op === 'delete';
      const expected = isWrite ? Buffer.from(command.key).toString('latin1') : undefined;
      t.is(keyIdOf(encodeCommand(command)), expected);
    }),
  );
});

test('what is no shared entry is refused, whatever is wrong with it', (t) => {
  const set = (key: string): Buffer => encodeCommand({ op: 'set', key, value: Buffer.from('v') });
  const good = encodeShared([set('a'), set('b')]);
  const faults: readonly [string, Buffer, RegExp][] = [
    ['one write', encodeShared([set('a')]), /1 writes share/],
    ['no write', encodeShared([]), /0 writes share/],
    ['a key twice', encodeShared([set('a'), set('a')]), /comes twice/],
    [
      'another command',
      encodeShared([set('a'), encodeCommand({ op: 'mark' })]),
      /shares its entry with no other/,
    ],
    ['a shared entry within one', encodeShared([set('a'), good]), /shares its entry with no other/],
  ];
  for (const [what, bytes, message] of faults)
    t.throws(() => commandsOf(bytes), { instanceOf: CommandFormatError, message }, what);
  for (let end = 10; end < good.length; end += 1)
    t.throws(() => commandsOf(good.subarray(0, end)), { instanceOf: CommandFormatError }, `cut at ${end}`);
});

test('writes that share entries do what they do in entries of their own, but for the revision', (t) => {
  fc.assert(
    fc.property(fc.array(writes(fewKeys), { maxLength: 5 }), (entries) => {
      const machine = new Machine();
      const model = new Machine();
      for (const one of [machine, model]) for (let at = 0; at < 3; at += 1) one.register(0, 50);
      const statuses = entries.map((shared) => machine.applyEntries(1, [shared]).map(({ status }) => status));
      // Without conditions on revisions, these decide nothing.
      fc.pre(entries.flat().every(({ ifRevision }) => ifRevision === undefined));
      const alone = entries.map((shared) => model.apply(1, ...shared).map(({ status }) => status));
      t.deepEqual(statuses, alone);
      const bare = (one: Machine): object[] => one.entries().map(({ key, value }) => ({ key, value }));
      t.deepEqual(bare(machine), bare(model));
    }),
  );
});

test('what an entry changes, and in which order, does not depend on the entries in its batch: the chain is the same', (t) => {
  fc.assert(
    fc.property(fc.array(writes(fewKeys), { minLength: 1, maxLength: 6 }), (entries) => {
      const together = new Machine();
      const apart = new Machine();
      for (const one of [together, apart]) for (let at = 0; at < 3; at += 1) one.register(0, 50);
      const results = together.applyEntries(1, entries);
      t.deepEqual(
        results,
        entries.flatMap((entry) => apart.applyEntries(1, [entry])),
      );
      const rowsOf = ({ rows }: Machine): object => [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1));
      t.deepEqual(rowsOf(together), rowsOf(apart));
    }),
    { numRuns: 300 },
  );
});
