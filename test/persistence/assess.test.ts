import test from 'ava';
import type { Assessment } from '../../persistence/assess.js';
import { assess, endOf, laterPromise } from '../../persistence/assess.js';
import type { RecoveredLog } from '../../persistence/log-store.js';
import type { RecoveredMark } from '../../persistence/watermark.js';
import { FIRST_MARK } from '../../persistence/watermark.js';
import type { HardState } from '../../raft/entry.js';
import { ORIGIN } from '../../raft/entry.js';
import { hardState } from '../contracts/log-store.js';
import { markOf, positionOf } from '../contracts/watermark.js';

const REST = { configurations: [], bytes: 0, tail: [] };
const EMPTY: RecoveredLog = { hardState: undefined, base: ORIGIN, termRuns: [], lastIndex: 0, ...REST };

function logOf(end: readonly [term: number, index: number], promise: HardState, base = ORIGIN): RecoveredLog {
  const [term, index] = end;
  const termRuns = index === base.index ? [] : [{ index: base.index + 1, term }];
  return { hardState: promise, base, termRuns, lastIndex: index, ...REST };
}

function found(...mark: Parameters<typeof markOf>): RecoveredMark {
  return { kind: 'found', mark: markOf(...mark) };
}

test('a log at or above its mark, with the promises of it, is whole', (t) => {
  const whole: [RecoveredLog, RecoveredMark][] = [
    [EMPTY, { kind: 'none' }],
    [EMPTY, { kind: 'found', mark: FIRST_MARK }],
    [logOf([2, 9], hardState(2, 'n1')), found(2, 'n1', [2, 9])],
    [logOf([2, 12], hardState(2, 'n1')), found(2, 'n1', [2, 9])],
    [logOf([3, 5], hardState(3, 'n2')), found(2, 'n1', [2, 9])],
    [logOf([2, 9], hardState(2, 'n1')), found(2, undefined, [2, 9])],
    [logOf([2, 9], hardState(2), positionOf([2, 9])), found(2, undefined, [2, 9])],
  ];
  for (const [log, mark] of whole) {
    t.deepEqual(assess(log, mark), { kind: 'whole' });
    t.is(laterPromise(log, mark), log.hardState);
  }
});

const DAMAGED: [string, RecoveredLog, RecoveredMark, RegExp][] = [
  [
    'fewer entries',
    logOf([2, 8], hardState(2, 'n1')),
    found(2, 'n1', [2, 9]),
    /^the log ends with entry 8 of term 2, but entry 9 of term 2 was durable in it$/,
  ],
  [
    'only entries of an earlier term, though more of them',
    logOf([1, 90], hardState(2, 'n1')),
    found(2, 'n1', [2, 9]),
    /entry 90 of term 1, but entry 9 of term 2/,
  ],
  ['nothing at all', EMPTY, found(2, 'n1', [2, 9]), /ends with no entry, but entry 9 of term 2/],
  [
    'an earlier term',
    logOf([2, 9], hardState(2, 'n1')),
    found(3, undefined, [2, 9]),
    /^the log knows of term 2 with a vote for n1, but the node promised term 3 without a vote$/,
  ],
  [
    'no vote',
    logOf([2, 9], hardState(3)),
    found(3, 'n2', [2, 9]),
    /term 3 without a vote, but .* with a vote for n2/,
  ],
  ['another vote', logOf([2, 9], hardState(3, 'n1')), found(3, 'n2', [2, 9]), /for n1, but .* for n2/],
  ['no promise', EMPTY, found(1, undefined, [0, 0]), /knows of term 0 without a vote, but/],
];

for (const [name, log, mark, what] of DAMAGED) {
  test(`a log with ${name} is damaged`, (t) => {
    const assessment: Assessment = assess(log, mark);
    t.is(assessment.kind, 'damaged');
    if (assessment.kind !== 'damaged' || mark.kind !== 'found') return;
    t.deepEqual(assessment.mark, mark.mark);
    t.regex(assessment.what, what);
    // Never back, whichever of the two knows more.
    const promise = laterPromise(log, mark);
    t.true((promise?.term ?? 0) >= Math.max(log.hardState?.term ?? 0, mark.mark.term));
    if (promise?.term === mark.mark.term && mark.mark.vote !== undefined) t.is(promise.vote, mark.mark.vote);
    t.is(promise?.commit ?? 0, log.hardState?.commit ?? 0);
  });
}

test('a log whose mark is missing or lost is nobody knows what', (t) => {
  const log = logOf([2, 9], hardState(2, 'n1'));
  t.like(assess(log, { kind: 'none' }), { kind: 'damaged', mark: undefined });
  t.like(assess(log, { kind: 'lost', why: 'the files are damaged' }), { kind: 'damaged', mark: undefined });
  t.like(assess(EMPTY, { kind: 'lost', why: 'the files are damaged' }), { kind: 'damaged', mark: undefined });
  t.is(laterPromise(log, { kind: 'none' }), log.hardState);
});

test("the later promise is the log's where that knows more", (t) => {
  const log = logOf([3, 5], hardState(5, 'n1', 4));
  t.is(laterPromise(log, found(4, 'n2', [4, 9])), log.hardState);
  t.deepEqual(laterPromise(log, found(6, 'n2', [4, 9])), hardState(6, 'n2', 4));
});

test('the end of a log is its last entry or its base', (t) => {
  t.deepEqual(endOf(EMPTY), ORIGIN);
  t.deepEqual(endOf(logOf([2, 9], hardState(2))), positionOf([2, 9]));
  t.deepEqual(endOf(logOf([2, 9], hardState(2), positionOf([2, 9]))), positionOf([2, 9]));
});
