/**
 * The first call on every consensus connection: both sides make sure that they belong together before any message
 * is believed. Election timeouts must agree, because a leader's lease is counted against the other nodes' (thesis §6.4.1).
 */

import { z } from 'zod';
import type { NodeId } from '../../membership/configuration.js';
import type { Method } from './dispatch.js';
import type { Channel } from './channel.js';
import { firstFault, invalidParams, RPC_CODES, RpcError } from './errors.js';
import { checkSender, identitySchema } from './identity.js';
import type { Identity, Roster } from './identity.js';

/** What nodes say to each other; raised when a node of the version before could not follow. */
export const PROTOCOL_VERSION = 1;

export const HELLO_METHOD = 'raft.hello';

/** The shortest and the longest election timeout, in ms. */
export type ElectionTimeout = readonly [minMs: number, maxMs: number];

const introductionSchema = z.object({
  addresses: z.strictObject({ raft: z.string().min(1), rpc: z.string().min(1), http: z.string().min(1) }),
  version: z.string(),
});

const helloSchema = z.strictObject({
  cluster: z.string().min(1),
  clusterId: z.string().min(1).nullable(),
  from: identitySchema,
  toId: z.string().min(1),
  electionTimeoutMs: z.tuple([z.number().positive(), z.number().positive()]),
  protocol: z.int().positive(),
  introduction: introductionSchema.optional(),
});

const helloResult = z.object({
  id: z.string(),
  incarnation: z.string(),
  clusterId: z.string().nullable(),
  firstVoters: z.string().nullable(),
  protocol: z.int(),
  introduction: introductionSchema,
});

/** What a node answers to `raft.hello`. */
export type HelloResult = z.infer<typeof helloResult>;

/** The serving side. `onGreeted` learns of every channel that passed. */
export function helloMethod(
  roster: Roster,
  electionTimeoutMs: ElectionTimeout,
  onGreeted: (channel: Channel) => void,
): Method {
  return (params, { channel }): HelloResult => {
    const parsed = helloSchema.safeParse(params);
    if (!parsed.success) {
      const { field, message } = firstFault(parsed.error);
      throw invalidParams(field, message);
    }
    const hello = parsed.data;
    checkSender(hello, roster);
    const self = roster.self();
    if (hello.toId !== self.id) {
      throw new RpcError(`this node is ${self.id}, the call is for ${hello.toId}`, RPC_CODES.wrongReceiver, {
        field: 'toId',
      });
    }
    if (hello.protocol !== PROTOCOL_VERSION) {
      throw handshakeRefused(
        'protocol',
        `${self.id} speaks version ${PROTOCOL_VERSION} of the protocol, ${hello.from.id} version ${hello.protocol}: run the same release on both`,
      );
    }
    const [min, max] = hello.electionTimeoutMs;
    if (min !== electionTimeoutMs[0] || max !== electionTimeoutMs[1]) {
      throw handshakeRefused(
        'electionTimeoutMs',
        `${self.id} has election timeouts of ${electionTimeoutMs.join(' to ')} ms, ${hello.from.id} of ${min} to ${max} ms: set raft.electionTimeout to the same on every node`,
      );
    }
    if (hello.introduction !== undefined) roster.met(hello.from, hello.introduction);
    if (channel !== undefined) onGreeted(channel);
    return {
      ...self,
      clusterId: roster.clusterId() ?? null,
      firstVoters: roster.firstVoters() ?? null,
      protocol: PROTOCOL_VERSION,
      introduction: roster.introduction(),
    };
  };
}

function handshakeRefused(field: string, message: string): RpcError {
  return new RpcError(message, RPC_CODES.handshake, { field });
}

/** Says hello on `channel` and checks the answer. Throws when the other side refuses, or is not `to`. */
export async function sayHello(
  channel: Channel,
  to: Identity,
  roster: Roster,
  electionTimeoutMs: ElectionTimeout,
  timeoutMs: number,
): Promise<void> {
  const answer = helloResult.safeParse(
    await channel.request(HELLO_METHOD, helloParams(roster, to.id, electionTimeoutMs), timeoutMs),
  );
  if (!answer.success) throw handshakeRefused('', 'the answer to raft.hello is not valid');
  const { id, incarnation } = answer.data;
  if (id !== to.id || incarnation !== to.incarnation) {
    throw handshakeRefused(
      'to',
      `${channel.remote} is ${id} (${incarnation}), not ${to.id} (${to.incarnation}): another node, or its disk was replaced`,
    );
  }
  roster.met(to, answer.data.introduction);
}

/** The params of `raft.hello`, from this node to `toId`. */
export function helloParams(roster: Roster, toId: NodeId, electionTimeoutMs: ElectionTimeout): object {
  return {
    cluster: roster.clusterName,
    clusterId: roster.clusterId() ?? null,
    from: roster.self(),
    toId,
    electionTimeoutMs,
    protocol: PROTOCOL_VERSION,
    introduction: roster.introduction(),
  };
}
