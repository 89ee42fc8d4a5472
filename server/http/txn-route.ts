/** What is one entry of the log, whatever it changes: `POST /txn` and `DELETE /kv?prefix=`. */

import { TXN_CHECKS_MAX, TXN_OPS_MAX, batchBodyBytesMax } from '../../api/limits.js';
import type { DeletePrefixResponse, TxnResponse } from '../../api/types.js';
import type { Check, TxnCommand, TxnOp, TxnOpResult } from '../../kv/command.js';
import { answerJson, writeBody } from './answer.js';
import { keyOfBody, ttlOfBody } from './commands.js';
import { refuseConditions } from './conditions.js';
import type { Handler } from './context.js';
import { type JsonObject, checkNames, objectAt, objectsOf } from './json.js';
import { type KeyRouteOptions, isRedirected, readJson, refuseBody, refuseOctetStream } from './key-access.js';
import { checkedKey, parseRevision } from './params.js';
import { REDIRECT } from './redirect.js';
import { RequestError, badField, within } from './request-error.js';
import { sessionOf } from './session.js';
import { parseParams } from './target.js';
import { valueOfBody, wireEntry } from './values.js';

/** `POST /txn`. */
export function txnRoute(options: KeyRouteOptions): Handler {
  const { service, valueBytesMax } = options;
  return async (ctx) => {
    if (isRedirected(ctx, options, parseParams(ctx.state.target.query, [REDIRECT]))) return;
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
  checkNames(body, ['checks', 'ops']);
  const checks = objectsOf(body['checks'] ?? [], 'checks', TXN_CHECKS_MAX);
  const ops = objectsOf(body['ops'] ?? [], 'ops', TXN_OPS_MAX);
  if (checks.length + ops.length === 0) throw badField('ops', 'and checks are both empty');
  return {
    op: 'txn',
    checks: checks.map((check, at) => within(`checks.${at}`, () => checkOf(objectAt(check)))),
    ops: ops.map((op, at) => within(`ops.${at}`, () => opOf(objectAt(op), valueBytesMax))),
  };
}

function checkOf(check: JsonObject): Check {
  checkNames(check, ['key', 'revision']);
  const { revision } = check;
  if (revision === undefined)
    throw badField('revision', 'is missing; null stands for a key that is not there');
  return { key: keyOfBody(check), revision: revision === null ? 0 : parseRevision(revision, 'revision') };
}

function opOf(op: JsonObject, valueBytesMax: number): TxnOp {
  switch (op['op']) {
    case 'set':
      checkNames(op, ['op', 'key', 'value', 'valueBase64', 'ttlMs']);
      return { op: 'set', key: keyOfBody(op), value: valueOfBody(op, valueBytesMax), ...ttlOfBody(op) };
    case 'delete':
    case 'get':
      checkNames(op, ['op', 'key']);
      return { op: op['op'], key: keyOfBody(op) };
    default:
      throw badField('op', 'must be set, delete or get');
  }
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
    const params = parseParams(ctx.state.target.query, ['prefix', REDIRECT]);
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
