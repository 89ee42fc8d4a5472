import Router from '@koa/router';

import { PATHS } from '../../api/paths.js';
import type { PeerGate } from '../rpc/gate.js';
import { bodyBudget, readBody } from './body.js';
import type { RequestState } from './context.js';
import { RequestError } from './request-error.js';
import { parseParams } from './target.js';

/** Takes the body of a JSON-RPC call as it came; undefined: a notification, which has no answer. */
export type RpcEndpoint = (body: Buffer) => Promise<Buffer | undefined>;

/** Who answers JSON-RPC, and how long a call may be. */
export interface RpcRouteOptions {
  readonly endpoint: RpcEndpoint;
  /** A longer call is answered 413. Default: 32 MiB. */
  readonly bodyBytesMax?: number;
  /** Absent: anybody may call. */
  readonly gate?: PeerGate;
}

const BODY_BYTES_MAX = 32 * 1024 * 1024;

/** `POST /rpc`. What is wrong inside the body is JSON-RPC's to answer (with 200); what is wrong around it is HTTP's. */
export function rpcRoute({
  endpoint,
  gate,
  bodyBytesMax = BODY_BYTES_MAX,
}: RpcRouteOptions): Router<RequestState> {
  const router = new Router<RequestState>({ strict: true, sensitive: true });
  const bodies = bodyBudget();
  router.post(PATHS.rpc, async (ctx) => {
    const lacking = gate?.(ctx.req);
    if (lacking !== undefined) throw new RequestError('unauthenticated', `the call shows no ${lacking}`);
    parseParams(ctx.state.target.query, []);
    const answer = await endpoint(await readBody(ctx.req, bodyBytesMax, bodies));
    if (answer === undefined) {
      ctx.status = 204;
      return;
    }
    ctx.status = 200;
    ctx.res.setHeader('Content-Type', 'application/json');
    ctx.body = answer;
  });
  return router;
}
