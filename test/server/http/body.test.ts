import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';

import test from 'ava';

import { bodyBudget, readBody } from '../../../server/http/body.js';

/** As much of a request as a body's reader looks at. */
function request(headers: Record<string, string> = {}): PassThrough & IncomingMessage {
  return Object.assign(new PassThrough(), { headers }) as unknown as PassThrough & IncomingMessage;
}

test('a body is put together from its pieces', async (t) => {
  const budget = bodyBudget();
  for (const pieces of [[], ['one'], ['o', 'n', 'e', 's'], ['one', 's']]) {
    const sent = request();
    const body = readBody(sent, 4, budget);
    for (const piece of pieces) sent.write(piece);
    sent.end();
    t.is((await body).toString(), pieces.join(''));
  }
  t.is(budget.heldBytes, 0);
});

test('bodies that arrive at once share one budget, and give it back however they end', async (t) => {
  const budget = bodyBudget(10);
  const whole = request();
  const broken = request();
  const tooMuch = request();
  const bodies = [whole, broken, tooMuch].map((sent) => readBody(sent, 8, budget));
  whole.write('12345');
  broken.write('12345');
  await Promise.resolve();
  tooMuch.write('1');
  await t.throwsAsync(bodies[2]!, { name: 'ServiceError', message: /too many large bodies/ });
  t.is(budget.heldBytes, 10);
  broken.destroy();
  await t.throwsAsync(bodies[1]!, { name: 'ClientGone' });
  t.is(budget.heldBytes, 5);
  whole.end();
  t.is((await bodies[0]!).toString(), '12345');
  t.is(budget.heldBytes, 0);

  const long = request();
  const refused = readBody(long, 3, budget);
  long.write('1234');
  await t.throwsAsync(refused, { name: 'RequestError', message: /3 bytes/ });
  t.is(budget.heldBytes, 0);
});

test('what a refused body goes on sending is dropped, up to a bound', async (t) => {
  const sent = request({ 'content-length': '1000' });
  await t.throwsAsync(readBody(sent, 10, bodyBudget()), { message: /10 bytes/ });
  const closed = new Promise((resolve) => sent.on('close', resolve));
  const piece = Buffer.alloc(1024 * 1024);
  for (let count = 0; count < 33; count++) sent.write(piece);
  await closed;
  t.true(sent.destroyed);
});
