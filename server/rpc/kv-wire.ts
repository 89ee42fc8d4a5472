/** Forwarded requests as JSON-RPC: `kv.propose` carries commands in batches, `kv.readIndex` asks once for all that wait. */

import { z } from 'zod';
import type { MemberStatus } from '../../api/types.js';
import type { ProposalOutcome } from '../waiters.js';
import type { ReadIndexOutcome } from '../node.js';

export const KV_METHODS = Object.freeze({ propose: 'kv.propose', readIndex: 'kv.readIndex' });

export const CLUSTER_STATUS_METHOD = 'cluster.status';

/** Commands in one call, at most. */
export const COMMANDS_MAX = 1024;

const index = z.int().nonnegative();

/** A value is in base64. */
const opResultSchema = z.union([
  z.strictObject({ status: z.enum(['set', 'deleted', 'not-found', 'missing']) }),
  z
    .strictObject({
      status: z.literal('got'),
      revision: index,
      ttlMs: index.nullable(),
      value: z.base64(),
    })
    .transform(({ ttlMs, value, ...got }) => ({
      ...got,
      value: Buffer.from(value, 'base64'),
      ...(ttlMs !== null && { ttlMs }),
    })),
]);

/** An outcome as it goes over the wire. */
export function wireOutcome(outcome: ProposalOutcome): object {
  if (outcome.status !== 'applied' || outcome.result.status !== 'txn') return outcome;
  const results = outcome.result.results.map((result) =>
    result.status === 'got'
      ? { ...result, ttlMs: result.ttlMs ?? null, value: result.value.toString('base64') }
      : result,
  );
  return { ...outcome, result: { ...outcome.result, results } };
}

const resultSchema = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('set'), revision: index }),
  z.strictObject({ status: z.literal('deleted'), revision: index }),
  z.strictObject({ status: z.literal('not-found'), revision: index }),
  z.strictObject({ status: z.literal('revision-mismatch'), currentRevision: index }),
  z.strictObject({ status: z.literal('session-expired') }),
  z.strictObject({ status: z.literal('session-conflict') }),
  z.strictObject({ status: z.literal('registered'), clientId: index }),
  z.strictObject({ status: z.literal('sessions-full') }),
  z.strictObject({ status: z.literal('expired'), count: index }),
  z.strictObject({ status: z.literal('txn'), revision: index, results: z.array(opResultSchema) }),
  z.strictObject({ status: z.literal('check-failed'), failed: z.array(index) }),
  z.strictObject({ status: z.literal('prefix-deleted'), revision: index, deleted: index }),
  z.strictObject({ status: z.literal('too-large') }),
]);

const refusals = ['not-leader', 'overloaded', 'transferring', 'stopping'] as const;

const proposalOutcomes = z.array(
  z.discriminatedUnion('status', [
    z.strictObject({ status: z.literal('applied'), index, result: resultSchema }),
    z.strictObject({ status: z.literal('refused'), why: z.enum([...refusals, 'disk-full']) }),
    z.strictObject({ status: z.literal('displaced') }),
    z.strictObject({ status: z.literal('unresolved') }),
  ]),
);

const readIndexOutcome = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('confirmed'), index }),
  z.strictObject({ status: z.literal('refused'), why: z.enum(refusals) }),
  z.strictObject({ status: z.literal('lost') }),
]);

const timeoutMs = z.number().positive();

/**
 * The fields of each call, beside the envelope's. Commands are in base64; `groups` says how many consecutive ones come from one request each,
 * and so are in order per key; without it, each is a request of its own.
 */
export const kvShapes = {
  propose: {
    commands: z.array(z.string()).min(1).max(COMMANDS_MAX),
    groups: z.array(z.int().positive()).max(COMMANDS_MAX).optional(),
    timeoutMs,
  },
  readIndex: { lease: z.boolean(), timeoutMs },
} as const;

/** One outcome a command, in order; undefined when the answer is none. */
export function readProposalOutcomes(
  answer: unknown,
  commands: number,
): readonly ProposalOutcome[] | undefined {
  const parsed = proposalOutcomes.safeParse(answer);
  return parsed.success && parsed.data.length === commands ? parsed.data : undefined;
}

export function readReadIndexOutcome(answer: unknown): ReadIndexOutcome | undefined {
  const parsed = readIndexOutcome.safeParse(answer);
  return parsed.success ? parsed.data : undefined;
}

const memberSchema = z.object({
  id: z.string(),
  raft: z.string(),
  rpc: z.string(),
  http: z.string(),
  voter: z.boolean(),
  role: z.enum(['leader', 'follower', 'candidate', 'pre-candidate', 'unknown']),
  matchIndex: index.nullable(),
  lagEntries: index.nullable(),
  lastContactMs: z.number().nonnegative().nullable(),
  reachable: z.boolean().nullable(),
  snapshot: z
    .object({
      phase: z.enum(['making', 'sending', 'receiving', 'restoring']),
      bytes: index,
      totalBytes: index.nullable(),
    })
    .nullable(),
});

const leaderStatus = z.object({ isLeader: z.literal(true), members: z.array(memberSchema) });

/** The members of a `cluster.status` that a leader gave; undefined for any other answer. */
export function readMembers(answer: unknown): readonly MemberStatus[] | undefined {
  const parsed = leaderStatus.safeParse(answer);
  return parsed.success ? parsed.data.members : undefined;
}
