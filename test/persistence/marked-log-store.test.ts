import test from 'ava';
import fc from 'fast-check';
import { assess, endOf, laterPromise } from '../../persistence/assess.js';
import { markedLogStore } from '../../persistence/marked-log-store.js';
import type { LogStore, RecoveredLog } from '../../persistence/log-store.js';
import type { MemoryLogDisk } from '../../persistence/memory/log-store.js';
import { memoryLogDisk, openMemoryLogStore } from '../../persistence/memory/log-store.js';
import type { MemoryWatermarkDisk } from '../../persistence/memory/watermark.js';
import { memoryWatermarkDisk, openMemoryWatermark } from '../../persistence/memory/watermark.js';
import type { RecoveredMark } from '../../persistence/watermark.js';
import { endsBefore } from '../../persistence/watermark.js';
import type { Position } from '../../raft/entry.js';
import { ORIGIN } from '../../raft/entry.js';
import { entriesOf, hardState, logStoreContract } from '../contracts/log-store.js';

interface Machine {
  readonly log: MemoryLogDisk;
  readonly mark: MemoryWatermarkDisk;
  readonly defer: (task: () => void) => void;
  readonly lag: (task: () => void) => void;
}

function open(
  machine: Machine,
  tailBytesMax = 0,
): { store: LogStore; recovered: RecoveredLog; mark: RecoveredMark } {
  const { store, recovered } = openMemoryLogStore({ disk: machine.log, tailBytesMax, defer: machine.defer });
  const { watermark, recovered: mark } = openMemoryWatermark({ ...machine, disk: machine.mark });
  const promise = laterPromise(recovered, mark);
  return { store: markedLogStore(store, recovered, promise, watermark, mark), recovered, mark };
}

logStoreContract(test, 'marked', {
  runs: 200,
  harness: () => {
    const defer = (task: () => void): void => void setImmediate(task);
    const machine: Machine = { log: memoryLogDisk(), mark: memoryWatermarkDisk(), defer, lag: defer };
    return Promise.resolve({
      open: (tailBytesMax) => Promise.resolve(open(machine, tailBytesMax)),
      dispose: () => Promise.resolve(),
    });
  },
});

/** Appends of several leaders: `back` entries go, some of whose places may be taken by entries of an earlier term. */
const append = fc.record({
  back: fc.nat(3),
  count: fc.nat(4),
  termGrowth: fc.constantFrom(0, 0, 0, 1, 2),
  oldTerm: fc.boolean(),
  vote: fc.constantFrom(undefined, 'n1', 'n2'),
});

test('a crash at any point leaves a log that is assessed as whole, and what was done is promised in both', (t) => {
  fc.assert(
    fc.property(
      fc.array(append, { minLength: 1, maxLength: 12 }),
      fc.nat(200),
      fc.infiniteStream(fc.boolean()),
      (appends, crashAt, lags) => {
        const queue: (() => void)[] = [];
        const lagging: (() => void)[] = [];
        const machine: Machine = {
          log: memoryLogDisk(),
          mark: memoryWatermarkDisk(),
          defer: (task) => void queue.push(task),
          lag: (task) => void lagging.push(task),
        };
        const { store } = open(machine);
        let done = { term: 0, vote: undefined as string | undefined };
        /** The append that is under way, or was the last. */
        let begun = done;
        let endDone: Position = ORIGIN;
        let next = 0;
        const go = (): void => {
          const each = appends[next];
          next += 1;
          if (each === undefined) return;
          const before = machine.log.hardState;
          const grown = (before?.term ?? 1) + each.termGrowth;
          const vote = grown === before?.term ? (before.vote ?? each.vote) : each.vote;
          const last = machine.log.entries.length;
          const first = Math.max(1, last + 1 - each.back);
          const floor = machine.log.entries[first - 2]?.term ?? 1;
          const entries = entriesOf(first, first + each.count - 1, each.oldTerm ? floor : grown);
          begun = { term: grown, vote };
          store.append({ entries, hardState: hardState(grown, vote) }, () => {
            done = { term: grown, vote };
            endDone = endOf(open(machine).recovered);
            go();
          });
        };
        go();
        for (let step = 0; step < crashAt; step += 1) {
          const task = queue.shift();
          if (task === undefined) break;
          task();
          if (lags.next().value) lagging.shift()?.();
        }
        // The crash: what is still queued is gone. Both disks are as they are.
        const after = open({ ...machine, defer: setImmediate, lag: setImmediate });
        // A warning too many there is only where an end that is lower was just written, and is not done.
        if (!endsBefore(endOf(after.recovered), endDone)) {
          t.deepEqual(assess(after.recovered, after.mark), { kind: 'whole' });
        }
        t.true((machine.mark.mark?.term ?? 0) >= done.term);
        // A vote may have come so far without being told yet, in a term in which there was none before.
        const { mark } = machine.mark;
        const isUntold = done.vote === undefined && begun.term === done.term && mark?.vote === begun.vote;
        if (mark?.term === done.term && !isUntold) t.is(mark.vote, done.vote);
      },
    ),
    { numRuns: 500 },
  );
});
