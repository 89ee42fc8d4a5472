/** The short form of the search, for `npm test`: fixed seeds, so that it says the same every time. */

import type { ExecutionContext } from 'ava';
import test from 'ava';
import { SimulationFailure, describeFailure, shrink, simulate } from './run.js';

/** A test is over in some seconds, so that whoever watches sees it go on. */
const SEEDS_A_TEST = 25;

/** The seeds `from`..`to`, both included, a few a test. */
export function testSeeds(from: number, to: number): void {
  for (let first = from; first <= to; first += SEEDS_A_TEST) {
    const last = Math.min(to, first + SEEDS_A_TEST - 1);
    // One after the other: they have one process.
    test.serial(`seeds ${first} to ${last} keep every invariant, are linearizable, and converge`, (t) =>
      checkSeeds(t, first, last),
    );
  }
}

/** A failure shows its seed, the faults that it needs and its log. */
async function checkSeeds(t: ExecutionContext, from: number, to: number): Promise<void> {
  let acknowledged = 0;
  for (let seed = from; seed <= to; seed += 1) {
    try {
      acknowledged += (await simulate({ seed })).acknowledged;
    } catch (error) {
      if (!(error instanceof SimulationFailure)) throw error;
      t.fail(describeFailure(await shrink(error, 50), 200));
    }
  }
  // A search in which nothing was ever served would find nothing.
  t.true(acknowledged > (to - from + 1) * 30, `${acknowledged} operations were acknowledged`);
}
