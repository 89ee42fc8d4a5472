/** The way to the leader: what a follower needs of it to answer any request (`rpc/` carries it). */

import type { MemberStatus } from '../api/types.js';
import type { NodeId } from '../membership/configuration.js';
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
  /** The members as the leader sees them; undefined when it does not say in time. */
  members(leader: NodeId, timeoutMs: number): Promise<readonly MemberStatus[] | undefined>;
}
