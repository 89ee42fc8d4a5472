/** One key, named by the path: `/kv/<key>`, with the older verbs that share three of these paths. */

import { PATHS } from '../../api/paths.js';
import { answerJson } from './answer.js';
import { isOctetStream, readBody } from './body.js';
import { deleteOf, keyOfBody, setOfBody, setOfKey, ttlOfQuery, valueOfKeyBody } from './commands.js';
import type { Context, Handler } from './context.js';
import {
  type KeyRouteOptions,
  isRedirected,
  propose,
  readEntry,
  readJson,
  refuseBody,
} from './key-access.js';
import { checkedKey } from './params.js';
import { badField } from './request-error.js';
import { namesOf, params } from './schema/requests.js';
import { parseParams, percentDecode } from './target.js';
import { wireEntry } from './values.js';

const GET_PARAMS = namesOf(params.keyGet);
/** Raw bytes have no room for a time to live. */
const SET_PARAMS = namesOf(params.keySet);
const DELETE_PARAMS = namesOf(params.set);

// The older verbs are told from the keys `get`, `put` and `del` by what only they carry.
const OLD_GET = `${PATHS.kv}/get`;
const OLD_PUT = `${PATHS.kv}/put`;
const OLD_DELETE = `${PATHS.kv}/del`;

/** The three requests of `/kv/<key>`; `set` is PUT and POST. */
export interface PathRoutes {
  readonly get: Handler;
  readonly set: Handler;
  readonly delete: Handler;
}

/** `oldGet` answers `GET /kv/get?key=K`. */
export function pathRoutes(options: KeyRouteOptions, oldGet: Handler): PathRoutes {
  return {
    async get(ctx) {
      const { path, query } = ctx.state.target;
      if (path === OLD_GET && query !== undefined && /(?:^|&)key(?:=|&|$)/.test(query)) {
        await oldGet(ctx);
        return;
      }
      const entry = await readEntry(ctx, options, keyOfPath(path), parseParams(query, GET_PARAMS));
      ctx.vary('Accept');
      if (entry === undefined) return;
      if (!prefersOctetStream(ctx)) {
        answerJson(ctx, 200, wireEntry(entry));
        return;
      }
      ctx.status = 200;
      ctx.res.setHeader('Content-Type', 'application/octet-stream');
      ctx.res.setHeader('X-Content-Type-Options', 'nosniff');
      ctx.body = entry.value;
    },

    async set(ctx) {
      const { path, query } = ctx.state.target;
      const given = parseParams(query, SET_PARAMS);
      if (isRedirected(ctx, options, given)) return;
      const key = keyOfPath(path);
      const { headers } = ctx.req;
      const { valueBytesMax, bodies } = options;
      if (isOctetStream(ctx.req)) {
        const ttl = ttlOfQuery(given);
        const value = await readBody(ctx.req, valueBytesMax, bodies);
        await propose(ctx, options, setOfKey(key, { value, ...ttl }, headers));
        return;
      }
      if (given.has('ttlMs')) throw badField('ttlMs', 'belongs into the body, unless that is raw bytes');
      const body = await readJson(ctx, options);
      if (ctx.method === 'PUT' && path === OLD_PUT && Object.hasOwn(body, 'key')) {
        await propose(ctx, options, setOfBody(body, headers, valueBytesMax));
        return;
      }
      if (ctx.method === 'POST' && path === OLD_DELETE && Object.hasOwn(body, 'key')) {
        await propose(ctx, options, deleteOf(keyOfBody(body), headers, {}));
        return;
      }
      await propose(ctx, options, setOfKey(key, valueOfKeyBody(body, valueBytesMax), headers));
    },

    async delete(ctx) {
      const { path, query } = ctx.state.target;
      if (isRedirected(ctx, options, parseParams(query, DELETE_PARAMS))) return;
      refuseBody(ctx);
      await propose(ctx, options, deleteOf(keyOfPath(path), ctx.req.headers, {}));
    },
  };
}

function keyOfPath(path: string): string {
  return checkedKey(percentDecode(path.slice(PATHS.kv.length + 1), 'key'));
}

function prefersOctetStream(ctx: Context): boolean {
  const { accept } = ctx.req.headers;
  if (accept === undefined || accept === '*/*') return false;
  return ctx.accepts('application/json', 'application/octet-stream') === 'application/octet-stream';
}
