/** Sessions over HTTP: `POST /sessions` opens one, `KV-Session` tags a write with it (thesis §6.3). */

import type { IncomingHttpHeaders } from 'node:http';

import { HEADERS, type SessionResponse } from '../../api/types.js';
import { SESSION_WINDOW, type SessionTag } from '../../kv/command.js';
import { answerJson } from './answer.js';
import type { Handler } from './context.js';
import { type KeyRouteOptions, isRedirected, refuseBody } from './key-access.js';
import { badField } from './request-error.js';
import { namesOf, params } from './schema/requests.js';
import { parseParams } from './target.js';

/** Three integers below 2^53. */
const TAG = /^(\d{1,15})\/(\d{1,15})\/(\d{1,15})$/;

/** `KV-Session: <clientId>/<seq>/<lowestPendingSeq>`; nothing where the header is absent. */
export function sessionOf(headers: IncomingHttpHeaders): { readonly session?: SessionTag } {
  const header = headers[HEADERS.session.toLowerCase()];
  return header === undefined ? {} : { session: parseTag(String(header), HEADERS.session) };
}

/** `<clientId>/<seq>/<lowestPendingSeq>`, as the header and the operations of a pipeline have it. */
export function parseTag(text: unknown, field: string): SessionTag {
  const [, clientId, seq, lowestPending] = (typeof text === 'string' ? TAG.exec(text) : null) ?? [];
  if (clientId === undefined || seq === undefined || lowestPending === undefined) {
    throw badField(field, 'must be <clientId>/<seq>/<lowestPendingSeq>, three whole numbers');
  }
  const session = { clientId: Number(clientId), seq: Number(seq), lowestPending: Number(lowestPending) };
  if (session.seq < session.lowestPending) {
    throw badField(field, 'has a number below the lowest pending one');
  }
  if (session.seq >= session.lowestPending + SESSION_WINDOW) {
    throw badField(field, `has a number ${SESSION_WINDOW} or more above the lowest pending one`);
  }
  return session;
}

/** `POST /sessions`. */
export function openSession(options: KeyRouteOptions): Handler {
  return async (ctx) => {
    if (isRedirected(ctx, options, parseParams(ctx.state.target.query, namesOf(params.set)))) return;
    refuseBody(ctx);
    const body: SessionResponse = { clientId: String(await options.service.openSession()) };
    answerJson(ctx, 201, body);
  };
}
