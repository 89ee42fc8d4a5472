/** Whatever is sent to the routes with the richest bodies: a refusal that names what is wrong, or an answer; never a 500. */

import test from 'ava';
import fc from 'fast-check';

import type { Problem } from '../../../api/errors.js';
import { startNode } from './harness.js';

const scalar = fc.oneof(
  fc.constantFrom('', 'a', 'b', '1', '0', 'set', 'delete', 'get', '1/1/1', '/w==', '\ud800'),
  fc.string({ maxLength: 5 }),
  fc.integer(),
  fc.constantFrom(1, 0, -1, 1.5, 1e300, true, false, null),
);
/** Nearly right, or not at all. */
const op = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record(
      {
        op: fc.oneof({ weight: 9, arbitrary: fc.constantFrom('set', 'delete', 'get') }, scalar),
        key: fc.oneof({ weight: 9, arbitrary: fc.constantFrom('a', 'b') }, scalar),
        value: fc.oneof({ weight: 9, arbitrary: fc.constant('v') }, scalar),
        valueBase64: scalar,
        ttlMs: scalar,
        ifRevision: scalar,
        ifAbsent: scalar,
        revision: scalar,
        session: scalar,
      },
      { requiredKeys: ['op', 'key'] },
    ),
  },
  scalar,
  fc.array(scalar, { maxLength: 2 }),
);
const list = fc.oneof({ weight: 9, arbitrary: fc.array(op, { maxLength: 4 }) }, scalar);
const body = fc.oneof(
  { weight: 9, arbitrary: fc.record({ ops: list, checks: list, more: scalar }, { requiredKeys: [] }) },
  scalar,
);
const query = fc.oneof(
  fc.constant(''),
  fc
    .array(
      fc.tuple(
        fc.constantFrom('prefix', 'key', 'limit', 'redirect', 'consistency', 'fromRevision', 'ttlMs', 'x'),
        scalar,
      ),
      { maxLength: 3 },
    )
    .map((pairs) => `?${pairs.map(([name, value]) => `${name}=${escaped(String(value))}`).join('&')}`),
);

function escaped(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : '%ed%a0%80';
}

test('random requests are answered, or refused by name', async (t) => {
  const { url, service } = await startNode(t);
  const targets = fc.constantFrom(
    ['POST', '/txn'],
    ['POST', '/pipeline'],
    ['PUT', '/kv/a'],
    ['DELETE', '/kv'],
    ['GET', '/watch'],
    ['GET', '/cluster/log'],
  );
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(targets, query, body, async ([method, path], search, sent) => {
      const before = service.proposed.length;
      const init = method === 'GET' || method === 'DELETE' ? {} : { body: JSON.stringify(sent) };
      const response = await fetch(`${url}${path}${search}`, {
        method: method,
        redirect: 'manual',
        ...init,
      });
      statuses.add(response.status);
      const text = await response.text();
      t.true([200, 400, 409, 412, 413].includes(response.status), `${response.status}: ${text}`);
      if (response.status !== 400) return;
      const problem = JSON.parse(text) as Problem;
      t.truthy(problem.field, text);
      t.is(problem.outcome, 'not-applied');
      t.is(service.proposed.length, before, 'something was proposed of what was refused');
    }),
    { numRuns: 1500 },
  );
  t.true(statuses.has(200) && statuses.has(400));
});
