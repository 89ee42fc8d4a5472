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

const resultSchema = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('set'), revision: index }),
  z.strictObject({ status: z.literal('deleted'), revision: index }),
  z.strictObject({ status: z.literal('not-found'), revision: index }),
  z.strictObject({ status: z.literal('revision-mismatch'), currentRevision: index }),
  z.strictObject({ status: z.literal('session-expired') }),
  z.strictObject({ status: z.literal('session-conflict') }),
  z.strictObject({ status: z.literal('registered'), clientId: index }),
  z.strictObject({ status: z.literal('sessions-full') }),
  z.strictObject({ status: z.literal('expired'), sessions: index }),
]);

const refusal = {
  status: z.literal('refused'),
  why: z.enum(['not-leader', 'overloaded', 'transferring', 'stopping']),
} as const;

const proposalOutcomes = z.array(
  z.discriminatedUnion('status', [
    z.strictObject({ status: z.literal('applied'), index, result: resultSchema }),
    z.strictObject(refusal),
    z.strictObject({ status: z.literal('displaced') }),
    z.strictObject({ status: z.literal('unresolved') }),
  ]),
);

const readIndexOutcome = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('confirmed'), index }),
  z.strictObject(refusal),
  z.strictObject({ status: z.literal('lost') }),
]);

const timeoutMs = z.number().positive();

/** The fields of each call, beside the envelope's. Commands are in base64. */
export const kvShapes = {
  propose: { commands: z.array(z.string()).min(1).max(COMMANDS_MAX), timeoutMs },
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
});

const leaderStatus = z.object({ isLeader: z.literal(true), members: z.array(memberSchema) });

/** The members of a `cluster.status` that a leader gave; undefined for any other answer. */
export function readMembers(answer: unknown): readonly MemberStatus[] | undefined {
  const parsed = leaderStatus.safeParse(answer);
  return parsed.success ? parsed.data.members : undefined;
}
