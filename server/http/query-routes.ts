/** One key, named by a parameter or in the body: `/get`, `/set`, `/delete`. */

import { answerText } from './answer.js';
import { deleteOf, setOfBody } from './commands.js';
import type { HotHandler } from './context.js';
import {
  type KeyRouteOptions,
  entryRead,
  isRedirected,
  propose,
  readJson,
  refuseBody,
  refuseOctetStream,
} from './key-access.js';
import { checkedKey, consistencyParam, parseRevision } from './params.js';
import { namesOf, params } from './schema/requests.js';
import { parseParams } from './target.js';
import { entryJson } from './values.js';

const GET_PARAMS = namesOf(params.get);
const SET_PARAMS = namesOf(params.set);
const DELETE_PARAMS = namesOf(params.delete);

/** `GET /get`, `POST /set`, `DELETE /delete`. */
export interface QueryRoutes {
  readonly get: HotHandler;
  readonly set: HotHandler;
  readonly delete: HotHandler;
}

const DONE = Promise.resolve();

/** The handlers of the three. Where most of the traffic goes, there is no `await`: it would cost more than what is done here. */
export function queryRoutes(options: KeyRouteOptions): QueryRoutes {
  return {
    get(ctx) {
      const given = parseParams(ctx.state.target.query, GET_PARAMS);
      const key = checkedKey(given.get('key'));
      return options.service.read([key], consistencyParam(given)).then((result) => {
        const entry = entryRead(ctx, result);
        if (entry !== undefined) answerText(ctx, 200, entryJson(entry));
      });
    },

    set(ctx) {
      if (isRedirected(ctx, options, parseParams(ctx.state.target.query, SET_PARAMS))) return DONE;
      refuseOctetStream(ctx);
      return readJson(ctx, options).then((body) =>
        propose(ctx, options, setOfBody(body, ctx.req.headers, options.valueBytesMax)),
      );
    },

    async delete(ctx) {
      const given = parseParams(ctx.state.target.query, DELETE_PARAMS);
      if (isRedirected(ctx, options, given)) return;
      refuseBody(ctx);
      const ifRevision = given.get('ifRevision');
      const asked = ifRevision === undefined ? {} : { ifRevision: parseRevision(ifRevision, 'ifRevision') };
      await propose(ctx, options, deleteOf(checkedKey(given.get('key')), ctx.req.headers, asked));
    },
  };
}
