/** Knows who leads, and lets requests wait for a leader while there is none. */

import type { NodeId } from '../membership/configuration.js';
import type { Deadline } from './deadline.js';
import type { Node } from './node.js';
import { ServiceError } from './service.js';

export interface LeadershipOptions {
  /** How long a request waits for a leader to be elected before it is told `no-leader`. */
  readonly leaderWaitMs: number;
  /** How soon a node that turned out not to lead is asked again when nothing is heard of a change. */
  readonly retryMs: number;
}

export class Leadership {
  readonly #node: Node;
  readonly #options: LeadershipOptions;
  constructor(node: Node, options: LeadershipOptions) {
    this.#node = node;
    this.#options = options;
  }

  /** Undefined while there is none, or once this node has stopped. */
  get known(): NodeId | undefined {
    return this.#node.isStopped ? undefined : this.#node.standing.leader;
  }

  /** Rejects with `no-leader` when none appears in time, with `shutting-down` once this node has stopped. */
  async leader(deadline: Deadline): Promise<NodeId> {
    const patienceMs = Math.min(this.#options.leaderWaitMs, deadline.remainingMs());
    if (this.#node.standing.leader === undefined)
      await this.#node.whenStanding((standing) => standing.leader !== undefined, patienceMs);
    if (this.#node.isStopped) throw shuttingDown();
    const { leader } = this.#node.standing;
    if (leader !== undefined) return leader;
    throw noLeader('no leader was elected in time; a majority of the voters may be down or unreachable');
  }

  /** After a refusal: waits for a change, a moment at most. */
  async settle(deadline: Deadline): Promise<void> {
    const before = this.#node.standing;
    await this.#node.whenStanding(
      (now) => now !== before,
      Math.min(this.#options.retryMs, deadline.remainingMs()),
    );
  }

  /** Resolves like `asked`, or to undefined once this node does not take `leader` for the leader any more. */
  async whileLeading<T>(leader: NodeId, asked: Promise<T>, deadline: Deadline): Promise<T | undefined> {
    const gone = this.#node.watchStanding((standing) => standing.leader !== leader, deadline.remainingMs());
    try {
      return await Promise.race([asked, gone.reached.then(() => undefined)]);
    } finally {
      gone.cancel();
    }
  }
}

/** Nothing of the request was begun, or what was begun is certainly not applied. */
export function shuttingDown(): ServiceError {
  return new ServiceError('shutting-down', 'the node is shutting down', { retryAfterSeconds: 1 });
}

export function noLeader(detail: string): ServiceError {
  return new ServiceError('no-leader', detail, { outcome: 'not-applied', retryAfterSeconds: 1 });
}
