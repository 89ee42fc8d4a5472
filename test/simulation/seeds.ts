/** The short form of the search, for `npm test`: fixed seeds, so that it says the same every time. */

import type { ExecutionContext } from 'ava';
import { SimulationFailure, describeFailure, shrink, simulate } from './run.js';

/** Runs the seeds `from`..`to`, both included; a failure shows its seed, the faults it needs and its log. */
export async function checkSeeds(t: ExecutionContext, from: number, to: number): Promise<void> {
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
