/** What the routes of single keys share. */

import { bodyBytesMax } from '../../api/limits.js';
import { PATHS } from '../../api/paths.js';
import type { Write } from '../../kv/command.js';
import type { MetricsText } from '../metrics/metrics.js';
import type { ReadResult, Service, StoredEntry } from '../service.js';
import { answerWrite } from './answer.js';
import { type BodyBudget, announcesBody, isOctetStream, readBody } from './body.js';
import { namesRevision } from './conditions.js';
import type { Exchange } from './context.js';
import { type JsonObject, parseJsonObject } from './json.js';
import { consistencyParam } from './params.js';
import { redirected } from './redirect.js';
import { RequestError, badField } from './request-error.js';
import type { Params } from './target.js';

/** What the routes of keys work with. */
export interface KeyRouteOptions {
  readonly service: Service;
  /** `limits.valueBytes`. */
  readonly valueBytesMax: number;
  /** Every write at a follower is answered with a 307, unless it says `redirect=false`. */
  readonly redirectWrites: boolean;
  readonly bodies: BodyBudget;
  /** Without them there is no `/metrics`. */
  readonly metrics?: MetricsText;
}

/** The entry, with its `ETag` already in the answer; undefined when the answer is complete, as a 304. */
export async function readEntry(
  ctx: Exchange,
  { service }: KeyRouteOptions,
  key: string,
  params: Params,
): Promise<StoredEntry | undefined> {
  return entryRead(ctx, await service.read([key], consistencyParam(params)));
}

/** The same of what was read of one key. */
export function entryRead(ctx: Exchange, { entries, revision }: ReadResult): StoredEntry | undefined {
  ctx.state.revision = revision;
  const [entry] = entries;
  if (entry === undefined) throw new RequestError('key-not-found', 'there is no such key', { field: 'key' });
  ctx.set('ETag', `"${entry.revision}"`);
  const ifNoneMatch = ctx.req.headers['if-none-match'];
  if (ifNoneMatch === undefined || !namesRevision(ifNoneMatch, entry.revision)) return entry;
  ctx.status = 304;
  return undefined;
}

/** See `redirected`. */
export function isRedirected(
  ctx: Exchange,
  { service, redirectWrites }: KeyRouteOptions,
  params: Params,
): boolean {
  return redirected(ctx, params, service, redirectWrites);
}

/** The body as a JSON object; long enough for the longest value, however it is escaped. */
export function readJson(
  ctx: Exchange,
  { valueBytesMax, bodies }: KeyRouteOptions,
  bytesMax = bodyBytesMax(valueBytesMax),
): Promise<JsonObject> {
  return readBody(ctx.req, bytesMax, bodies).then(parseJsonObject);
}

/** For the routes that take JSON alone. */
export function refuseOctetStream(ctx: Exchange): void {
  if (!isOctetStream(ctx.req)) return;
  const detail = `application/octet-stream is taken by ${PATHS.kv}/<key> only; send JSON here`;
  throw new RequestError('unsupported-media-type', detail, { field: 'Content-Type' });
}

/** Has the command decided, and answers what became of it. */
export function propose(ctx: Exchange, { service }: KeyRouteOptions, write: Write): Promise<void> {
  return service.write(write).then((result) => answerWrite(ctx, write.key, result, service.revision()));
}

/** A condition in a body that nobody reads would be a write without its condition. */
export function refuseBody(ctx: Exchange): void {
  if (announcesBody(ctx.req))
    throw badField('body', 'is not read by this route; use the query and the headers');
}
