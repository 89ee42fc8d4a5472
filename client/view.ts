/** What a client and its namespaces share, and where they differ. */

import type { Consistency } from '../api/types.js';
import { createKeyOrder } from './key-order.js';
import { call, type Context } from './call.js';
import type { Codec } from './codec.js';
import { createLane } from './lane.js';
import { searchMembers } from './members.js';
import { createNodes } from './nodes.js';
import type { Operation } from './operation.js';
import {
  consistencyOf,
  duration,
  type CallOptions,
  type KVClientOptions,
  type ReadOptions,
  type Settings,
} from './options.js';
import { createSessions } from './session.js';
import { createTransport } from './transport.js';
import type { Route } from './nodes.js';

/** Requests for the leader that are out at a time, of calls that share them. */
const LEADER_REQUESTS_MAX = 2;

/** One sight of the store. It has the shape of options, so that the public constructor takes it, and nobody else has one. */
export class View<V> implements KVClientOptions<V> {
  readonly endpoints: readonly string[];
  readonly settings: Omit<Settings<unknown>, 'codec'>;
  readonly codec: Codec<V>;
  readonly context: Context;
  /** Before every key; empty at the root. */
  readonly prefix: string;
  /** Of this one and those that it is in. */
  readonly closed: readonly AbortSignal[];
  readonly #closing = new AbortController();

  private constructor(
    settings: Omit<Settings<unknown>, 'codec'>,
    codec: Codec<V>,
    context: Context,
    prefix: string,
    closed: readonly AbortSignal[],
  ) {
    this.endpoints = settings.endpoints;
    this.settings = settings;
    this.codec = codec;
    this.context = context;
    this.prefix = prefix;
    this.closed = [this.#closing.signal, ...closed];
  }

  static isView<V>(options: string | readonly string[] | KVClientOptions<V>): options is View<V> {
    return options instanceof View;
  }

  static root<V>(settings: Settings<V>): View<V> {
    return new View(settings, settings.codec, contextOf(settings), '', []);
  }

  /** The keys that begin so, without it. */
  within(prefix: string): View<V> {
    return new View(this.settings, this.codec, this.context, this.prefix + prefix, this.closed);
  }

  /** The same keys with other values. */
  as<W>(codec: Codec<W>): View<W> {
    return new View(this.settings, codec, this.context, this.prefix, this.closed);
  }

  /** Ends the calls of this view and of those in it; at the root also the connections. */
  close(): void {
    this.#closing.abort();
    if (this.closed.length > 1) return;
    this.context.members.stop();
    this.context.transport.destroy();
  }

  call<T>(operation: Operation<T>, options: CallOptions): Promise<T> {
    return this.begin(() => operation, options);
  }

  /** As `call`; rejects with what the making of the operation throws. */
  begin<T>(make: () => Operation<T>, options: CallOptions): Promise<T> {
    return call(this.context, () => {
      const operation = make();
      const { timeoutMs, signal } = options;
      const limits = {
        timeoutMs: duration('timeoutMs', timeoutMs, this.settings.timeoutMs),
        signal,
        closed: this.closed,
      };
      return { operation, limits };
    });
  }

  /** Who answers such a read without help, and what the query must say of it. */
  freshness({ consistency }: ReadOptions): Freshness {
    const level = consistencyOf(consistency, this.settings.consistency);
    return {
      level,
      route: level === 'stale' ? 'any' : 'leader',
      named: level === 'linearizable' ? {} : { consistency: level },
    };
  }
}

interface Freshness {
  readonly level: Consistency;
  readonly route: Route;
  readonly named: { readonly consistency?: Consistency };
}

function contextOf(settings: Settings<unknown>): Context {
  const channel = {
    nodes: createNodes(settings.endpoints, () => performance.now()),
    transport: createTransport(settings),
    retry: settings.retry,
  };
  const leader = createLane(channel, LEADER_REQUESTS_MAX);
  // Stale reads are spread over the nodes, a request for each.
  const any = createLane(channel, settings.endpoints.length);
  return {
    ...channel,
    members: searchMembers(channel),
    sessions: createSessions(channel),
    order: createKeyOrder(() => leader.moved()),
    lanes: { leader, any },
    calls: 0,
  };
}
