/** Who the first voters are, and what they say of themselves before there is a cluster. */

import { setTimeout as delay } from 'node:timers/promises';
import { JSONRPCErrorException } from 'json-rpc-2.0';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Config, Peer } from '../configs/config.js';
import type { Member, NodeId } from '../membership/configuration.js';
import type { Base } from './base.js';
import { firstVotersDigest, type Greeting } from './bootstrap.js';
import type { ControlClient } from './rpc/control.js';
import type { Credentials } from './credentials.js';
import { askStatus } from './rpc/ask-status.js';
import { DepartedError } from './members/departed.js';
import { isDepartedRefusal } from './rpc/errors.js';
import { HELLO_METHOD, helloParams } from './rpc/hello.js';
import type { Roster } from './rpc/identity.js';
import { addressesOf } from './starting.js';

const ATTEMPT_TIMEOUT_MS = 1000;
const RETRY_MS = 100;
/** A peer that stays away for the same reason is mentioned again this often. */
const REMIND_MS = 10_000;

export interface FindPeersOptions {
  readonly config: Config;
  readonly roster: Roster;
  readonly control: Pick<ControlClient, 'callAddress'>;
  readonly credentials: Credentials;
  readonly logger: Logger;
  /** Told what is waited for, in one line. */
  readonly waitFor: (what: string) => void;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** See `FirstStart.backup`. */
  readonly backupDigest?: string;
}

/** The peers of the file; where only HTTP addresses are given, the rest is asked of them; none: this node alone. */
export async function findPeers(options: FindPeersOptions): Promise<readonly Peer[]> {
  const { config } = options;
  const { peers, peerUrls } = config.cluster;
  if (peers.length > 0) return peers;
  const self = { id: config.raft.nodeID, ...addressesOf(config) };
  const others = await Promise.all(
    peerUrls.map((url) => untilAnswered(options, url, () => placeOf(options, url))),
  );
  return [self, ...others.filter(({ id }) => id !== self.id)];
}

const statusSchema = z.object({
  id: z.string(),
  addresses: z.object({ raft: z.string(), rpc: z.string(), http: z.string() }),
});

async function placeOf({ credentials }: FindPeersOptions, url: string): Promise<Peer> {
  const status = await askStatus(url.replace(/^http:\/\//, ''), credentials, ATTEMPT_TIMEOUT_MS);
  const { id, addresses } = statusSchema.parse(status);
  return { id, ...addresses };
}

const greetingSchema = z.object({
  incarnation: z.string(),
  clusterId: z.string().nullable(),
  firstVoters: z.string().nullable(),
});

/**
 * Asks until the peer answers; every one of the first voters is needed, and every one must name the same ones. A peer that
 * has begun is judged by its cluster's id instead.
 *
 * @throws DepartedError when the cluster has removed this node's disk: waiting would not help
 */
export function greetPeer(options: FindPeersOptions, peer: Peer, peers: readonly Peer[]): Promise<Greeting> {
  const { config, roster, control } = options;
  return untilAnswered(options, `${peer.id} (${peer.raft})`, async () => {
    const params = helloParams(roster, peer.id, config.raft.electionTimeoutMs);
    try {
      const greeting = greetingSchema.parse(
        await control.callAddress(peer.raft, HELLO_METHOD, params, ATTEMPT_TIMEOUT_MS),
      );
      checkFirstVoters(greeting, firstVotersDigest(peers, options.backupDigest));
      return greeting;
    } catch (error) {
      throw isDepartedRefusal(error) ? new DepartedError(config.raft.nodeID, config.raft.dataDir) : error;
    }
  });
}

function checkFirstVoters({ clusterId, firstVoters }: Greeting, own: string): void {
  if (clusterId !== null || firstVoters === own) return;
  throw new Error(
    firstVoters === null
      ? 'it still looks for its own peers'
      : 'its cluster.peers is not the list of this node, or it begins with another backup: make ids and addresses the same on every node, and restore.snap, and start anew where they were wrong',
  );
}

/** Who listens at `raft`, where `id` should be: a node that waits to be taken in, or a member. Rejects when it does not answer, or refuses. */
export async function askNewcomer(
  { config, roster, control }: Pick<FindPeersOptions, 'config' | 'roster' | 'control'>,
  id: NodeId,
  raft: string,
): Promise<Greeting> {
  const params = helloParams(roster, id, config.raft.electionTimeoutMs);
  return greetingSchema.parse(await control.callAddress(raft, HELLO_METHOD, params, ATTEMPT_TIMEOUT_MS));
}

/** Says hello to a member wherever it may be found; rejects with its refusal, or with why there is no answer. */
export async function greetMember(
  base: Pick<Base, 'options' | 'roster' | 'control' | 'acquaintances'>,
  member: Member,
): Promise<void> {
  const { options, acquaintances, roster, control } = base;
  const places = [...new Set(acquaintances.placesOf(member.id).map(({ raft }) => raft))];
  const said = await Promise.allSettled(
    places.map((place) => askNewcomer({ config: options.config, roster, control }, member.id, place)),
  );
  const refusals = said.flatMap((answer): unknown[] => (answer.status === 'rejected' ? [answer.reason] : []));
  // A refusal is an answer, too.
  acquaintances.asked(
    member.id,
    refusals.length < said.length || refusals.some((why) => why instanceof JSONRPCErrorException),
  );
  if (refusals.length === 0) return;
  throw refusals.find(isDepartedRefusal) ?? refusals[0];
}

async function untilAnswered<T>(options: FindPeersOptions, who: string, ask: () => Promise<T>): Promise<T> {
  const { logger, waitFor, signal } = options;
  let mentionedAt = -Infinity;
  let mentionedWhy: string | undefined;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      if (error instanceof DepartedError || signal.aborted) throw error;
      const why = error instanceof Error ? error.message : String(error);
      waitFor(`the first start waits for every peer: ${who} is not ready for it yet (${why})`);
      if (why !== mentionedWhy || performance.now() - mentionedAt >= REMIND_MS) {
        mentionedAt = performance.now();
        mentionedWhy = why;
        logger.info({ peer: who, why }, 'waiting for a peer before the first start');
      }
      await delay(RETRY_MS, undefined, { signal });
    }
  }
}
