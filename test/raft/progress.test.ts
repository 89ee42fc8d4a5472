/** What a leader knows of a follower: modes and window, against a naive model of what is on its way. */

import test from 'ava';
import fc from 'fast-check';
import { Progress } from '../../raft/progress.js';

const WINDOW = { appendsMax: 3, bytesMax: 100 };

function replicating(): Progress {
  const progress = new Progress(5, 0, WINDOW);
  progress.sent(5, 10);
  progress.acknowledged(5, 0);
  return progress;
}

test('probing: one message at a time, until an answer says where the logs agree', (t) => {
  const progress = new Progress(10, 0, WINDOW);
  t.like(progress, { mode: 'probe', match: 0, next: 10, paused: false });
  progress.sent(12, 30);
  t.like(progress, { mode: 'probe', next: 10, paused: true, inflightAppends: 0 });
  t.false(progress.refused(3, 1), 'the answer to another probe');
  t.true(progress.refused(9, 4));
  t.like(progress, { mode: 'probe', next: 5, paused: false });
  progress.sent(6, 30);
  t.true(progress.refused(4, 100), 'a hint beyond the refused index');
  t.is(progress.next, 4);
  t.true(progress.acknowledged(6, 0));
  t.like(progress, { mode: 'replicate', match: 6, next: 7, paused: false });
});

test('a refusal never goes back behind what matches', (t) => {
  const progress = replicating();
  t.false(progress.refused(5, 0), 'older than the acknowledgement');
  t.true(progress.refused(6, 0));
  t.like(progress, { mode: 'probe', match: 5, next: 6 });
  t.true(progress.refused(5, 0));
  t.is(progress.next, 6);
});

test('the window closes at its number of appends, and at its bytes', (t) => {
  const many = replicating();
  for (const index of [6, 7, 8]) many.sent(index, 1);
  t.true(many.paused);
  many.acknowledged(6, 0);
  t.like(many, { paused: false, inflightAppends: 2, inflightBytes: 2 });
  const large = replicating();
  large.sent(6, 99);
  t.false(large.paused);
  large.sent(7, 5000);
  t.like(large, { paused: true, inflightBytes: 5099 });
});

test('an empty append takes no room', (t) => {
  const progress = replicating();
  progress.sent(5, 0);
  t.like(progress, { inflightAppends: 0, next: 6 });
});

test('while entries come from disk, nothing is sent', (t) => {
  const progress = replicating();
  progress.fetching = 6;
  t.true(progress.paused);
  progress.lost();
  t.like(progress, { paused: false, mode: 'probe', next: 6, fetching: undefined });
});

test('match never goes back, next stays ahead of it, and the window is what was sent and not acknowledged', (t) => {
  const deed = fc.record({
    kind: fc.constantFrom('send', 'send', 'send', 'ack', 'ack', 'refuse', 'lost'),
    at: fc.nat(30),
    bytes: fc.nat(50),
  });
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 60 }), (deeds) => {
      const progress = new Progress(4, 0, WINDOW);
      let out: { last: number; bytes: number }[] = [];
      let match = 0;
      for (const { kind, at, bytes } of deeds) {
        const { mode } = progress;
        if (kind === 'send' && !progress.paused) {
          if (mode === 'replicate') out.push({ last: progress.next, bytes });
          progress.sent(progress.next, bytes);
        } else if (kind === 'ack') {
          t.is(progress.acknowledged(at, 0), at > match);
          match = Math.max(match, at);
          out = mode === 'probe' ? [] : out.filter(({ last }) => last > at);
        } else if (kind === 'refuse') {
          if (progress.refused(at, bytes % 10)) out = [];
        } else if (kind === 'lost') {
          progress.lost();
          out = [];
        }
        t.is(progress.match, match);
        t.true(progress.next > match);
        t.is(progress.inflightAppends, out.length);
        t.is(
          progress.inflightBytes,
          out.reduce((total, each) => total + each.bytes, 0),
        );
        t.true(progress.inflightAppends <= WINDOW.appendsMax);
      }
    }),
    { numRuns: 300 },
  );
});
