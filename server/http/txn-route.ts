/** What is one entry of the log, whatever it changes: `POST /txn` and `DELETE /kv?prefix=`. */

import type { z } from 'zod';

import { TXN_CHECKS_MAX, TXN_OPS_MAX, batchBodyBytesMax } from '../../api/limits.js';
import type { DeletePrefixResponse, TxnResponse } from '../../api/types.js';
import type { Check, TxnCommand, TxnOp, TxnOpResult } from '../../kv/command.js';
import { answerJson, writeBody } from './answer.js';
import { ttlOf } from './commands.js';
import { refuseConditions } from './conditions.js';
import type { Handler } from './context.js';
import { type JsonObject, checkNames, objectAt, objectsOf } from './json.js';
import { type KeyRouteOptions, isRedirected, readJson, refuseBody, refuseOctetStream } from './key-access.js';
import { checkedKey, parseRevision } from './params.js';
import { RequestError, badField, within } from './request-error.js';
import { check, checked, namesOf, params as schemas, txnBody, txnOps } from './schema/requests.js';
import { sessionOf } from './session.js';
import { parseParams } from './target.js';
import { valueOfBody, wireEntry } from './values.js';

/** `POST /txn`. */
export function txnRoute(options: KeyRouteOptions): Handler {
  const { service, valueBytesMax } = options;
  return async (ctx) => {
    if (isRedirected(ctx, options, parseParams(ctx.state.target.query, namesOf(schemas.set)))) return;
    refuseOctetStream(ctx);
    refuseConditions(ctx.req.headers);
    const tag = sessionOf(ctx.req.headers);
    const body = await readJson(ctx, options, batchBodyBytesMax(valueBytesMax));
    const txn: TxnCommand = { ...txnOf(body, valueBytesMax), ...tag };
    const result = await service.transact(txn);
    if (result.status === 'check-failed') throw checkFailed(txn, result.failed);
    const { revision } = result;
    const answer: TxnResponse = {
      succeeded: true,
      revision: String(revision),
      results: txn.ops.map(({ key }, at) => resultBody(key, result.results[at], revision)),
    };
    answerJson(ctx, 200, answer, revision);
  };
}

function txnOf(body: JsonObject, valueBytesMax: number): TxnCommand {
  checkNames(body, namesOf(txnBody));
  const checks = objectsOf(body['checks'] ?? [], 'checks', TXN_CHECKS_MAX);
  const ops = objectsOf(body['ops'] ?? [], 'ops', TXN_OPS_MAX);
  if (checks.length + ops.length === 0) throw badField('ops', 'and checks are both empty');
  return {
    op: 'txn',
    checks: checks.map((raw, at) => within(`checks.${at}`, () => checkOf(objectAt(raw)))),
    ops: ops.map((op, at) => within(`ops.${at}`, () => opOf(objectAt(op), valueBytesMax))),
  };
}

function checkOf(raw: JsonObject): Check {
  const { key, revision } = checked(check, raw);
  return { key, revision: revision === null ? 0 : parseRevision(revision, 'revision') };
}

function opOf(op: JsonObject, valueBytesMax: number): TxnOp {
  switch (op['op']) {
    case 'set':
      return setOf(checked(txnOps.set, op), valueBytesMax);
    case 'delete':
    case 'get':
      return checked(txnOps[op['op']], op);
    default:
      throw badField('op', 'must be set, delete or get');
  }
}

function setOf(fields: z.output<typeof txnOps.set>, valueBytesMax: number): TxnOp {
  return { op: 'set', key: fields.key, value: valueOfBody(fields, valueBytesMax), ...ttlOf(fields) };
}

function checkFailed({ checks }: TxnCommand, positions: readonly number[]): RequestError {
  const failed = [...new Set(positions.flatMap((at) => checks[at]?.key ?? []))];
  return new RequestError('check-failed', 'a key is not at the revision that was asked for', { failed });
}

function resultBody(
  key: string,
  result: TxnOpResult | undefined,
  revision: number,
): TxnResponse['results'][number] {
  switch (result?.status) {
    case 'got':
      return wireEntry({ ...result, key });
    case 'set':
    case 'deleted':
    case 'not-found':
      return writeBody(key, { status: result.status, revision });
    case 'missing':
      return null;
    case undefined:
      throw new Error('an operation of a transaction has no result');
  }
}

/** `DELETE /kv?prefix=P`. An empty prefix would be everything, and is more likely a variable that was not set. */
export function deletePrefix(options: KeyRouteOptions): Handler {
  return async (ctx) => {
    const params = parseParams(ctx.state.target.query, namesOf(schemas.deletePrefix));
    if (isRedirected(ctx, options, params)) return;
    refuseBody(ctx);
    refuseConditions(ctx.req.headers);
    const prefix = checkedKey(params.get('prefix'), 'prefix');
    const tag = sessionOf(ctx.req.headers);
    const { deleted, revision } = await options.service.deletePrefix({ op: 'delete-prefix', prefix, ...tag });
    const body: DeletePrefixResponse = { deleted, revision: String(revision) };
    answerJson(ctx, 200, body, revision);
  };
}
