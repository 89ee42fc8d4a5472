/** What a node tells of itself, in its log and its metrics. */

import type { Logger } from 'pino';
import type { NodeEvents } from './node.js';
import type { Standing } from './standing.js';

/** `changed` is told beside the log; `broken` is as in `NodeEvents`. */
export function nodeEvents(
  logger: Logger,
  changed: NodeEvents['changed'],
  broken: NodeEvents['broken'],
): NodeEvents {
  return {
    changed(now, before) {
      changed(now, before);
      logger.info({ ...now, before: before.role }, standingText(now));
    },
    refused: (what) => logger.error({ what }, 'a message that no correct node sends was refused'),
    unfit: (why) =>
      why === undefined
        ? logger.info('the disk answers again')
        : logger.warn({ why }, 'this node is unfit to lead'),
    broken,
  };
}

function standingText({ role, leader, term }: Standing): string {
  if (role === 'leader') return `leads term ${term}`;
  return leader === undefined ? `knows no leader in term ${term}` : `follows ${leader} in term ${term}`;
}
