import test from 'ava';
import { sweep } from './sweep.js';

test('damage to any file of a stopped node is repaired or refused, and nothing that is read is wrong', async (t) => {
  t.timeout(300_000);
  const report = await sweep({ flips: 8, cuts: 8, seed: 1, tell: (line) => t.log(line) });
  const counts = Object.values(report.outcomes);
  t.is(
    counts.reduce((sum, count) => sum + count, 0),
    16,
  );
  t.true(report.earlyReads >= 16);
});
