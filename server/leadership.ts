/** Knows who leads, and lets requests wait for a leader while there is none. */

import type { NodeId } from '../membership/configuration.js';
import type { Deadline } from './deadline.js';
import { deadlineAfter } from './deadline.js';
import type { Node } from './node.js';
import type { Clock } from './ports.js';
import { ServiceError } from './service.js';

export interface LeadershipOptions {
  /** How long a request waits for a leader to be elected before it is told `no-leader`. */
  readonly leaderWaitMs: number;
  /** How soon a node that turned out not to lead is asked again when nothing is heard of a change. */
  readonly retryMs: number;
}

export class Leadership {
  readonly #node: Node;
  readonly #clock: Clock;
  readonly #options: LeadershipOptions;
  /** Called at every change of the node's standing; whoever is done takes itself out. */
  readonly #watchers = new Set<() => void>();

  constructor(node: Node, clock: Clock, options: LeadershipOptions) {
    this.#node = node;
    this.#clock = clock;
    this.#options = options;
  }

  /** To be called whenever the node's standing changes. */
  changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Rejects with `no-leader` when none appears in time. */
  async leader(deadline: Deadline): Promise<NodeId> {
    const known = this.#node.standing.leader;
    if (known !== undefined) return known;
    const patience = deadlineAfter(this.#clock, Math.min(this.#options.leaderWaitMs, deadline.remainingMs()));
    while (patience.remainingMs() > 0) {
      await this.#change(patience.remainingMs());
      const { leader } = this.#node.standing;
      if (leader !== undefined) return leader;
    }
    throw noLeader('no leader was elected in time; a majority of the voters may be down or unreachable');
  }

  /** After a refusal: waits for a change, a moment at most. */
  async settle(deadline: Deadline): Promise<void> {
    await this.#change(Math.min(this.#options.retryMs, deadline.remainingMs()));
  }

  /** Resolves like `asked`, or to undefined once this node does not take `leader` for the leader any more. */
  whileLeading<T>(leader: NodeId, asked: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const watcher = (): void => {
        if (this.#node.standing.leader === leader) return;
        this.#watchers.delete(watcher);
        resolve(undefined);
      };
      this.#watchers.add(watcher);
      asked.then(resolve, reject).finally(() => this.#watchers.delete(watcher));
    });
  }

  /** Resolves at the next change, or after `timeoutMs`. */
  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#watchers.delete(done);
        resolve();
      };
      const cancel = this.#clock.after(timeoutMs, done);
      this.#watchers.add(done);
    });
  }
}

export function noLeader(detail: string): ServiceError {
  return new ServiceError('no-leader', detail, { outcome: 'not-applied', retryAfterSeconds: 1 });
}
