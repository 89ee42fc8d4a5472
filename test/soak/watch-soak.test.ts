import test from 'ava';

import { soakWatches } from './watch-soak.js';

test('watches through kills, restarts, pauses and cut links: no gap, no repeat, no other order', async (t) => {
  t.timeout(180_000);
  const { faults, acknowledged, events, comparedWithLog } = await soakWatches(12, 1);
  t.true(Object.keys(faults).length >= 3, JSON.stringify(faults));
  t.true(acknowledged > 50);
  t.true(events >= acknowledged);
  t.true(comparedWithLog > 50);
});
