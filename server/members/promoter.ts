/** Learners that are to vote get their vote once they have caught up (thesis §4.2.1), without being asked again. */

import type { Clock } from '../ports.js';
import type { Node } from '../node.js';

/**
 * Looks as often as the leader sends heartbeats; ends with the node. The core judges whether a learner has caught up; what it refuses is tried
 * again the next time.
 */
export function promoteLearners(node: Node, clock: Pick<Clock, 'every'>, everyMs: number): void {
  const stop = clock.every(everyMs, () => {
    if (node.isStopped) {
      stop();
      return;
    }
    if (node.state.current.role !== 'leader') return;
    const learner = node.configuration.members.find(({ voter, promote }) => !voter && promote === true);
    if (learner !== undefined) node.change({ type: 'promote', id: learner.id });
  });
}
