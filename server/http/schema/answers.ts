/** What answers hold. They describe, and are held against real answers by the tests; nothing is checked by them at run time. */

import { z } from 'zod';

import { ERRORS } from '../../../api/errors.js';
import { anyRevision, base64Field, keyField, valueField } from './fields.js';

const whole = z.int().min(0);
const role = z.enum(['leader', 'follower', 'candidate', 'pre-candidate']);
const leaderHint = z.strictObject({ id: z.string(), http: z.string() });
const facts = { key: keyField, revision: anyRevision, ttlMs: whole.optional() };

/** Exactly one of the two is there, but for listings of keys only. */
const entry = z.strictObject({ ...facts, value: valueField.optional(), valueBase64: base64Field.optional() });
const setAnswer = z.strictObject({ success: z.literal(true), key: keyField, revision: anyRevision });
const deleteAnswer = z.strictObject({
  success: z.literal(true),
  key: keyField,
  status: z.enum(['deleted', 'not-found']),
  deleted: z.boolean(),
  revision: anyRevision,
});

/** RFC 9457. */
const problem = z.strictObject({
  type: z.string().regex(/^urn:quorumkv:/),
  title: z.string(),
  status: whole,
  detail: z.string(),
  code: z.enum(Object.keys(ERRORS)),
  requestId: z.string(),
  retryable: z.boolean(),
  outcome: z.enum(['not-applied', 'unknown']),
  leader: leaderHint.optional(),
  field: z.string().meta({ description: 'bad-request: the field at fault' }).optional(),
  currentRevision: anyRevision
    .nullable()
    .meta({ description: 'revision-mismatch: null for a missing key' })
    .optional(),
  succeeded: z.literal(false).meta({ description: 'check-failed' }).optional(),
  failed: z.array(z.string()).meta({ description: 'check-failed: the keys' }).optional(),
  oldestRevision: anyRevision.meta({ description: 'revision-compacted' }).optional(),
});

const progress = z.strictObject({
  phase: z.enum(['making', 'sending', 'receiving', 'restoring']),
  bytes: whole,
  totalBytes: whole.nullable(),
});
const snapshotShape = { id: z.string(), index: whole, term: whole, bytes: whole };
const statusShape = {
  id: z.string(),
  state: z.enum(['LEADER', 'FOLLOWER', 'CANDIDATE', 'PRE-CANDIDATE']),
  role,
  term: whole,
  currentTerm: whole,
  leader: leaderHint.nullable(),
  leaderId: z.string().nullable(),
  isLeader: z.boolean(),
  commitIndex: whole,
  lastApplied: whole,
  lastLogIndex: whole,
  firstLogIndex: whole,
  addresses: z.strictObject({ raft: z.string(), rpc: z.string(), http: z.string() }),
  cluster: z.string(),
  clusterId: z.string().nullable(),
  version: z.string(),
  uptimeMs: whole,
  snapshot: progress.nullable(),
  snapshots: z.array(z.strictObject(snapshotShape)),
};
/** Later members of the cluster's status are for people to read: they are not listed one by one. */
const status = z.looseObject(statusShape);
const member = z.looseObject({
  id: z.string(),
  raft: z.string(),
  rpc: z.string(),
  http: z.string(),
  voter: z.boolean(),
  role: z.enum([...role.options, 'unknown']),
  matchIndex: whole.nullable(),
  lagEntries: z.int().nullable(),
  lagBytes: z.number().nullable(),
  lastContactMs: whole.nullable(),
  reachable: z.boolean().nullable(),
  receivesSnapshot: z.boolean().nullable(),
  version: z.string().nullable(),
  snapshot: progress.nullable(),
});
const membersShape = { members: z.array(member), waitingFor: z.string().nullable() };

const opAnswer = z.union([setAnswer, deleteAnswer, entry]);

/** By the names that they have in the document. */
export const answers = {
  Problem: problem,
  Entry: entry,
  SetAnswer: setAnswer,
  DeleteAnswer: deleteAnswer,
  ListAnswer: z.strictObject({
    entries: z.array(entry),
    cursor: z.string().nullable(),
    revision: anyRevision,
  }),
  DeletePrefixAnswer: z.strictObject({ deleted: whole, revision: anyRevision }),
  TxnAnswer: z.strictObject({
    succeeded: z.literal(true),
    revision: anyRevision,
    results: z.array(opAnswer.nullable()),
  }),
  PipelineAnswer: z.strictObject({
    results: z.array(
      z.union([
        z.strictObject({ status: z.literal(200), result: opAnswer }),
        z.strictObject({ status: whole, error: problem }),
      ]),
    ),
  }),
  SessionAnswer: z.strictObject({ clientId: z.string().regex(/^[0-9]+$/) }),
  RedirectAnswer: z.strictObject({ leaderId: z.string(), leaderAddr: z.string() }),
  StatusAnswer: status,
  ClusterStatusAnswer: z.looseObject({ ...statusShape, ...membersShape }),
  MembersAnswer: z.strictObject(membersShape),
  ChangeAnswer: z.strictObject({ success: z.literal(true), waitingFor: z.string().optional() }),
  LogAnswer: z.strictObject({
    entries: z.array(
      z.strictObject({
        index: whole,
        term: whole,
        type: z.string(),
        size: whole,
        key: z.string().nullable(),
      }),
    ),
  }),
  HealthAnswer: z.strictObject({
    status: z.enum(['healthy', 'unhealthy']),
    keys: whole,
    role,
    leader: z.string().nullable(),
    reason: z.string().optional(),
  }),
  SnapshotAnswer: z.strictObject({ ...snapshotShape, node: z.string() }),
  WaitingAnswer: z.strictObject({ waitingFor: z.string() }),
  LivezAnswer: z.strictObject({ status: z.literal('alive') }),
  ReadyzAnswer: z.strictObject({
    status: z.enum(['ready', 'not-ready']),
    reason: z.string().optional(),
    node: status.optional(),
  }),
} as const;

/** Of an answer. */
export type AnswerName = keyof typeof answers;
