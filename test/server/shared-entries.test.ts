import test from 'ava';
import { encodeCommand, readStamp } from '../../kv/codec.js';
import type { Command } from '../../kv/command.js';
import { commandsOf } from '../../kv/shared.js';
import { SHARED_BYTES_MAX, SHARED_WRITES_MAX, SharedEntries } from '../../server/shared-entries.js';
import type { ProposalOutcome } from '../../server/waiters.js';

const set = (key: string, bytes = 1): Command => ({ op: 'set', key, value: Buffer.alloc(bytes) });

function gathered(...commands: readonly Command[]): {
  entries: SharedEntries;
  outcomes: ProposalOutcome[][];
} {
  const entries = new SharedEntries();
  const outcomes = commands.map((): ProposalOutcome[] => []);
  commands.forEach((command, at) =>
    entries.add(encodeCommand(command), (outcome) => void outcomes[at]!.push(outcome), 7 + at),
  );
  return { entries, outcomes };
}

function keysOf(entries: SharedEntries): string[][] {
  return entries
    .take(5)
    .map(({ data }) => commandsOf(data).map((command) => ('key' in command ? command.key : command.op)));
}

test('what was gathered becomes one entry with one stamp, and is gathered no more', (t) => {
  const { entries, outcomes } = gathered(set('a'), { op: 'delete', key: 'b' }, set('c'));
  t.is(entries.size, 3);
  t.is(entries.sinceMs, 7);
  t.true(entries.bytes > 0);
  const [entry, ...more] = entries.take(5);
  t.deepEqual(more, []);
  t.is(readStamp(entry!.data), 5);
  t.is(entry!.settles.length, 3);
  t.is(entries.size, 0);
  t.is(entries.bytes, 0);
  entry!.settles[1]!({ status: 'displaced' });
  t.deepEqual(outcomes, [[], [{ status: 'displaced' }], []]);
  t.deepEqual(entries.take(5), []);
});

test('a key comes once in an entry, in order', (t) => {
  const { entries } = gathered(set('a'), set('b'), set('a'), set('c'), set('a'));
  t.deepEqual(keysOf(entries), [['a', 'b'], ['a', 'c'], ['a']]);
});

test('what is no write of a key has an entry for itself', (t) => {
  const prefix = { op: 'delete-prefix', prefix: 'a' } as const;
  const { entries } = gathered(set('a'), prefix, prefix, set('b'), set('c'), { op: 'mark' });
  t.deepEqual(keysOf(entries), [['a'], ['delete-prefix'], ['delete-prefix'], ['b', 'c'], ['mark']]);
});

test('an entry has so many writes, and so many bytes unless one has more', (t) => {
  const many = Array.from({ length: SHARED_WRITES_MAX + 1 }, (_, at) => set(`k${at}`));
  t.deepEqual(
    keysOf(gathered(...many).entries).map(({ length }) => length),
    [SHARED_WRITES_MAX, 1],
  );
  const half = Math.ceil(SHARED_BYTES_MAX / 2);
  const large = [set('a', half), set('b', half), set('c', 2 * SHARED_BYTES_MAX), set('d')];
  t.deepEqual(keysOf(gathered(...large).entries), [['a'], ['b'], ['c'], ['d']]);
});

test('the bytes of a command that is proposed again stay as they are', (t) => {
  const entries = new SharedEntries();
  const bytes = encodeCommand(set('a'));
  entries.add(bytes, () => undefined, 0);
  entries.take(9);
  t.is(readStamp(bytes), 0);
});

test('what is refused is so for all that wait', (t) => {
  const { entries, outcomes } = gathered(set('a'), set('b'));
  entries.refuse({ status: 'refused', why: 'not-leader' });
  t.deepEqual(outcomes, [
    [{ status: 'refused', why: 'not-leader' }],
    [{ status: 'refused', why: 'not-leader' }],
  ]);
  t.is(entries.size, 0);
});
