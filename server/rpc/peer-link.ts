/** The way to one peer: its connection, made when there is something to send, and made again when it broke. */

import type { NodeId } from '../../membership/configuration.js';
import type { Request } from '../../raft/messages.js';
import type { Credentials } from '../credentials.js';
import type { Inbox } from '../ports.js';
import { createDispatcher } from './dispatch.js';
import type { Channel, ChannelOptions } from './channel.js';
import { ChannelError, isRefusal, isStranger } from './errors.js';
import { sayHello } from './hello.js';
import type { ElectionTimeout } from './hello.js';
import { envelopeTo } from './identity.js';
import type { Identity, Roster } from './identity.js';
import type { Logger } from './logger.js';
import { decodeResponse, encodeRequest, RAFT_METHODS } from './raft-wire.js';
import { connectChannel } from './upgrade.js';

/** Where a peer is, and which disk of it is meant. */
export interface PeerTarget {
  /** `host:port` of its consensus traffic. */
  readonly address: string;
  /** Where it may be found as well, tried in turn when it is not there. */
  readonly elsewhere?: readonly string[];
  readonly incarnation: string;
}

export interface PeerLinkOptions {
  readonly roster: Roster;
  readonly inbox: Inbox;
  /** Read at each attempt to connect; undefined when the peer is not known. */
  readonly resolve: (id: NodeId) => PeerTarget | undefined;
  readonly electionTimeoutMs: ElectionTimeout;
  readonly logger: Logger;
  /** A call without an answer for so long is a lost message, in ms. */
  readonly callTimeoutMs: number;
  /** For the connection and for its first call, each, in ms. */
  readonly connectTimeoutMs: number;
  /** Default: none. */
  readonly credentials?: Credentials;
  /** 0 <= x < 1. */
  readonly random: () => number;
  readonly channel: Omit<ChannelOptions, 'dispatcher' | 'logger'>;
}

export interface PeerLink {
  send(message: Request): void;
  close(): void;
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly held: Request[] }
  | { readonly kind: 'open'; readonly channel: Channel; readonly to: Identity };

/** Messages that wait for a connection under way, at most: an election's or a heartbeat's, not a backlog. */
const HELD_MAX = 32;

/** Waits between attempts, in ms: the second follows the first at once, the sixth and later wait longest. */
const BACKOFF_MS: readonly number[] = [0, 50, 100, 200, 400];
const BACKOFF_MAX_MS = 500;

/** A connection of ours serves nothing: the peer's calls come by the peer's own. */
const NOTHING = {};

/** Connects to the peer and says hello. Rejects when there is no address, no answer, or a refusal. */
async function openLink(
  id: NodeId,
  options: PeerLinkOptions,
  attempt: number,
  signal: AbortSignal,
): Promise<{ channel: Channel; to: Identity }> {
  const { roster, logger, connectTimeoutMs, electionTimeoutMs } = options;
  const target = options.resolve(id);
  if (target === undefined) throw new ChannelError('never-sent', `no address is known for ${id}`);
  const places = [target.address, ...(target.elsewhere ?? [])];
  const dispatcher = createDispatcher(NOTHING, logger);
  const channel = await connectChannel(places[attempt % places.length] ?? target.address, {
    ...options.channel,
    dispatcher,
    logger,
    connectTimeoutMs,
    signal,
    ...(options.credentials !== undefined && { credentials: options.credentials }),
  });
  const to = { id, incarnation: target.incarnation };
  const onAbort = (): void => channel.close('this node is shutting down');
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await sayHello(channel, to, roster, electionTimeoutMs, connectTimeoutMs);
  } catch (error) {
    channel.close('the handshake failed');
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  return { channel, to };
}

/** One call: the request goes out by `channel`, its answer into the inbox; a call without an answer is a lost message. */
function transmit(message: Request, channel: Channel, to: Identity, options: PeerLinkOptions): void {
  const { inbox, logger } = options;
  const { type } = message;

  function deliver(result: unknown): void {
    let response;
    try {
      response = decodeResponse(type, result, to.id, message.from);
    } catch (error) {
      logger.debug({ peer: to.id, err: error, type }, 'an answer was not understood');
      return;
    }
    // The answer of a disk that was replaced meanwhile must not count for the one that came in its place.
    if (response !== undefined && options.resolve(to.id)?.incarnation === to.incarnation)
      inbox.receive(response);
  }

  function failed(error: unknown): void {
    logger.debug({ peer: to.id, err: error, type }, 'a consensus call failed');
    // What both sides agreed on when this connection was opened no longer stands; a new one begins with a hello.
    if (isStranger(error)) channel.close(error.message);
    // Dropped here, at the bound of what may wait: the core should hear of it as of any loss.
    else if (error instanceof ChannelError && error.fault === 'never-sent' && channel.isOpen()) {
      inbox.unreachable(to.id);
    }
  }

  const params = encodeRequest(message, envelopeTo(options.roster, to));
  channel.request(RAFT_METHODS[type], params, options.callTimeoutMs).then(deliver, failed);
}

/** The link to the peer `id`; it connects when the first message is sent. */
export function createPeerLink(id: NodeId, options: PeerLinkOptions): PeerLink {
  const { inbox, logger } = options;
  const abort = new AbortController();
  let state: State = { kind: 'idle' };
  let failures = 0;
  let notBeforeMs = 0;
  /** What was last logged as the reason why the peer can't be reached; undefined while it can. */
  let down: string | undefined;

  function failed(error: unknown): void {
    state = { kind: 'idle' };
    if (abort.signal.aborted) return;
    const wait = BACKOFF_MS[failures] ?? BACKOFF_MAX_MS;
    notBeforeMs = performance.now() + wait * (0.5 + options.random() / 2);
    failures += 1;
    const reason = error instanceof Error ? error.message : String(error);
    // One line an outage, and one a refusal: the attempts that follow would all say the same.
    const kind = isRefusal(error) ? reason : 'unreachable';
    if (down !== kind) logger.warn({ peer: id, reason }, 'a peer can not be reached');
    down = kind;
    inbox.unreachable(id);
  }

  function opened(channel: Channel, to: Identity, held: readonly Request[]): void {
    state = { kind: 'open', channel, to };
    if (down !== undefined) logger.info({ peer: id, remote: channel.remote }, 'a peer can be reached again');
    down = undefined;
    const sinceMs = performance.now();
    void channel.closed.then((reason) => {
      // One that breaks as soon as it stands is no better than none.
      if (performance.now() - sinceMs > BACKOFF_MAX_MS) failures = 0;
      failed(new ChannelError('lost', reason));
    });
    for (const message of held) transmit(message, channel, to, options);
  }

  function connect(first: Request): void {
    const held = [first];
    state = { kind: 'connecting', held };
    openLink(id, options, failures, abort.signal).then(
      ({ channel, to }) => opened(channel, to, held),
      failed,
    );
  }

  return {
    send(message) {
      if (state.kind === 'open') {
        // Another disk under its name by now: what this one says must not count for that one.
        if (options.resolve(id)?.incarnation === state.to.incarnation)
          transmit(message, state.channel, state.to, options);
        else state.channel.close(`${id} is another member now`);
      } else if (state.kind === 'connecting') {
        if (state.held.length < HELD_MAX) state.held.push(message);
      } else if (!abort.signal.aborted && performance.now() >= notBeforeMs) connect(message);
    },
    close() {
      abort.abort();
      if (state.kind === 'open') state.channel.close('this node is shutting down');
    },
  };
}
