/** `POST /pipeline`: independent operations in one round trip, each answered for itself. */

import { PIPELINE_OPS_MAX, batchBodyBytesMax } from '../../api/limits.js';
import { HEADERS, type PipelineOpResponse, type PipelineResponse } from '../../api/types.js';
import type { PipelineOp, PipelineOutcome, Service } from '../service.js';
import { answerJson, mismatch, writeBody } from './answer.js';
import { refuseConditions } from './conditions.js';
import type { Handler } from './context.js';
import { checkNames, objectAt, objectsOf } from './json.js';
import { type KeyRouteOptions, isRedirected, readJson, refuseOctetStream } from './key-access.js';
import { consistencyParam } from './params.js';
import { opOf } from './pipeline-op.js';
import { problemOf } from './problem.js';
import { RequestError, badField, within } from './request-error.js';
import { namesOf, params as schemas, pipelineBody } from './schema/requests.js';
import { parseParams } from './target.js';
import { wireEntry } from './values.js';

/** An operation to be carried out, or why it is not. */
type Checked = PipelineOp | RequestError;

export function pipelineRoute(options: KeyRouteOptions): Handler {
  const { service, valueBytesMax } = options;
  return async (ctx) => {
    const params = parseParams(ctx.state.target.query, namesOf(schemas.pipeline));
    const consistency = consistencyParam(params);
    if (isRedirected(ctx, options, params)) return;
    refuseOctetStream(ctx);
    refuseConditions(ctx.req.headers);
    if (ctx.req.headers[HEADERS.session.toLowerCase()] !== undefined)
      throw badField(HEADERS.session, 'has no meaning here; each operation has a session of its own');
    const body = await readJson(ctx, options, batchBodyBytesMax(valueBytesMax));
    checkNames(body, namesOf(pipelineBody));
    const ops = objectsOf(body['ops'], 'ops', PIPELINE_OPS_MAX);
    const checked = checkedOps(ops, valueBytesMax, ctx.state.isReadOnly === true);
    const good = checked.flatMap((op) => (op instanceof RequestError ? [] : [op]));
    const { outcomes, revision } =
      good.length === 0 ? { outcomes: [], revision: undefined } : await service.pipeline(good, consistency);
    const answers = answersOf(service, ctx.state.requestId);
    let next = 0;
    const answer: PipelineResponse = {
      results: checked.map((op) =>
        op instanceof RequestError ? answers.error(op) : answers.of(op, outcomes[next++]),
      ),
    };
    answerJson(ctx, 200, answer, revision);
  };
}

/** A fault of one operation is its own, and that of those behind it on its key: they would be out of order. */
function checkedOps(ops: readonly unknown[], valueBytesMax: number, isReadOnly: boolean): Checked[] {
  const faulty = new Map<unknown, RequestError>();
  return ops.map((raw, at) => {
    const key = typeof raw === 'object' && raw !== null && 'key' in raw ? raw.key : undefined;
    const before = faulty.get(key);
    if (before !== undefined && typeof key === 'string')
      return new RequestError(
        before.code,
        `an earlier operation on this key was refused: ${before.message}`,
        {
          field: `ops.${at}.key`,
        },
      );
    try {
      const op = within(`ops.${at}`, () => opOf(objectAt(raw), valueBytesMax));
      if (isReadOnly && op.op !== 'get')
        throw new RequestError('forbidden', `ops.${at}: the token may only read`, { field: `ops.${at}.op` });
      return op;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      faulty.set(key, error);
      return error;
    }
  });
}

interface Answers {
  of(op: PipelineOp, outcome: PipelineOutcome | undefined): PipelineOpResponse;
  error(error: unknown): PipelineOpResponse;
}

function answersOf(service: Pick<Service, 'leader'>, requestId: string): Answers {
  const error = (fault: unknown): PipelineOpResponse => {
    const { problem } = problemOf(fault, requestId, service.leader());
    return { status: problem.status, error: problem };
  };
  return {
    error,
    of({ key }, outcome) {
      switch (outcome?.op) {
        case 'get':
          return outcome.entry === undefined
            ? error(new RequestError('key-not-found', 'there is no such key', { field: 'key' }))
            : { status: 200, result: wireEntry(outcome.entry) };
        case 'set':
        case 'delete':
          return outcome.result.status === 'revision-mismatch'
            ? error(mismatch(outcome.result.currentRevision))
            : { status: 200, result: writeBody(key, outcome.result) };
        case 'failed':
          return error(outcome.error);
        case undefined:
          throw new Error('an operation of a pipeline has no outcome');
      }
    },
  };
}
