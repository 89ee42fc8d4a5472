/** What the applier has read before it is needed. */

import test from 'ava';
import { encodeCommand } from '../../kv/codec.js';
import { keyRow } from '../../kv/rows.js';
import { bufferedStateStore } from '../../persistence/buffered-state-store.js';
import { memoryStateDisk, openMemoryStateStore } from '../../persistence/memory/state-store.js';
import type { StateStore } from '../../persistence/state-store.js';
import { NOTHING_APPLIED } from '../../persistence/state-store.js';
import type { Entry } from '../../raft/entry.js';
import { Applier } from '../../server/applier.js';

interface Setup {
  readonly applier: Applier;
  /** The rows that were asked of the store under the buffer. */
  readonly asked: readonly string[];
  /** Of what `applier` said that it can't be applied. */
  readonly unappliable: readonly number[];
  /** Resolves when everything is answered that was asked of the store. */
  readonly idle: () => Promise<void>;
}

async function opened(): Promise<Setup> {
  const asked: string[] = [];
  const unappliable: number[] = [];
  const inFlight = new Set<Promise<void>>();
  const under = openMemoryStateStore({ disk: memoryStateDisk(), defer: setImmediate });
  const spied: StateStore = {
    ...under,
    getMany(keys, done) {
      asked.push(...keys);
      const answer = new Promise<void>((resolve) => {
        under.getMany(keys, (values) => {
          done(values);
          resolve();
        });
      });
      inFlight.add(answer);
      void answer.then(() => inFlight.delete(answer));
    },
  };
  const store = bufferedStateStore(spied, {
    pendingBytesMax: 1024 ** 2,
    delayMs: 1,
    flushBytes: 1024,
    cacheBytes: 1024 ** 2,
    isAskedFor: () => true,
    failed: new Promise<void>(() => undefined),
    hasFailed: () => false,
  });
  const applier = new Applier(store, NOTHING_APPLIED, (index) => unappliable.push(index));
  await new Promise<void>((done) => applier.open(done));
  const idle = async (): Promise<void> => {
    await Promise.all(inFlight);
  };
  return { applier, asked, unappliable, idle };
}

function setOf(index: number, valueBytes: number): Entry {
  const command = { op: 'set', key: `k${index}`, value: Buffer.alloc(valueBytes) } as const;
  return { index, term: 1, type: 'command', data: encodeCommand(command) };
}

const applied = (applier: Applier, entry: Entry): Promise<unknown> =>
  new Promise((resolve) => applier.apply([entry], resolve));

test('the rows of a few writes are in memory when they are applied', async (t) => {
  const { applier, asked, idle } = await opened();
  const entry = setOf(1, 100);
  applier.readAhead([entry]);
  t.true(asked.includes(keyRow('k1')));
  await idle();
  const before = asked.length;
  await applied(applier, entry);
  t.is(asked.length, before);
});

test('those of a long write, and of many, are read when they are applied', async (t) => {
  const { applier, asked } = await opened();
  const before = asked.length;
  applier.readAhead([setOf(1, 5_000)]);
  applier.readAhead([1, 2, 3, 4, 5].map((index) => setOf(index, 1_000)));
  t.is(asked.length, before);
  await applied(applier, setOf(1, 5_000));
  t.true(asked.includes(keyRow('k1')));
});

test('what cannot be applied is told of when it is applied, not before', async (t) => {
  const { applier, unappliable } = await opened();
  const entry: Entry = { index: 1, term: 1, type: 'command', data: Buffer.from('no command') };
  applier.readAhead([entry]);
  t.deepEqual(unappliable, []);
  t.throws(() => applier.apply([entry], () => t.fail()));
  t.deepEqual(unappliable, [1]);
});

test('nothing is read ahead after the stop', async (t) => {
  const { applier, asked } = await opened();
  const before = asked.length;
  applier.stop();
  applier.readAhead([setOf(1, 100)]);
  t.is(asked.length, before);
});
