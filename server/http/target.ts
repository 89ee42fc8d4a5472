/** The request target (RFC 9112 §3.2), read by hand: keys live in it, so nothing may be normalised on the way. */

import { type RequestError, badField } from './request-error.js';

/** Path and query, as the client wrote them. */
export interface Target {
  /** Still percent-escaped. */
  readonly path: string;
  /** What follows the question mark, still escaped; undefined without one. */
  readonly query: string | undefined;
}

/** Takes the origin form and the absolute form. Throws for a fragment. (node:http refuses bytes that are not ASCII.) */
export function parseTarget(url: string): Target {
  let text = url;
  if (!text.startsWith('/')) text = text.replace(/^https?:\/\/[^/?#]*/i, '');
  if (text.startsWith('?')) text = `/${text}`;
  if (text.includes('#')) throw badField('path', 'must not hold a "#"; escape it as %23');
  const mark = text.indexOf('?');
  return mark < 0
    ? { path: text, query: undefined }
    : { path: text.slice(0, mark), query: text.slice(mark + 1) };
}

/** `field` names the fault in the error of a malformed escape, or of one that is not UTF-8. */
export function percentDecode(text: string, field: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw badField(field, 'holds a malformed percent escape, or one that is not UTF-8');
  }
}

/** Parameters of a query by name, decoded. */
export type Params = ReadonlyMap<string, string>;

const NO_PARAMS: Params = new Map();

/** The query's parameters, decoded; `+` is a space. Throws for one that is malformed, repeated, or not in `known`. */
export function parseParams(query: string | undefined, known: readonly string[]): Params {
  if (query === undefined || query.length === 0) return NO_PARAMS;
  const params = new Map<string, string>();
  for (const part of query.includes('&') ? query.split('&') : [query]) {
    if (part.length === 0) continue;
    const equals = part.indexOf('=');
    const name = formDecode(equals < 0 ? part : part.slice(0, equals), 'query');
    if (!known.includes(name)) throw unknownParam(name, known);
    if (params.has(name)) throw badField(name, 'is given more than once');
    params.set(name, equals < 0 ? '' : formDecode(part.slice(equals + 1), name));
  }
  return params;
}

function formDecode(text: string, field: string): string {
  return percentDecode(text.includes('+') ? text.replaceAll('+', ' ') : text, field);
}

function unknownParam(name: string, known: readonly string[]): RequestError {
  const shown = name.slice(0, 100);
  return badField(
    shown,
    known.length === 0
      ? 'is unknown: this route takes no parameters'
      : `is not a parameter of this route; there are: ${known.join(', ')}`,
  );
}
