/** The waits between attempts. */

import test from 'ava';
import { clientOf } from './helpers.js';
import { problem, scripted, written } from './scripted-server.js';

/** So long that a call could not wait for it. */
const LONG_MS = 3_600_000;

test.serial('a wait has full jitter: anything from nothing to its bound', async (t) => {
  const { random } = Math;
  t.teardown(() => (Math.random = random));
  const retry = { backoffBaseMs: LONG_MS, backoffMaxMs: LONG_MS };
  const refused = problem('no-leader');

  Math.random = () => 0;
  const node = await scripted(t, refused, refused, written());
  const lucky = clientOf(t, node.address, { retry });
  await lucky.set('k', 'v');

  Math.random = () => 0.5;
  const other = await scripted(t, refused, written());
  const startedMs = performance.now();
  const error = await t.throwsAsync(clientOf(t, other.address, { retry }).set('k', 'v'));
  t.regex(error.message, /no-leader/);
  t.true(performance.now() - startedMs < 15_000, 'half an hour is more than the call has: it ends at once');
});
