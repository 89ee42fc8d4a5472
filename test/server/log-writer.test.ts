import test from 'ava';
import { configuration } from '../../membership/configuration.js';
import { memoryLogDisk, openMemoryLogStore } from '../../persistence/memory/log-store.js';
import type { Entry } from '../../raft/entry.js';
import { LogWriter } from '../../server/log-writer.js';

const entry = (index: number, term: number): Entry => ({
  index,
  term,
  type: 'command',
  data: Buffer.from(`${index}`),
});
const MEMBERS = configuration('c1', []);
const base = (index: number, term: number) => ({
  index,
  term,
  configuration: MEMBERS,
  configurationIndex: 0,
});

function writerOn(entries: readonly Entry[]) {
  const disk = memoryLogDisk();
  disk.entries.push(...entries);
  disk.hardState = { term: 2, vote: 'n2', commit: 1 };
  const tasks: (() => void)[] = [];
  const { store } = openMemoryLogStore({ disk, tailBytesMax: 0, defer: (task) => void tasks.push(task) });
  const settle = (): void => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) task();
  };
  return { disk, tasks, settle, writer: new LogWriter(store) };
}

test('a new base, term and vote, and entries that are committed behind it already, are one append', (t) => {
  const { disk, settle, writer } = writerOn([entry(1, 1), entry(2, 1)]);
  const hardState = { term: 5, vote: undefined, commit: 9 };
  let done = 0;
  writer.append(
    { newBase: base(8, 4), entries: [entry(9, 5)], hardState, messages: [] },
    () => void (done += 1),
  );
  t.is(done, 0);
  settle();
  t.is(done, 1);
  t.is(disk.base.index, 8);
  t.deepEqual(
    disk.entries.map(({ index, term }) => [index, term]),
    [[9, 5]],
  );
  // A lower bound of the commit index is all that it has to be.
  t.deepEqual(disk.hardState, { term: 5, vote: undefined, commit: 8 });
});

test('a new base waits for the compaction that is under way', (t) => {
  const { disk, tasks, settle, writer } = writerOn([entry(1, 1), entry(2, 1)]);
  const events: string[] = [];
  writer.compact(base(1, 1), () => events.push('compacted'));
  t.true(writer.isCompacting);
  writer.append({ newBase: base(8, 2), entries: [], hardState: undefined, messages: [] }, () =>
    events.push('reset'),
  );
  t.is(tasks.length, 1);
  settle();
  t.deepEqual(events, ['compacted', 'reset']);
  t.is(disk.base.index, 8);
  t.deepEqual(disk.entries, []);
});

test('once stopped, nothing more is begun', (t) => {
  const { disk, settle, writer } = writerOn([entry(1, 1), entry(2, 1)]);
  writer.append({ newBase: base(8, 2), entries: [entry(9, 2)], hardState: undefined, messages: [] }, () =>
    t.fail(),
  );
  writer.stop();
  settle();
  t.is(disk.base.index, 8);
  t.deepEqual(disk.entries, []);
});
