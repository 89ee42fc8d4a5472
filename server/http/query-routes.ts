/** One key, named by a parameter or in the body: `/get`, `/set`, `/delete`. */

import { answerJson } from './answer.js';
import { deleteOf, setOfBody } from './commands.js';
import type { Handler } from './context.js';
import {
  type KeyRouteOptions,
  isRedirected,
  propose,
  readEntry,
  readJson,
  refuseBody,
  refuseOctetStream,
} from './key-access.js';
import { checkedKey, parseRevision } from './params.js';
import { REDIRECT } from './redirect.js';
import { parseParams } from './target.js';
import { wireEntry } from './values.js';

const GET_PARAMS = ['key', 'consistency'];
const SET_PARAMS = [REDIRECT];
const DELETE_PARAMS = ['key', 'ifRevision', REDIRECT];

/** `GET /get`, `POST /set`, `DELETE /delete`. */
export interface QueryRoutes {
  readonly get: Handler;
  readonly set: Handler;
  readonly delete: Handler;
}

/** The handlers of the three. */
export function queryRoutes(options: KeyRouteOptions): QueryRoutes {
  return {
    async get(ctx) {
      const params = parseParams(ctx.state.target.query, GET_PARAMS);
      const entry = await readEntry(ctx, options, checkedKey(params.get('key')), params);
      if (entry !== undefined) answerJson(ctx, 200, wireEntry(entry));
    },

    async set(ctx) {
      if (isRedirected(ctx, options, parseParams(ctx.state.target.query, SET_PARAMS))) return;
      refuseOctetStream(ctx);
      const body = await readJson(ctx, options);
      await propose(ctx, options, setOfBody(body, ctx.req.headers, options.valueBytesMax));
    },

    async delete(ctx) {
      const params = parseParams(ctx.state.target.query, DELETE_PARAMS);
      if (isRedirected(ctx, options, params)) return;
      refuseBody(ctx);
      const ifRevision = params.get('ifRevision');
      const asked = ifRevision === undefined ? {} : { ifRevision: parseRevision(ifRevision, 'ifRevision') };
      await propose(ctx, options, deleteOf(checkedKey(params.get('key')), ctx.req.headers, asked));
    },
  };
}
