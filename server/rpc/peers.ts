/** Consensus traffic between nodes: the real `Transport`. */

import type { NodeId } from '../../membership/configuration.js';
import type { Message, Request } from '../../raft/messages.js';
import { isResponse } from '../../raft/messages.js';
import type { Transport } from '../ports.js';
import { createInboundCalls } from './calls.js';
import type { Channel } from './channel.js';
import type { CallContext, Method, Methods } from './dispatch.js';
import { RPC_CODES, RpcError } from './errors.js';
import { HELLO_METHOD, helloMethod } from './hello.js';
import { identifiedMethod } from './identity.js';
import type { Envelope } from './identity.js';
import { createPeerLink } from './peer-link.js';
import type { PeerLink, PeerLinkOptions } from './peer-link.js';
import { decodeChunk, decodeEntries, quickFields, RAFT_METHODS, requestShapes } from './raft-wire.js';

type Required = Pick<PeerLinkOptions, 'roster' | 'inbox' | 'resolve' | 'electionTimeoutMs' | 'logger'>;

export interface PeerTransportOptions extends Required, Partial<Omit<PeerLinkOptions, keyof Required>> {
  /** Calls of other nodes that wait for the core's answer, at most; further ones are `overloaded`. Default: 4,096. */
  readonly inboundCallsMax?: number;
}

export interface PeerTransport extends Transport {
  /** The `raft.*` methods, to be served on the address for consensus traffic. */
  readonly methods: Methods;
  /** Closes the connections; nothing is sent or received any more. */
  close(): void;
}

/** What the times default to, in ms. A lost message costs little; a call given up too early costs its answer. */
const CALL_TIMEOUT_MS = 5000;
const CONNECT_TIMEOUT_MS = 1000;
const SILENCE_MS = 1000;
const INBOUND_CALLS_MAX = 4096;

export function createPeerTransport(options: PeerTransportOptions): PeerTransport {
  const { inbox, logger } = options;
  const { inboundCallsMax = INBOUND_CALLS_MAX, ...given } = options;
  const settings: PeerLinkOptions = {
    callTimeoutMs: CALL_TIMEOUT_MS,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    random: Math.random,
    ...given,
    channel: {
      // A node that is slow, but alive, must not be cut off sooner than the others would replace it.
      silenceMs: Math.max(SILENCE_MS, 3 * options.electionTimeoutMs[1]),
      ...given.channel,
    },
  };
  const calls = createInboundCalls(inboundCallsMax, settings.callTimeoutMs);
  const links = new Map<NodeId, PeerLink>();
  let closed = false;

  function linkTo(id: NodeId): PeerLink | undefined {
    const known = links.get(id);
    if (known !== undefined) return known;
    // Only members get a link: their number is bounded by the configuration.
    if (settings.resolve(id) === undefined) return undefined;
    for (const [other, link] of links) {
      if (settings.resolve(other) !== undefined) continue;
      link.close();
      links.delete(other);
    }
    const link = createPeerLink(id, settings);
    links.set(id, link);
    return link;
  }

  function dispatch(message: Message): void {
    if (isResponse(message)) {
      if (!calls.answer(message))
        logger.debug({ to: message.to, type: message.type }, 'an answer came too late');
      return;
    }
    const link = linkTo(message.to);
    if (link === undefined)
      logger.debug({ peer: message.to, type: message.type }, 'no address is known for a peer');
    else link.send(message);
  }

  const methods = raftMethods(
    options,
    (message, context) => {
      if (closed) throw new RpcError('the node is shutting down', RPC_CODES.noAnswer);
      if (message.type === 'timeoutNow') {
        inbox.receive(message);
        return {};
      }
      const { call, result } = calls.open(context);
      inbox.receive({ ...message, call });
      return result;
    },
    (channel) => calls.drop(channel),
  );

  return {
    methods,
    send(messages) {
      if (!closed) for (const message of messages) dispatch(message);
    },
    close() {
      closed = true;
      calls.close();
      for (const link of links.values()) link.close();
    },
  };
}

type Accept = (message: Request, context: CallContext) => unknown;

/** The serving side: checks, then hands the message to `accept`. `onClosed` learns of greeted channels that closed. */
function raftMethods(options: Required, accept: Accept, onClosed: (channel: Channel) => void): Methods {
  const { roster, electionTimeoutMs } = options;
  const greeted = new WeakSet<Channel>();
  const addressed = ({ from, to }: Envelope): { from: NodeId; to: NodeId } => ({ from: from.id, to: to.id });

  /** A persistent connection serves consensus only after its `raft.hello`; a `POST` stands for itself. */
  function greetedOnly(method: Method): Method {
    return (params, context) => {
      if (context.channel !== undefined && !greeted.has(context.channel)) {
        throw new RpcError(`${HELLO_METHOD} must come first on a connection`, RPC_CODES.handshake);
      }
      return method(params, context);
    };
  }

  return {
    [HELLO_METHOD]: helloMethod(roster, electionTimeoutMs, (channel) => {
      if (greeted.has(channel)) return;
      greeted.add(channel);
      void channel.closed.then(() => onClosed(channel));
    }),
    [RAFT_METHODS.preVote]: greetedOnly(
      identifiedMethod(roster, requestShapes.preVote, ({ term, lastIndex, lastTerm }, envelope, context) =>
        accept({ type: 'preVote', ...addressed(envelope), term, lastIndex, lastTerm }, context),
      ),
    ),
    [RAFT_METHODS.requestVote]: greetedOnly(
      identifiedMethod(roster, requestShapes.requestVote, (fields, envelope, context) => {
        const { term, lastIndex, lastTerm, transfer } = fields;
        return accept(
          { type: 'requestVote', ...addressed(envelope), term, lastIndex, lastTerm, transfer },
          context,
        );
      }),
    ),
    [RAFT_METHODS.appendEntries]: greetedOnly(
      identifiedMethod(
        roster,
        requestShapes.appendEntries,
        (fields, envelope, context) => {
          const { term, prevIndex, prevTerm, commit } = fields;
          const entries = decodeEntries(fields.entries, fields);
          return accept(
            { type: 'appendEntries', ...addressed(envelope), term, prevIndex, prevTerm, entries, commit },
            context,
          );
        },
        { quick: quickFields.appendEntries },
      ),
    ),
    [RAFT_METHODS.heartbeat]: greetedOnly(
      identifiedMethod(
        roster,
        requestShapes.heartbeat,
        ({ term, commit, round }, envelope, context) =>
          accept({ type: 'heartbeat', ...addressed(envelope), term, commit, round }, context),
        { quick: quickFields.heartbeat },
      ),
    ),
    [RAFT_METHODS.installSnapshot]: greetedOnly(
      identifiedMethod(roster, requestShapes.installSnapshot, (fields, envelope, context) => {
        const { term, snapshot } = fields;
        const chunk = decodeChunk(fields);
        return accept({ type: 'installSnapshot', ...addressed(envelope), term, snapshot, chunk }, context);
      }),
    ),
    [RAFT_METHODS.timeoutNow]: greetedOnly(
      identifiedMethod(roster, requestShapes.timeoutNow, ({ term }, envelope, context) =>
        accept({ type: 'timeoutNow', ...addressed(envelope), term }, context),
      ),
    ),
  };
}
