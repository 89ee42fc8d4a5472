/** Calls from this node to the control plane of others: forwarded requests and questions about the cluster. */

import type { NodeId } from '../../membership/configuration.js';
import type { Credentials } from '../credentials.js';
import { createDispatcher } from './dispatch.js';
import type { Channel, ChannelOptions } from './channel.js';
import { ChannelError, RPC_CODES, RpcError, rpcToServiceError } from './errors.js';
import { envelopeTo } from './identity.js';
import type { Roster } from './identity.js';
import type { Logger } from './logger.js';
import { connectChannel } from './upgrade.js';

export interface ControlClientOptions extends Omit<ChannelOptions, 'dispatcher'> {
  readonly roster: Roster;
  /** `host:port` of a node's control plane; read at every call. */
  readonly resolve: (id: NodeId) => string | undefined;
  /** Where it may listen as well, tried in turn when it can't be reached there. */
  readonly elsewhere?: (id: NodeId) => readonly string[];
  readonly logger: Logger;
  /** In ms. Default: 1,000. */
  readonly connectTimeoutMs?: number;
  /** Default: none. */
  readonly credentials?: Credentials;
}

export interface ControlClient {
  /**
   * Calls `method` of the node `id`, with this node's envelope added to `params`. Within `timeoutMs`, connection included.
   * Rejects with `ServiceError` or `RpcError` (the other node's answer) or `ChannelError` (none); `outcomeOf` tells
   * what is certain after it.
   */
  call(id: NodeId, method: string, params: object, timeoutMs: number): Promise<unknown>;
  /** The same to whoever listens at `host:port`, with `params` as they are: for when ids are not known yet. */
  callAddress(address: string, method: string, params: object, timeoutMs: number): Promise<unknown>;
  close(): void;
}

const CONNECT_TIMEOUT_MS = 1000;

/** Connections kept at a time; the members of a cluster are far fewer. */
const CONNECTIONS_MAX = 64;

export function createControlClient(options: ControlClientOptions): ControlClient {
  const { roster } = options;
  const pool = createPool(options);

  async function callAddress(
    address: string,
    method: string,
    params: object,
    timeoutMs: number,
  ): Promise<unknown> {
    const deadlineMs = performance.now() + timeoutMs;
    const channel = await within(pool.connection(address), timeoutMs, address);
    try {
      return await channel.request(method, params, Math.max(1, deadlineMs - performance.now()));
    } catch (error) {
      throw rpcToServiceError(error);
    }
  }

  return {
    callAddress,
    async call(id, method, params, timeoutMs) {
      const address = options.resolve(id);
      const incarnation = roster.peerIncarnation(id);
      if (address === undefined || incarnation === undefined) {
        throw new ChannelError('never-sent', `${id} is not known as a member`);
      }
      const deadlineMs = performance.now() + timeoutMs;
      const sent = { ...envelopeTo(roster, { id, incarnation }), ...params };
      const places = [...new Set([address, ...(options.elsewhere?.(id) ?? [])])];
      for (const place of places.slice(0, -1)) {
        try {
          return await callAddress(place, method, sent, Math.max(1, deadlineMs - performance.now()));
        } catch (error) {
          if (!isNotThere(error)) throw error;
        }
      }
      const last = places.at(-1) ?? address;
      return callAddress(last, method, sent, Math.max(1, deadlineMs - performance.now()));
    },
    close: () => pool.close(),
  };
}

/** Nothing of the call was carried out, since nobody listens there, or somebody else. */
function isNotThere(error: unknown): boolean {
  if (error instanceof ChannelError) return error.fault === 'never-sent';
  return error instanceof RpcError && error.code === RPC_CODES.wrongReceiver;
}

interface Pool {
  /** The connection to `address`, shared by all who call there; one that failed or closed is made anew. */
  connection(address: string): Promise<Channel>;
  close(): void;
}

function createPool(options: ControlClientOptions): Pool {
  const { logger, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
  const dispatcher = createDispatcher({}, logger);
  const abort = new AbortController();
  const connections = new Map<string, Promise<Channel>>();

  async function connect(address: string): Promise<Channel> {
    if (abort.signal.aborted) throw new ChannelError('never-sent', 'this node is shutting down');
    if (connections.size >= CONNECTIONS_MAX) {
      throw new ChannelError('never-sent', `${CONNECTIONS_MAX} connections are open already`);
    }
    const { signal } = abort;
    const channel = await connectChannel(address, {
      ...options,
      dispatcher,
      connectTimeoutMs,
      signal,
    });
    if (signal.aborted) channel.close('this node is shutting down');
    return channel;
  }

  return {
    connection(address) {
      const known = connections.get(address);
      if (known !== undefined) return known;
      const attempt = connect(address);
      connections.set(address, attempt);
      const forget = (): void => {
        if (connections.get(address) === attempt) connections.delete(address);
      };
      attempt.then((channel) => void channel.closed.then(forget), forget);
      return attempt;
    },
    close() {
      abort.abort();
      for (const attempt of connections.values()) {
        attempt.then(
          (channel) => channel.close('this node is shutting down'),
          () => undefined,
        );
      }
    },
  };
}

/** A connection that many wait for goes on; only this caller stops waiting. */
async function within(connecting: Promise<Channel>, timeoutMs: number, address: string): Promise<Channel> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new ChannelError('never-sent', `${address}: no connection within ${timeoutMs} ms`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([connecting, late]);
  } finally {
    clearTimeout(timer);
  }
}
