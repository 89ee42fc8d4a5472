/** Requests about the cluster's members as they travel between nodes. */

import { z } from 'zod';
import type { Configuration } from '../../membership/configuration.js';
import { decodeConfiguration, encodeConfiguration } from '../../membership/configuration.js';
import type { JoinAnswer } from '../members/joining.js';
import type { ClusterOutcome } from '../members/request.js';

export const CLUSTER_METHODS = Object.freeze({ change: 'cluster.change', join: 'cluster.join' });

/** Characters of an id or an address, at most: a name of RFC 1035 and a port fit. */
const TEXT_LENGTH_MAX = 300;
const text = z.string().min(1).max(TEXT_LENGTH_MAX);

const part = z.exactOptional(text);
const addresses = { raft: text, rpc: text, http: text };

const requestSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('add'), id: text, voter: z.boolean(), ...addresses }),
  z.strictObject({ type: z.literal('remove'), id: text }),
  z.strictObject({ type: z.literal('promote'), id: text }),
  z.strictObject({
    type: z.literal('readdress'),
    id: text,
    addresses: z.strictObject({ raft: part, rpc: part, http: part }),
  }),
  z.strictObject({ type: z.literal('transfer'), to: part }),
]);

/** The fields of `cluster.change`, beside the envelope's. */
export const changeShape = { request: requestSchema, timeoutMs: z.number().positive() };

/** The params of `cluster.join`: the caller knows an address, and not who listens there. */
export const joinSchema = z.strictObject({
  cluster: text,
  clusterId: text.nullable(),
  from: z.strictObject({ id: text, incarnation: text }),
  returning: z.boolean(),
  probe: z.boolean(),
  ...addresses,
});

const outcomeSchema = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('done') }),
  z.strictObject({ status: z.literal('waiting'), waitingFor: z.string() }),
  z.strictObject({ status: z.literal('refused'), why: z.string() }),
  z.strictObject({ status: z.literal('elsewhere') }),
  z.strictObject({ status: z.literal('unresolved') }),
]);

/** Undefined when the answer is none. */
export function readClusterOutcome(answer: unknown): ClusterOutcome | undefined {
  const parsed = outcomeSchema.safeParse(answer);
  return parsed.success ? parsed.data : undefined;
}

/** A configuration travels as it stands in the log, in base64. */
export function wireJoinAnswer(answer: JoinAnswer): object {
  if (answer.status === 'member')
    return { ...answer, configuration: encodeConfiguration(answer.configuration).toString('base64') };
  return answer.status === 'elsewhere' ? { ...answer, rpc: answer.rpc ?? null } : answer;
}

const joinAnswerSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('member'), configuration: z.string() }),
  z.object({ status: z.literal('waiting'), why: z.string() }),
  z.object({ status: z.literal('refused'), why: z.string() }),
  z.object({ status: z.literal('departed') }),
  z.object({ status: z.literal('elsewhere'), rpc: text.nullable() }),
]);

/** Throws when the answer is none. */
export function readJoinAnswer(answer: unknown): JoinAnswer {
  const parsed = joinAnswerSchema.safeParse(answer);
  if (!parsed.success) throw new Error('the answer to cluster.join is not valid');
  const { data } = parsed;
  if (data.status === 'member') return { ...data, configuration: configurationOf(data.configuration) };
  return data.status === 'elsewhere' ? { ...data, rpc: data.rpc ?? undefined } : data;
}

function configurationOf(base64: string): Configuration {
  return decodeConfiguration(Buffer.from(base64, 'base64'));
}
