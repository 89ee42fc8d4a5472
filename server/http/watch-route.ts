/** `GET /watch`: what changes, as server-sent events (WHATWG HTML §9.2). */

import { Readable } from 'node:stream';

import type { WatchEvent } from '../../api/types.js';
import { progressComment } from '../../api/watch-progress.js';
import type { Service, WatchItem, WatchQuery } from '../service.js';
import type { Handler } from './context.js';
import { checkedKey, parseRevision } from './params.js';
import { badField } from './request-error.js';
import { namesOf, params as schemas } from './schema/requests.js';
import { type Params, parseParams } from './target.js';
import { wireValue } from './values.js';

/** A consumer that takes nothing for so long is cut off; it resumes with the last event that it has got. */
const STALL_MS = 60_000;
/** Of events, held for one consumer, or one event. */
const HELD_BYTES = 64 * 1024;

export function watchRoute(service: Service): Handler {
  return async (ctx) => {
    const params = parseParams(ctx.state.target.query, namesOf(schemas.watch));
    const query = queryOf(params);
    const from = fromOf(params, ctx.req.headers['last-event-id']);
    if (ctx.method !== 'HEAD') {
      const items = await service.watch(query, from);
      // The stream ends with its consumer, or the other way round: no other request follows on this connection.
      ctx.req.socket.setTimeout(STALL_MS);
      ctx.body = Readable.from(textOf(items), { objectMode: false, highWaterMark: HELD_BYTES });
    }
    ctx.status = 200;
    ctx.res.setHeader('Content-Type', 'text/event-stream');
    ctx.res.setHeader('Cache-Control', 'no-store');
    ctx.res.setHeader('Connection', 'close');
  };
}

function queryOf(params: Params): WatchQuery {
  const key = params.get('key');
  const prefix = params.get('prefix');
  if (key !== undefined && prefix !== undefined)
    throw badField('prefix', 'comes beside key; give one of the two');
  if (key !== undefined) return { key: checkedKey(key) };
  if (prefix === undefined) throw badField('key', 'is missing; give a key or a prefix');
  return { prefix: prefix === '' ? '' : checkedKey(prefix, 'prefix') };
}

const EVENT_ID = /^([0-9]{1,15})\.([0-9]{1,9})$/;

/** What a client that comes back has seen goes before where it once began. */
function fromOf(
  params: Params,
  lastEventId: string | string[] | undefined,
): { readonly after: number; readonly n: number } | undefined {
  if (lastEventId !== undefined) {
    const [, revision, n] = EVENT_ID.exec(String(lastEventId)) ?? [];
    if (revision === undefined || n === undefined || Number(revision) === 0)
      throw badField('Last-Event-ID', 'must be the id of an event: <revision>.<n>');
    return { after: Number(revision) - 1, n: Number(n) };
  }
  const fromRevision = params.get('fromRevision');
  if (fromRevision === undefined) return undefined;
  return { after: parseRevision(fromRevision, 'fromRevision') - 1, n: 0 };
}

async function* textOf(items: AsyncGenerator<WatchItem, void>): AsyncGenerator<string, void> {
  for await (const item of items) {
    switch (item.type) {
      case 'event': {
        const { kind } = item.change;
        yield message(kind === 'put' ? 'put' : 'delete', `${item.revision}.${item.n}`, eventOf(item));
        break;
      }
      case 'progress':
        // An id without data is an event for nobody, but where a client resumes.
        yield `: ${progressComment(item.seen + 1)}\nid: ${behind(item.seen)}\n\n`;
        break;
      case 'cut-off': {
        const { why, seen, oldest } = item;
        const data = {
          code: why,
          resumeAt: behind(seen),
          ...(oldest !== undefined && { oldestRevision: String(oldest) }),
        };
        yield message('cut-off', behind(seen), data);
        break;
      }
    }
  }
}

/** The id by which a client gets everything behind a revision. */
function behind(revision: number): string {
  return `${revision + 1}.0`;
}

function message(event: string, id: string, data: object): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function eventOf({ change, revision, n, of }: WatchItem & { readonly type: 'event' }): WatchEvent {
  const { kind, key, value } = change;
  return {
    type: kind === 'put' ? 'put' : 'delete',
    key,
    ...(value !== undefined && wireValue(Buffer.from(value))),
    revision: String(revision),
    n,
    of,
    ...(kind === 'expired' && { reason: 'expired' }),
  };
}
