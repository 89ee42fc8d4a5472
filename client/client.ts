/// <reference lib="esnext.disposable" preserve="true" />

import { PATHS } from '../api/paths.js';
import type { ClusterStatusResponse, Consistency } from '../api/types.js';
import type { Operation } from './attempt.js';
import { call, type Context, type Limits } from './call.js';
import type { Codec } from './codec.js';
import type { KVEntry } from './entry.js';
import type { Answer } from './failure.js';
import { createNodes } from './nodes.js';
import {
  checkOptions,
  consistencyOf,
  duration,
  settingsOf,
  type CallOptions,
  type DeleteOptions,
  type KVClientOptions,
  type ListOptions,
  type ReadOptions,
  type SetOptions,
  type Settings,
} from './options.js';
import {
  checkKey,
  checkRevision,
  entryOf,
  FIRST_PAGE_LIMIT,
  listQuery,
  nextPageLimit,
  setRequest,
  textOf,
} from './request.js';
import { createSessions } from './session.js';
import { createTransport } from './transport.js';

/** What the cluster says of itself. */
export interface Cluster {
  /** The state of the node that answers (the leader, when it is known) and of every member as that node sees it. */
  status(options?: CallOptions): Promise<ClusterStatusResponse>;
}

/**
 * A client of one quorumkv cluster. It finds the leader and stays with it, fails over to other nodes by itself, and
 * keeps its connections alive: make one and share it. Everything rejects with a `KVError`, and with nothing else.
 *
 * A call is repeated by itself, within its time, on whatever may pass. A write is applied once all the same, however
 * often it is sent: each carries its number in a session of this client (thesis §6.3), which the first write opens and
 * which expires by itself (by default after 10 minutes without a write; the next one opens another). An error whose
 * `outcome` is `unknown` says that time ran out, or the session expired, before a sent write was confirmed.
 *
 * @typeParam V the type of the values: `string`, or that of the `codec`.
 */
export class KVClient<V = string> implements AsyncDisposable {
  /** Calls about the cluster itself. */
  readonly cluster: Cluster;
  readonly #settings: Settings<V>;
  readonly #codec: Codec<V>;
  readonly #context: Context;
  readonly #closing = new AbortController();

  /**
   * Connects to nothing yet: the first call does.
   *
   * @param endpoints one or more nodes (`http://host:port` or `host:port`), or an object of options.
   * @throws {InvalidArgumentError} names the option at fault.
   */
  constructor(endpoints: string | readonly string[] | KVClientOptions<V>) {
    this.#settings = settingsOf(endpoints);
    this.#codec = this.#settings.codec;
    const channel = {
      nodes: createNodes(this.#settings.endpoints, () => performance.now()),
      transport: createTransport(),
      retry: this.#settings.retry,
    };
    this.#context = { ...channel, sessions: createSessions(channel), closed: this.#closing.signal };
    this.cluster = Object.freeze({ status: (options?: CallOptions) => this.#status(options) });
  }

  /** The value of a key; undefined when there is no such key. */
  async get(key: string, options: ReadOptions = {}): Promise<V | undefined> {
    return (await this.getEntry(key, options))?.value;
  }

  /** The value of a key with its revision; undefined when there is no such key. */
  async getEntry(key: string, options: ReadOptions = {}): Promise<KVEntry<V> | undefined> {
    return this.#read(key, options, (answer) =>
      answer.kind === 'ok' ? entryOf(this.#codec, answer.body) : undefined,
    );
  }

  /** Whether there is such a key. */
  async has(key: string, options: ReadOptions = {}): Promise<boolean> {
    return this.#read(key, options, (answer) => answer.kind === 'ok');
  }

  /**
   * Sets the value of a key. Resolves once a majority has it on disk.
   *
   * @throws {ConflictError} `ifAbsent` or `ifRevision` does not hold; nothing was changed.
   */
  async set(key: string, value: V, options: SetOptions = {}): Promise<{ revision: string }> {
    checkOptions('set', options);
    const body = setRequest(this.#codec, key, value, options);
    return this.#call(
      {
        isWrite: true,
        route: 'leader',
        method: 'POST',
        path: PATHS.set,
        body,
        read: (answer) => ({ revision: textOf(answer, 'revision') }),
      },
      options,
    );
  }

  /**
   * Deletes a key. True when it existed.
   *
   * @throws {ConflictError} `ifRevision` does not hold; nothing was changed.
   */
  async delete(key: string, options: DeleteOptions = {}): Promise<boolean> {
    checkOptions('delete', options);
    checkKey(key);
    checkRevision(options.ifRevision);
    const query = new URLSearchParams({ key });
    if (options.ifRevision !== undefined) query.set('ifRevision', options.ifRevision);
    return this.#call(
      {
        isWrite: true,
        route: 'leader',
        method: 'DELETE',
        path: `${PATHS.delete}?${query.toString()}`,
        read: (answer) => textOf(answer, 'status') === 'deleted',
      },
      options,
    );
  }

  /**
   * The entries in the order of their keys' bytes, fetched page by page. Each page is a read of its own: entries that
   * are written meanwhile may or may not be among them. `timeoutMs` holds for one page. A `stale` listing stays with
   * one node while that answers.
   */
  async *list(options: ListOptions = {}): AsyncIterableIterator<KVEntry<V>> {
    checkOptions('list', options);
    const query = listQuery(options);
    const route = this.#routeOf(options, query);
    let cursor: string | null = options.cursor ?? null;
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    let pageLimit = FIRST_PAGE_LIMIT;
    let preferred: string | undefined;
    do {
      query.set('limit', String(Math.min(left, pageLimit)));
      if (cursor !== null) query.set('cursor', cursor);
      const page: Page<V> = await this.#call(
        {
          ...READ,
          route,
          preferred,
          path: `${PATHS.kv}?${query.toString()}`,
          read: (...a) => this.#page(...a),
        },
        options,
      );
      yield* page.entries;
      left -= page.entries.length;
      cursor = page.cursor;
      preferred = page.origin;
      pageLimit = nextPageLimit(page.entries.length, page.bytes);
    } while (cursor !== null && left > 0);
  }

  /**
   * Closes the connections. Calls under way reject with a `ClosedError`, and so does every later one. The session is
   * left to expire by itself.
   */
  close(): Promise<void> {
    this.#closing.abort();
    this.#context.transport.destroy();
    return Promise.resolve();
  }

  /** The same as `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #call<T>(operation: Operation<T>, options: CallOptions): Promise<T> {
    const limits: Limits = {
      timeoutMs: duration('timeoutMs', options.timeoutMs, this.#settings.timeoutMs),
      signal: options.signal,
    };
    return call(this.#context, operation, limits);
  }

  async #read<T>(key: string, options: ReadOptions, read: (answer: Answer) => T): Promise<T> {
    checkOptions('read', options);
    checkKey(key);
    const query = new URLSearchParams({ key });
    const route = this.#routeOf(options, query);
    return this.#call({ ...READ, route, path: `${PATHS.get}?${query.toString()}`, read }, options);
  }

  /** Names the consistency in the query, and says who answers such a read without help. */
  #routeOf(options: ReadOptions, query: URLSearchParams): 'any' | 'leader' {
    const consistency: Consistency = consistencyOf(options.consistency, this.#settings.consistency);
    if (consistency !== 'linearizable') query.set('consistency', consistency);
    return consistency === 'stale' ? 'any' : 'leader';
  }

  #page(answer: Answer, origin: string): Page<V> {
    if (answer.kind !== 'ok' || !Array.isArray(answer.body['entries']))
      throw new Error('the entries are missing');
    const { cursor } = answer.body;
    if (cursor !== null && typeof cursor !== 'string') throw new Error('the cursor is missing');
    const entries = answer.body['entries'].map((entry: unknown) => entryOf(this.#codec, entry));
    return { entries, cursor, origin, bytes: answer.bytes };
  }

  async #status(options: CallOptions = {}): Promise<ClusterStatusResponse> {
    checkOptions('status', options);
    return this.#call({ ...READ, route: 'leader', path: PATHS.clusterStatus, read: statusOf }, options);
  }
}

interface Page<V> {
  readonly entries: KVEntry<V>[];
  readonly cursor: string | null;
  readonly origin: string;
  readonly bytes: number;
}

function statusOf(answer: Answer): ClusterStatusResponse {
  if (
    answer.kind !== 'ok' ||
    typeof answer.body['id'] !== 'string' ||
    !Array.isArray(answer.body['members'])
  ) {
    throw new Error('it is not the status of a cluster');
  }
  // The server's own type, shared through api/; the two fields that this package and its users lean on are checked.
  return answer.body as unknown as ClusterStatusResponse;
}

const READ = { isWrite: false, method: 'GET' } as const;
