/** What a node tells of itself, in its log and its metrics. */

import type { Logger } from 'pino';
import type { NodeEvents } from './node-parts.js';
import { tellStanding } from './standing-log.js';

/** `changed` is told beside the log; `broken` is as in `NodeEvents`. */
export function nodeEvents(
  logger: Logger,
  changed: NodeEvents['changed'],
  broken: NodeEvents['broken'],
): Omit<NodeEvents, 'applied'> {
  return {
    changed(now, before) {
      changed(now, before);
      tellStanding(logger, now, before);
    },
    refused: (what) => logger.error({ what }, 'a message that no correct node sends was refused'),
    unfit: (why) =>
      why === undefined
        ? logger.info('the disk answers again')
        : logger.warn({ why }, 'this node is unfit to lead'),
    broken,
  };
}
