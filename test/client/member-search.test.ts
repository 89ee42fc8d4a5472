/** How often a client looks for members; on a timer of the test's own. */

import { mock } from 'node:test';
import test from 'ava';
import { PATHS } from '../../api/paths.js';
import { clientOf } from './helpers.js';
import { ok, scripted } from './scripted-server.js';

const EVERY_MS = 10_000;

test.serial('an idle client looks every 10 s, until it is closed', async (t) => {
  const headers = { 'kv-members': '5' };
  const endpoint = await scripted(t);
  const body = { key: 'k', value: 'v', revision: '7', members: [{ http: endpoint.address }] };
  endpoint.script(ok(body, { headers }));
  // Of the client alone: everything else here goes by other timers.
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  const client = clientOf(t, endpoint.address);
  await client.get('k');
  await endpoint.arrived(2);
  mock.timers.tick(EVERY_MS - 1);
  await client.get('k');
  t.is(endpoint.seen.length, 3);
  mock.timers.tick(1);
  await endpoint.arrived(4);
  t.is(endpoint.seen.at(-1)?.path, PATHS.members);
  await client.close();
  mock.timers.tick(10 * EVERY_MS);
  t.is(endpoint.seen.length, 4);
});
