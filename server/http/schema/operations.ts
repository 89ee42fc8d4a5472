/** Every request of clients, for the document of the interface. */

import type { z } from 'zod';

import { PATHS } from '../../../api/paths.js';
import type { ErrorCode } from '../../../api/errors.js';
import type { AnswerName } from './answers.js';
import {
  addressesBody,
  keyBody,
  memberBody,
  params,
  pipelineBody,
  setBody,
  transferBody,
  txnBody,
  valueBody,
} from './requests.js';

export interface Operation {
  readonly method: 'get' | 'head' | 'put' | 'post' | 'delete' | 'patch';
  /** With `{key}` or `{id}` where a path names something. */
  readonly path: string;
  readonly summary: string;
  readonly query: z.ZodObject;
  /** Request headers that it heeds. */
  readonly headers?: readonly RequestHeader[];
  readonly body?: z.ZodObject;
  /** The body, or the answer, may be the bytes of a value. */
  readonly raw?: 'body' | 'answer';
  /** By status; `text`, `events` and `bytes` are no JSON, `none` has no body. */
  readonly answers: Readonly<Record<number, AnswerName | 'text' | 'events' | 'bytes' | 'none' | 'document'>>;
  readonly etag?: true;
  /** What it may fail with beside what every request may. */
  readonly errors: readonly ErrorCode[];
}

export type RequestHeader = 'If-Match' | 'If-None-Match' | 'KV-Session' | 'Last-Event-ID';

const READ: readonly ErrorCode[] = [
  'no-leader',
  'no-quorum',
  'shutting-down',
  'timeout',
  'leadership-lost',
  'overloaded',
];
const WRITE: readonly ErrorCode[] = [...READ, 'disk-full', 'session-expired', 'session-conflict'];
const BODY: readonly ErrorCode[] = ['too-large', 'bad-json', 'unsupported-media-type', 'request-timeout'];
const SET_HEADERS = ['If-Match', 'If-None-Match', 'KV-Session'] as const;
const DELETE_HEADERS = ['If-Match', 'KV-Session'] as const;
const KEY = `${PATHS.kv}/{key}`;
const SET = { 200: 'SetAnswer', 307: 'RedirectAnswer' } as const;
const DELETED = { 200: 'DeleteAnswer', 307: 'RedirectAnswer' } as const;
const IF: readonly ErrorCode[] = ['revision-mismatch'];

const keys: readonly Operation[] = [
  {
    method: 'get',
    path: PATHS.get,
    summary: 'Read a key',
    query: params.get,
    headers: ['If-None-Match'],
    answers: { 200: 'Entry', 304: 'none' },
    etag: true,
    errors: [...READ, 'key-not-found'],
  },
  {
    method: 'post',
    path: PATHS.set,
    summary: 'Set a key',
    query: params.set,
    headers: SET_HEADERS,
    body: setBody,
    answers: SET,
    errors: [...BODY, ...WRITE, ...IF],
  },
  {
    method: 'delete',
    path: PATHS.delete,
    summary: 'Delete a key',
    query: params.delete,
    headers: DELETE_HEADERS,
    answers: DELETED,
    errors: [...WRITE, ...IF],
  },
  {
    method: 'get',
    path: KEY,
    summary: 'Read a key; its bytes as they are, if Accept prefers application/octet-stream',
    query: params.keyGet,
    headers: ['If-None-Match'],
    raw: 'answer',
    answers: { 200: 'Entry', 304: 'none' },
    etag: true,
    errors: [...READ, 'key-not-found'],
  },
  {
    method: 'head',
    path: KEY,
    summary: 'Whether there is a key, and its revision',
    query: params.keyGet,
    headers: ['If-None-Match'],
    answers: { 200: 'none', 304: 'none' },
    etag: true,
    errors: [...READ, 'key-not-found'],
  },
  ...(['put', 'post'] as const).map((method): Operation => ({
    method,
    path: KEY,
    summary: 'Set a key, from JSON or from bytes as they are',
    query: params.keySet,
    headers: SET_HEADERS,
    body: valueBody,
    raw: 'body',
    answers: SET,
    errors: [...BODY, ...WRITE, ...IF],
  })),
  {
    method: 'delete',
    path: KEY,
    summary: 'Delete a key',
    query: params.set,
    headers: DELETE_HEADERS,
    answers: DELETED,
    errors: [...WRITE, ...IF],
  },
  {
    method: 'get',
    path: `${PATHS.kv}/get`,
    summary: 'Older form of GET /get; without the parameter it is the key "get"',
    query: params.get,
    answers: { 200: 'Entry', 304: 'none' },
    etag: true,
    errors: [...READ, 'key-not-found'],
  },
  {
    method: 'put',
    path: `${PATHS.kv}/put`,
    summary: 'Older form of POST /set; without a key in its body it sets the key "put"',
    query: params.keySet,
    body: setBody,
    answers: SET,
    errors: [...BODY, ...WRITE, ...IF],
  },
  {
    method: 'post',
    path: `${PATHS.kv}/del`,
    summary: 'Older form of DELETE /delete; without a key in its body it sets the key "del"',
    query: params.keySet,
    body: keyBody,
    answers: DELETED,
    errors: [...BODY, ...WRITE, ...IF],
  },
];

const many: readonly Operation[] = [
  {
    method: 'get',
    path: PATHS.kv,
    summary: 'List keys in byte order, a page at a time',
    query: params.list,
    answers: { 200: 'ListAnswer' },
    errors: READ,
  },
  {
    method: 'delete',
    path: PATHS.kv,
    summary: 'Delete every key with a prefix, atomically',
    query: params.deletePrefix,
    headers: ['KV-Session'],
    answers: { 200: 'DeletePrefixAnswer', 307: 'RedirectAnswer' },
    errors: [...WRITE, 'too-large'],
  },
  {
    method: 'post',
    path: PATHS.txn,
    summary: 'Check revisions, then change and read several keys, atomically',
    query: params.set,
    headers: ['KV-Session'],
    body: txnBody,
    answers: { 200: 'TxnAnswer', 307: 'RedirectAnswer' },
    errors: [...BODY, ...WRITE, 'check-failed'],
  },
  {
    method: 'post',
    path: PATHS.pipeline,
    summary: 'Independent operations in one round trip, in order per key',
    query: params.pipeline,
    body: pipelineBody,
    answers: { 200: 'PipelineAnswer', 307: 'RedirectAnswer' },
    errors: [...BODY, ...WRITE],
  },
  {
    method: 'get',
    path: PATHS.watch,
    summary: 'Changes of a key, or of a prefix, as server-sent events',
    query: params.watch,
    headers: ['Last-Event-ID'],
    answers: { 200: 'events' },
    errors: [...READ, 'revision-compacted'],
  },
  {
    method: 'post',
    path: PATHS.sessions,
    summary: 'Open a session, so that retried writes take effect once',
    query: params.set,
    answers: { 201: 'SessionAnswer', 307: 'RedirectAnswer' },
    errors: WRITE,
  },
];

/** A question about the node itself: no parameters, nothing special to fail with. */
function plain(path: string, summary: string, answers: Operation['answers'], query = params.none): Operation {
  return { method: 'get', path, summary, query, answers, errors: [] };
}

const node: readonly Operation[] = [
  plain(PATHS.status, 'This node', { 200: 'StatusAnswer' }),
  plain(PATHS.clusterStatus, 'This node and every member', { 200: 'ClusterStatusAnswer' }),
  {
    ...plain(PATHS.clusterLog, 'The newest entries of the log', { 200: 'LogAnswer' }),
    query: params.log,
    errors: ['no-leader'],
  },
  plain(PATHS.health, 'Whether this node can serve', { 200: 'HealthAnswer', 503: 'HealthAnswer' }),
  plain(PATHS.livez, 'Whether this process lives, whatever other nodes do', { 200: 'LivezAnswer' }),
  {
    ...plain(PATHS.readyz, 'Whether to send requests here', { 200: 'ReadyzAnswer', 503: 'ReadyzAnswer' }),
    query: params.readyz,
  },
  {
    method: 'post',
    path: PATHS.snapshot,
    summary: 'Take a snapshot of this node now',
    query: params.none,
    answers: { 200: 'SnapshotAnswer', 202: 'WaitingAnswer' },
    errors: ['no-leader', 'shutting-down'],
  },
  {
    method: 'get',
    path: PATHS.snapshot,
    summary: 'A snapshot to keep elsewhere, as a file that checks itself',
    query: params.none,
    answers: { 200: 'bytes' },
    errors: ['no-leader', 'shutting-down'],
  },
  plain(PATHS.metrics, 'Metrics in the text format of Prometheus', { 200: 'text' }),
  plain(PATHS.openapi, 'This document', { 200: 'document' }),
];

const CHANGED = { 200: 'ChangeAnswer', 202: 'ChangeAnswer' } as const;
const CHANGE: readonly ErrorCode[] = [...READ, 'membership-conflict'];
const MEMBER = `${PATHS.members}/{id}`;

const members: readonly Operation[] = [
  plain(PATHS.members, 'The members of the cluster', { 200: 'MembersAnswer' }),
  {
    method: 'post',
    path: PATHS.members,
    summary: 'Take a node in: as a learner, and as a voter once it has caught up',
    query: params.none,
    body: memberBody,
    answers: CHANGED,
    errors: [...CHANGE, ...BODY],
  },
  {
    method: 'delete',
    path: MEMBER,
    summary: 'Remove a member',
    query: params.none,
    answers: CHANGED,
    errors: CHANGE,
  },
  {
    method: 'patch',
    path: MEMBER,
    summary: 'Tell where a member is found from now on',
    query: params.none,
    body: addressesBody,
    answers: CHANGED,
    errors: [...CHANGE, ...BODY],
  },
  {
    method: 'post',
    path: `${MEMBER}/promote`,
    summary: 'Make a learner a voter',
    query: params.none,
    answers: CHANGED,
    errors: CHANGE,
  },
  {
    method: 'post',
    path: PATHS.transfer,
    summary: 'Hand leadership over',
    query: params.none,
    body: transferBody,
    answers: CHANGED,
    errors: [...CHANGE, ...BODY],
  },
];

export const OPERATIONS: readonly Operation[] = [...keys, ...many, ...node, ...members];
