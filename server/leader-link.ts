/** The way to the leader: what a follower needs of it to answer any request (`rpc/` carries it). */

import type { MembersReport } from '../api/types.js';
import type { NodeId } from '../membership/configuration.js';
import type { ClusterOutcome, ClusterRequest } from './members/request.js';
import type { ProposalOutcome } from './waiters.js';
import type { ReadIndexOutcome } from './node.js';

export interface LeaderLink {
  /**
   * Proposes commands in order, in one call; `COMMANDS_MAX` at most. One outcome each: `unresolved` as well when the call was sent and no
   * answer came, since it may have been carried out.
   */
  propose(
    leader: NodeId,
    commands: readonly Buffer[],
    timeoutMs: number,
  ): Promise<readonly ProposalOutcome[]>;
  readIndex(leader: NodeId, lease: boolean, timeoutMs: number): Promise<ReadIndexOutcome>;
  /** `unresolved` as well when the call was sent and no answer came. */
  change(leader: NodeId, request: ClusterRequest, timeoutMs: number): Promise<ClusterOutcome>;
  /** The members as the leader sees them; undefined when it does not say in time. */
  members(leader: NodeId, timeoutMs: number): Promise<MembersReport | undefined>;
}
