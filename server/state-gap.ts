/** Whether the state of a node is whole enough to be read from. */

import type { RaftState } from '../raft/state.js';
import { ServiceError } from './service.js';

/** Why nothing may be read from this node's state, in one line; undefined: it may. A missing state must not pass for an empty one. */
export function stateGap(state: Pick<RaftState, 'log' | 'installing'>): string | undefined {
  if (state.installing !== undefined) return 'this node restores its state from a snapshot';
  return state.log.lacksState ? 'this node has lost its state, and gets it from the leader' : undefined;
}

/** @throws ServiceError */
export function refuseGap(state: Pick<RaftState, 'log' | 'installing'>): void {
  const gap = stateGap(state);
  if (gap === undefined) return;
  throw new ServiceError('no-quorum', `${gap}; the other nodes answer`, { retryAfterSeconds: 1 });
}
