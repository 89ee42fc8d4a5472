/** Says in a node's log what it is in consensus, whenever that changes. */

import type { Logger } from 'pino';
import type { Standing } from './standing.js';

export function tellStanding(logger: Pick<Logger, 'info'>, now: Standing, before: Standing): void {
  const { term, role, leader, configuration } = now;
  if (term !== before.term || role !== before.role || leader !== before.leader)
    logger.info({ term, role, leader, before: before.role }, standingText(now));
  if (configuration === before.configuration) return;
  const members = configuration.members.map(({ id, voter }) => ({ id, voter }));
  logger.info({ members, outgoing: configuration.outgoing }, 'the members have changed');
}

function standingText({ role, leader, term }: Standing): string {
  if (role === 'leader') return `leads term ${term}`;
  return leader === undefined ? `knows no leader in term ${term}` : `follows ${leader} in term ${term}`;
}
