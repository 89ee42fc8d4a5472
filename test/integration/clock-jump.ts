/**
 * Loaded into a node before its program: the wall clock is off by what the file named by KV_TEST_CLOCK says, in milliseconds. The monotonic clock
 * is untouched, as when an operator sets the time.
 */

import { readFileSync } from 'node:fs';

const RealDate = Date;
const file = process.env['KV_TEST_CLOCK'] ?? '';
let offsetMs = 0;

setInterval(() => {
  try {
    offsetMs = Number(readFileSync(file, 'utf8'));
  } catch {
    offsetMs = 0;
  }
}, 20).unref();

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given: unknown[]) =>
    Reflect.construct(target, given.length === 0 ? [target.now() + offsetMs] : given) as object,
  get: (target, name, receiver): unknown =>
    name === 'now' ? () => target.now() + offsetMs : Reflect.get(target, name, receiver),
});
