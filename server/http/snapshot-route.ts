/** `POST /snapshot` takes one now; `GET /snapshot` gives one to keep elsewhere. */

import type { SnapshotResponse } from '../../api/types.js';
import { answerJson } from './answer.js';
import type { Handler } from './context.js';
import type { KeyRouteOptions } from './key-access.js';
import { refuseBody } from './key-access.js';
import { parseParams } from './target.js';

/** A snapshot of much data takes longer than any other answer; without a bound of its own, the connection would be cut off as idle. */
const MAKING_MS = 600_000;

/** A consumer that takes nothing for so long is cut off. */
const STALL_MS = 60_000;

export function takeSnapshot({ service }: KeyRouteOptions): Handler {
  return async (ctx) => {
    parseParams(ctx.state.target.query, []);
    refuseBody(ctx);
    const taken = await service.takeSnapshot();
    if (taken === undefined) {
      answerJson(ctx, 202, { waitingFor: 'the end of the snapshot, which goes on' });
      return;
    }
    const body: SnapshotResponse = { ...taken, node: service.status().id };
    answerJson(ctx, 200, body);
  };
}

/** A file in the format of `snapshot/format.ts`, which checks itself: it ends with the SHA-256 of what is before it. */
export function backup({ service }: KeyRouteOptions): Handler {
  return async (ctx) => {
    parseParams(ctx.state.target.query, []);
    if (ctx.method === 'HEAD') {
      ctx.status = 200;
      return;
    }
    ctx.req.socket.setTimeout(MAKING_MS);
    const { id, index, bytes, data } = await service.backup();
    ctx.req.socket.setTimeout(STALL_MS);
    ctx.state.revision = index;
    ctx.status = 200;
    ctx.body = data;
    ctx.res.setHeader('Content-Type', 'application/octet-stream');
    ctx.res.setHeader('Content-Length', bytes);
    ctx.res.setHeader('Content-Disposition', `attachment; filename="${id}.snap"`);
    ctx.res.setHeader('Cache-Control', 'no-store');
  };
}
