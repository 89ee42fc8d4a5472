/**
 * Watches: each pulls what has changed from the history in the state, at the pace of its consumer, so that a slow one holds no more than a
 * page in memory; those that have caught up share their reads. Any node serves them from what it has applied.
 */

import type { Change } from '../kv/working-set.js';
import type { Index } from '../raft/entry.js';
import type { HistoryPage } from './history-reader.js';
import { shuttingDown } from './leadership.js';
import type { Node } from './node.js';
import type { Clock } from './ports.js';
import { ServiceError } from './service.js';
import type { WatchItem, WatchQuery } from './service.js';

/** So often at least a consumer hears something. */
const HEARTBEAT_MS = 15_000;
/** Watches of one node at a time; further ones are refused as `overloaded`. */
export const WATCHES_MAX = 1000;

export interface WatchesOptions {
  readonly node: Pick<Node, 'appliedIndex' | 'whenApplied' | 'isStopped'>;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly page: (after: Index) => Promise<HistoryPage>;
}

export class Watches {
  readonly #options: WatchesOptions;
  #open = 0;
  #isClosed = false;
  #close: () => void = () => undefined;
  readonly #closing = new Promise<void>((resolve) => (this.#close = resolve));
  /** The newest read of those that have caught up. */
  #shared: { readonly after: Index; readonly at: Index; readonly page: Promise<HistoryPage> } | undefined;

  constructor(options: WatchesOptions) {
    this.#options = options;
  }

  /** All watches end, and say so. */
  close(): void {
    this.#isClosed = true;
    this.#close();
  }

  /**
   * What changes behind (`after`, `n`). Rejects with `revision-compacted` when some of it is not kept any more, with `overloaded` beyond
   * `WATCHES_MAX`. The result is to be run, or ended with `return`.
   */
  async open(query: WatchQuery, after: Index, n: number): Promise<AsyncGenerator<WatchItem, void>> {
    if (this.#isClosed || this.#options.node.isStopped) throw shuttingDown();
    if (this.#open >= WATCHES_MAX)
      throw new ServiceError('overloaded', `there are ${WATCHES_MAX} watches on this node already`, {
        retryAfterSeconds: 1,
      });
    const first = await this.#page(after);
    if (first.status === 'compacted')
      throw new ServiceError(
        'revision-compacted',
        `changes are kept from revision ${first.oldest} on; read the keys anew and watch from there`,
        { oldestRevision: first.oldest },
      );
    return this.#run(query, first, { after, n });
  }

  async *#run(
    query: WatchQuery,
    first: HistoryPage,
    start: { readonly after: Index; readonly n: number },
  ): AsyncGenerator<WatchItem, void> {
    const { node, clock } = this.#options;
    let page = first;
    let seen = start.after;
    let toldMs = clock.nowMs();
    this.#open += 1;
    try {
      yield { type: 'progress', seen };
      for (;;) {
        if (page.status === 'compacted') {
          yield { type: 'cut-off', why: 'revision-compacted', seen, oldest: page.oldest };
          return;
        }
        for (const event of eventsOf(query, page)) {
          if (event.revision === start.after + 1 && event.n <= start.n) continue;
          yield event;
          toldMs = clock.nowMs();
        }
        seen = page.through;
        if (clock.nowMs() - toldMs >= HEARTBEAT_MS) {
          yield { type: 'progress', seen };
          toldMs = clock.nowMs();
        }
        if (seen >= node.appliedIndex)
          await Promise.race([
            node.whenApplied(seen + 1, Math.max(1, toldMs + HEARTBEAT_MS - clock.nowMs())),
            this.#closing,
          ]);
        const next = this.#isClosed || node.isStopped ? undefined : await this.#nextPage(seen);
        if (next === undefined) {
          yield { type: 'cut-off', why: 'shutting-down', seen };
          return;
        }
        page = next;
      }
    } finally {
      this.#open -= 1;
    }
  }

  /** Undefined when the node stops meanwhile. */
  async #nextPage(after: Index): Promise<HistoryPage | undefined> {
    try {
      return await this.#page(after);
    } catch (error) {
      if (error instanceof ServiceError) return undefined;
      throw error;
    }
  }

  #page(after: Index): Promise<HistoryPage> {
    const at = this.#options.node.appliedIndex;
    if (this.#shared?.after !== after || this.#shared.at !== at)
      this.#shared = { after, at, page: this.#options.page(after) };
    return this.#shared.page;
  }
}

function* eventsOf(
  query: WatchQuery,
  { revisions }: HistoryPage & { readonly status: 'whole' },
): Generator<WatchItem & { readonly type: 'event' }> {
  for (const { revision, changes } of revisions) {
    for (const [at, change] of changes.entries()) {
      if (isWatched(query, change)) yield { type: 'event', change, revision, n: at + 1, of: changes.length };
    }
  }
}

function isWatched(query: WatchQuery, { key }: Change): boolean {
  return 'key' in query ? key === query.key : key.startsWith(query.prefix);
}
