/** Whether the state of a node is whole enough to be read from. */

import type { RaftState } from '../raft/state.js';
import { ServiceError } from './service.js';

/** What of a node's state tells. */
export interface GapState {
  readonly log: Pick<RaftState['log'], 'lacksState'>;
  readonly installing: RaftState['installing'];
}

/** Why nothing may be read from this node's state, in one line; undefined: it may. A missing state must not pass for an empty one. */
export function stateGap(state: GapState): string | undefined {
  if (state.installing !== undefined) return 'this node restores its state from a snapshot';
  return state.log.lacksState ? 'this node has lost its state, and gets it from the leader' : undefined;
}

/** What a read is refused with; undefined: it is not. */
export function gapFault(state: GapState): ServiceError | undefined {
  const gap = stateGap(state);
  if (gap === undefined) return undefined;
  return new ServiceError('no-quorum', `${gap}; the other nodes answer`, { retryAfterSeconds: 1 });
}

/** @throws ServiceError */
export function refuseGap(state: GapState): void {
  const fault = gapFault(state);
  if (fault !== undefined) throw fault;
}
