/** What requests bring: bodies, and the parameters of queries by route. */

import { z } from 'zod';

import { PIPELINE_OPS_MAX, TXN_CHECKS_MAX, TXN_OPS_MAX } from '../../../api/limits.js';
import { type JsonObject, checkNames } from '../json.js';
import { badField } from '../request-error.js';
import {
  absentField,
  base64Field,
  boundaryField,
  consistencyField,
  flagField,
  keyField,
  limitField,
  logLimitField,
  revisionFault,
  revisionField,
  sessionField,
  ttlField,
  valueField,
} from './fields.js';

const value = {
  value: valueField.optional(),
  valueBase64: base64Field.optional(),
  ttlMs: ttlField.optional(),
};
const conditions = { ifRevision: revisionField.optional(), ifAbsent: absentField.optional() };
const session = { session: sessionField.optional() };
const only = { key: keyField };

/** Of `value` and `valueBase64` exactly one is to be there, of the conditions at most one: see `values.ts`, `conditions.ts`. */
export const setBody = z.strictObject({ ...only, ...value, ...conditions });
export const valueBody = z.strictObject(value);
export const keyBody = z.strictObject(only);

const address = z.string().meta({ description: 'host:port, as others call it' });
const nodeId = z
  .string()
  .meta({ description: '1 to 64 letters, digits, ".", "_" and "-", a letter or digit first' });
/** See `member-routes.ts`, which says what is wrong with an id or an address. */
export const memberBody = z.strictObject({
  id: nodeId,
  raft: address,
  rpc: address,
  http: address,
  voter: z.boolean().optional(),
});
export const addressesBody = z.strictObject({
  raft: address.optional(),
  rpc: address.optional(),
  http: address.optional(),
});
export const transferBody = z.strictObject({ to: nodeId.optional() });

/** By their `op`. */
export const txnOps = {
  set: z.strictObject({ op: z.literal('set'), ...only, ...value }),
  delete: z.strictObject({ op: z.literal('delete'), ...only }),
  get: z.strictObject({ op: z.literal('get'), ...only }),
};
export const check = z.strictObject({
  ...only,
  revision: z
    .union([revisionField, z.null()], {
      error: ({ input }) =>
        input === undefined ? 'is missing; null stands for a key that is not there' : revisionFault(input),
    })
    .meta({ description: 'null: there must be no such key' }),
});
export const txnBody = z.strictObject({
  checks: z.array(check).max(TXN_CHECKS_MAX).optional(),
  ops: z
    .array(z.discriminatedUnion('op', [txnOps.set, txnOps.delete, txnOps.get]))
    .max(TXN_OPS_MAX)
    .optional(),
});

/** By their `op`. */
export const pipelineOps = {
  set: z.strictObject({ op: z.literal('set'), ...only, ...value, ...conditions, ...session }),
  delete: z.strictObject({
    op: z.literal('delete'),
    ...only,
    ifRevision: conditions.ifRevision,
    ...session,
  }),
  get: txnOps.get,
};
export const pipelineBody = z.strictObject({
  ops: z
    .array(z.discriminatedUnion('op', [pipelineOps.set, pipelineOps.delete, pipelineOps.get]))
    .max(PIPELINE_OPS_MAX),
});

/** The parameters of each route's query; the routes take no others. */
export const params = {
  none: z.strictObject({}),
  get: z.strictObject({ key: keyField, consistency: consistencyField.optional() }),
  set: z.strictObject({ redirect: flagField.optional() }),
  delete: z.strictObject({
    key: keyField,
    ifRevision: revisionField.optional(),
    redirect: flagField.optional(),
  }),
  keyGet: z.strictObject({ consistency: consistencyField.optional() }),
  keySet: z.strictObject({
    ttlMs: z.string().meta({ description: 'Of raw bytes', pattern: '^[1-9][0-9]*$' }).optional(),
    redirect: flagField.optional(),
  }),
  list: z.strictObject({
    prefix: boundaryField.optional(),
    start: boundaryField.optional(),
    end: boundaryField.optional(),
    limit: limitField.optional(),
    reverse: flagField.optional(),
    cursor: z.string().optional(),
    keysOnly: flagField.optional(),
    consistency: consistencyField.optional(),
  }),
  deletePrefix: z.strictObject({ prefix: keyField, redirect: flagField.optional() }),
  pipeline: z.strictObject({ consistency: consistencyField.optional(), redirect: flagField.optional() }),
  watch: z.strictObject({
    key: keyField.optional(),
    prefix: boundaryField.optional(),
    fromRevision: revisionField.optional(),
  }),
  log: z.strictObject({ limit: logLimitField.optional() }),
  readyz: z.strictObject({ verbose: flagField.optional() }),
};

/** The names of a schema's fields. */
export function namesOf(schema: z.ZodObject): readonly string[] {
  return Object.keys(schema.shape);
}

/** The body, checked. Throws what is wrong with the first field at fault; a field that the schema doesn't have comes first. */
export function checked<T extends z.ZodObject>(schema: T, body: JsonObject): z.output<T> {
  checkNames(body, namesOf(schema));
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw badField(issue?.path.join('.') ?? 'body', issue?.message ?? 'is not valid');
}
