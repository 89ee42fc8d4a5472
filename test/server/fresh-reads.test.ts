import test from 'ava';
import type { Index } from '../../raft/entry.js';
import { FreshReads } from '../../server/fresh-reads.js';
import { ServiceError } from '../../server/service.js';
import { AppliedWaiters } from '../../server/waiters.js';
import { virtualClock } from './virtual-clock.js';
import type { VirtualClock } from './virtual-clock.js';

const TIMEOUT_MS = 1000;

interface Asked {
  readonly promise: Promise<Index>;
  readonly resolve: (index: Index) => void;
  readonly reject: (error: Error) => void;
}

function ask(): Asked {
  let settle: Omit<Asked, 'promise'> = { resolve: () => undefined, reject: () => undefined };
  const promise = new Promise<Index>((resolve, reject) => (settle = { resolve, reject }));
  return { promise, ...settle };
}

class Bench {
  readonly clock: VirtualClock = virtualClock(() => undefined);
  readonly waiters = new AppliedWaiters();
  /** How reads ended, and when, in the order of their endings. */
  readonly endings: string[] = [];
  readonly node = {
    state: { log: { lacksState: false }, installing: undefined },
    appliedIndex: 1,
    isStopped: false,
    whenApplied: (index: Index, timeoutMs: number) => this.waiters.wait(index, this.clock, timeoutMs),
  };
  readonly #reads: FreshReads;
  #asked = ask();
  #count = 0;

  constructor() {
    const indexes = { get: () => this.#asked.promise };
    this.#reads = new FreshReads({ node: this.node, clock: this.clock, indexes, timeoutMs: TIMEOUT_MS });
  }

  /** They are called a, b, c ... in the order in which they come. */
  read(): void {
    const name = String.fromCharCode('a'.charCodeAt(0) + this.#count);
    this.#count += 1;
    const end = (as: string): void => void this.endings.push(`${name} ${as} ${this.clock.nowMs()}`);
    this.#reads.wait(
      (index) => end(`fresh ${index}`),
      (error) => end(error instanceof ServiceError ? error.code : error.message),
    );
  }

  /** Reads that come later have another index. */
  next(): Asked {
    const before = this.#asked;
    this.#asked = ask();
    return before;
  }

  applied(index: Index): void {
    this.node.appliedIndex = index;
    this.waiters.applied(index);
  }
}

test('reads that share an index are let go together, those of the next one with that', async (t) => {
  const bench = new Bench();
  bench.read();
  bench.read();
  const first = bench.next();
  bench.read();
  const second = bench.next();
  second.resolve(1);
  await bench.clock.run(10);
  t.deepEqual(bench.endings, ['c fresh 1 0']);
  first.resolve(1);
  await bench.clock.run(10);
  t.deepEqual(bench.endings.slice(1), ['a fresh 1 10', 'b fresh 1 10']);
  t.is(bench.clock.pendingTimers, 0);
});

test('reads wait until their index is applied', async (t) => {
  const bench = new Bench();
  bench.read();
  bench.next().resolve(3);
  await bench.clock.run(10);
  bench.applied(2);
  await bench.clock.run(10);
  t.deepEqual(bench.endings, []);
  bench.applied(3);
  await bench.clock.run(10);
  t.deepEqual(bench.endings, ['a fresh 3 20']);
  t.is(bench.clock.pendingTimers, 0);
});

test('each read fails at its own time while no index comes', async (t) => {
  const bench = new Bench();
  bench.read();
  await bench.clock.run(300);
  bench.read();
  bench.read();
  await bench.clock.run(2000);
  // All of these have failed; this one shares their index all the same.
  bench.read();
  await bench.clock.run(2000);
  t.deepEqual(bench.endings, [
    'a no-quorum 1000',
    'b no-quorum 1300',
    'c no-quorum 1300',
    'd no-quorum 3300',
  ]);
  bench.read();
  bench.next().resolve(1);
  await bench.clock.run(10);
  t.is(bench.endings[4], 'e fresh 1 4300');
  t.is(bench.clock.pendingTimers, 0);
});

test('each read fails at its own time while its index is not applied', async (t) => {
  const bench = new Bench();
  bench.read();
  await bench.clock.run(300);
  bench.read();
  bench.next().resolve(2);
  await bench.clock.run(900);
  t.deepEqual(bench.endings, ['a no-quorum 1000']);
  bench.applied(2);
  await bench.clock.run(10);
  t.is(bench.endings[1], 'b fresh 2 1200');
  t.is(bench.waiters.size, 0);
  t.is(bench.clock.pendingTimers, 0);
});

test('reads fail with what the index failed with', async (t) => {
  const bench = new Bench();
  bench.read();
  bench.read();
  bench.next().reject(new ServiceError('overloaded', 'too many'));
  await bench.clock.run(10);
  t.deepEqual(bench.endings, ['a overloaded 0', 'b overloaded 0']);
  t.is(bench.clock.pendingTimers, 0);
});

test('a node that stops, or has lost its state, answers no read that waited', async (t) => {
  for (const [code, happen] of [
    ['shutting-down', (bench: Bench) => (bench.node.isStopped = true)],
    ['no-quorum', (bench: Bench) => (bench.node.state.log.lacksState = true)],
  ] as const) {
    const bench = new Bench();
    bench.read();
    bench.next().resolve(2);
    await bench.clock.run(10);
    happen(bench);
    bench.applied(2);
    await bench.clock.run(10);
    t.deepEqual(bench.endings, [`a ${code} 10`]);
  }
});
