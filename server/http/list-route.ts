/** `GET /kv`: the keys in byte order, a page at a time. */

import { isUtf8 } from 'node:buffer';

import { KEY_BYTES_MAX, LIST_LIMIT_MAX } from '../../api/limits.js';
import type { ListResponse } from '../../api/types.js';
import type { Service } from '../service.js';
import { answerJson } from './answer.js';
import type { Handler } from './context.js';
import { checkedKey, consistencyParam, countParam, flagParam } from './params.js';
import { badField } from './request-error.js';
import { namesOf, params as schemas } from './schema/requests.js';
import { type Params, parseParams } from './target.js';
import { wireEntry, wireFacts } from './values.js';

/** A page ends early at so many bytes: a thousand values of the largest size would not fit into memory. */
const PAGE_BYTES_MAX = 8 * 1024 * 1024;

const PARAMS = namesOf(schemas.list);

/** Each page is a read of its own, as fresh as its `consistency` says. */
export function listRoute(service: Service): Handler {
  return async (ctx) => {
    const params = parseParams(ctx.state.target.query, PARAMS);
    const reverse = flagParam(params, 'reverse');
    const keysOnly = flagParam(params, 'keysOnly');
    const after = afterOfCursor(params, reverse);
    const query = {
      ...boundary(params, 'prefix'),
      ...boundary(params, 'start'),
      ...boundary(params, 'end'),
      limit: countParam(params, 'limit', LIST_LIMIT_MAX),
      reverse,
      keysOnly,
      bytesMax: PAGE_BYTES_MAX,
      ...(after !== undefined && { after }),
    };
    const { entries, more, revision } = await service.list(query, consistencyParam(params));
    const last = entries.at(-1);
    const body: ListResponse = {
      entries: keysOnly
        ? entries.map((entry) => ({ key: entry.key, ...wireFacts(entry) }))
        : entries.map(wireEntry),
      cursor: more && last !== undefined ? cursorBehind(last.key, reverse) : null,
      revision: String(revision),
    };
    answerJson(ctx, 200, body, revision);
  };
}

/** Empty means none: every key is behind the empty one. */
function boundary(params: Params, name: 'prefix' | 'start' | 'end'): Record<string, string> {
  const text = params.get(name);
  return text === undefined || text === '' ? {} : { [name]: checkedKey(text, name) };
}

function cursorBehind(key: string, reverse: boolean): string {
  return Buffer.from(`${reverse ? '<' : '>'}${key}`).toString('base64url');
}

function afterOfCursor(params: Params, reverse: boolean): string | undefined {
  const text = params.get('cursor');
  if (text === undefined || text === '') return undefined;
  const bytes = Buffer.from(text, 'base64url');
  const decoded = bytes.toString('utf8');
  const intact = bytes.toString('base64url') === text && isUtf8(bytes) && /^[<>]./su.test(decoded);
  if (!intact || bytes.length > KEY_BYTES_MAX + 1)
    throw badField('cursor', 'must be one that a listing gave');
  if (decoded.startsWith('<') !== reverse)
    throw badField('cursor', 'goes in the other direction; keep reverse as it was');
  return decoded.slice(1);
}
