/** How a node comes to be ready, and what it says of its standing meanwhile. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Node } from './node.js';
import type { ReadIndexes } from './read-indexes.js';
import type { StatusReport } from './status.js';

/** A node that catches up for longer asks anew how far it has to come. */
const CATCH_UP_MS = 10_000;
const CATCH_UP_RETRY_MS = 100;

/** Ready once everything is applied that was committed before this moment. */
export async function catchUp(
  node: Node,
  readIndexes: ReadIndexes,
  report: StatusReport,
  logger: Logger,
): Promise<void> {
  while (!node.isStopped) {
    try {
      const index = await readIndexes.get();
      if (!(await node.whenApplied(index, CATCH_UP_MS))) continue;
      report.caughtUp();
      logger.info({ index, keys: node.keyCount }, 'ready');
      return;
    } catch (error) {
      logger.debug({ err: error }, 'not caught up yet');
      // A refusal (`overloaded`) may come at once; asking again in the same turn would leave no turn to anybody else.
      await delay(CATCH_UP_RETRY_MS);
    }
  }
}
