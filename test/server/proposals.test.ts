import test from 'ava';
import { encodeCommand } from '../../kv/codec.js';
import { commandsOf } from '../../kv/shared.js';
import type { Proposed, Refusal } from '../../raft/raft.js';
import { Proposals } from '../../server/proposals.js';
import type { ProposalOutcome } from '../../server/waiters.js';

const result = { status: 'set', revision: 8 } as const;

/** On a core that takes everything, unless `refusal` says otherwise. */
function harness(max = 100): {
  proposals: Proposals;
  add: (...keys: readonly string[]) => ProposalOutcome[];
  /** The keys of each entry that was appended. */
  appended: string[][];
  core: { refusal: Refusal | undefined; bytesMax: number };
  settled: () => Promise<void>;
} {
  const appended: string[][] = [];
  const core = { refusal: undefined as Refusal | undefined, bytesMax: Infinity };
  const proposals = new Proposals({
    core: {
      refusal: (bytes?: number) => core.refusal ?? ((bytes ?? 0) >= core.bytesMax ? 'overloaded' : undefined),
      propose(commands): Proposed {
        const firstIndex = 8 + appended.length;
        for (const data of commands)
          appended.push(commandsOf(data).map((command) => ('key' in command ? command.key : command.op)));
        return { term: 2, firstIndex };
      },
    },
    clock: { nowMs: () => 0, after: () => () => undefined },
    logTimeMs: () => 5,
    max,
    stages: undefined,
  });
  const set = (key: string): Buffer => encodeCommand({ op: 'set', key, value: Buffer.alloc(100) });
  return {
    proposals,
    appended,
    core,
    add(...keys) {
      const outcomes: ProposalOutcome[] = [];
      for (const key of keys) void proposals.add(set(key)).then((outcome) => outcomes.push(outcome));
      return outcomes;
    },
    settled: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

/** Until no further turn is wanted; how many there were. */
function turns(proposals: Proposals): number {
  for (let count = 1; ; count += 1) {
    if (count > 100) throw new Error('turns are wanted for ever');
    if (!proposals.turn(true)) return count;
  }
}

test('one that comes alone is appended at once', (t) => {
  const { proposals, add, appended } = harness();
  add('a');
  t.is(turns(proposals), 1);
  t.deepEqual(appended, [['a']]);
});

test('where there are others, some turns pass in which more may join', (t) => {
  const { proposals, add, appended } = harness();
  add('a', 'b');
  t.true(proposals.turn(true));
  add('c');
  t.true(turns(proposals) > 1);
  t.deepEqual(appended, [['a', 'b', 'c']]);
});

test('nothing is appended while the disk writes, however long that takes', (t) => {
  const { proposals, add, appended } = harness();
  add('a', 'b');
  for (let turn = 0; turn < 50; turn += 1) t.false(proposals.turn(false));
  t.deepEqual(appended, []);
  turns(proposals);
  t.deepEqual(appended, [['a', 'b']]);
});

test('where the node leads no more, all that was gathered is refused, though the disk writes', async (t) => {
  const { proposals, add, appended, core, settled } = harness();
  const outcomes = add('a', 'b');
  core.refusal = 'not-leader';
  t.false(proposals.turn(false));
  await settled();
  const refused = { status: 'refused', why: 'not-leader' } as const;
  t.deepEqual(outcomes, [refused, refused]);
  t.deepEqual(appended, []);
  t.is(proposals.size, 0);
});

test('what waits is bounded in number and in bytes, and counted until it is decided', async (t) => {
  const few = harness(2);
  const outcomes = few.add('a', 'b', 'c');
  turns(few.proposals);
  const later = few.add('d');
  await few.settled();
  const refused = { status: 'refused', why: 'overloaded' } as const;
  t.deepEqual([...outcomes, ...later], [refused, refused]);
  t.is(few.proposals.size, 2);
  few.proposals.applied(8, 2, [result, result]);
  t.is(few.proposals.size, 0);

  const small = harness();
  small.core.bytesMax = 150;
  const large = small.add('a', 'b', 'c', 'd');
  await small.settled();
  t.deepEqual(large, [refused, refused]);
});

test('a stop leaves undecided what is in the log, and refuses what is not', async (t) => {
  const { proposals, add, settled } = harness();
  const inLog = add('a');
  turns(proposals);
  const gathered = add('b');
  proposals.abandon();
  await settled();
  t.deepEqual(inLog, [{ status: 'unresolved' }]);
  t.deepEqual(gathered, [{ status: 'refused', why: 'stopping' }]);
});

test('who waits for all to be decided has what was gathered appended', async (t) => {
  const { proposals, add, appended, settled } = harness();
  add('a', 'b');
  let isEmpty = false;
  void proposals.whenEmpty(1000).then(() => (isEmpty = true));
  t.deepEqual(appended, [['a', 'b']]);
  await settled();
  t.false(isEmpty);
  proposals.applied(8, 2, [result, result]);
  await settled();
  t.true(isEmpty);
});
