/** Bodies and conditions to commands. */

import type { IncomingHttpHeaders } from 'node:http';

import { ttlFault } from '../../api/limits.js';
import type { DeleteCommand, SetCommand } from '../../kv/command.js';
import { type Conditions, writeConditions } from './conditions.js';
import type { JsonObject } from './json.js';
import { parseRevision } from './params.js';
import { badField } from './request-error.js';
import { checked, keyBody, setBody, valueBody } from './schema/requests.js';
import { sessionOf } from './session.js';
import type { Params } from './target.js';
import { valueOfBody } from './values.js';

/** `POST /set`: everything is in the body. */
export function setOfBody(body: JsonObject, headers: IncomingHttpHeaders, valueBytesMax: number): SetCommand {
  const fields = checked(setBody, body);
  return {
    op: 'set',
    key: fields.key,
    value: valueOfBody(fields, valueBytesMax),
    ...ttlOf(fields),
    ...writeConditions(headers, conditionsOf(fields)),
    ...sessionOf(headers),
  };
}

/** The conditions that are fields of a set. */
export function conditionsOf({
  ifRevision,
  ifAbsent,
}: {
  readonly ifRevision?: string | undefined;
  readonly ifAbsent?: boolean | undefined;
}): Conditions {
  return {
    ...(ifRevision !== undefined && { ifRevision: parseRevision(ifRevision, 'ifRevision') }),
    ...(ifAbsent === true && { ifAbsent }),
  };
}

/** What a `/kv/<key>` body sets. */
export interface NewValue {
  readonly value: Buffer;
  readonly ttlMs?: number;
}

/** `PUT /kv/<key>`: the body has the value, the headers have the conditions. */
export function setOfKey(key: string, value: NewValue, headers: IncomingHttpHeaders): SetCommand {
  return { op: 'set', key, ...value, ...writeConditions(headers, {}), ...sessionOf(headers) };
}

/** A `/kv/<key>` body in JSON. */
export function valueOfKeyBody(body: JsonObject, valueBytesMax: number): NewValue {
  const fields = checked(valueBody, body);
  return { value: valueOfBody(fields, valueBytesMax), ...ttlOf(fields) };
}

/** A delete under the condition that the query asks for, or the headers. */
export function deleteOf(key: string, headers: IncomingHttpHeaders, asked: Conditions): DeleteCommand {
  const { ifAbsent, ...conditions } = writeConditions(headers, asked);
  if (ifAbsent === true) throw badField('If-None-Match', 'has no meaning for a delete; use If-Match');
  return { op: 'delete', key, ...conditions, ...sessionOf(headers) };
}

/** The body of the older `POST /kv/del`. */
export function keyOfBody(body: JsonObject): string {
  return checked(keyBody, body).key;
}

/** The `ttlMs` of a body, where there is one. */
export function ttlOf({ ttlMs }: { readonly ttlMs?: number | undefined }): { readonly ttlMs?: number } {
  return ttlMs === undefined ? {} : { ttlMs };
}

/** The `ttlMs` of a query, for a body that is nothing but the value. */
export function ttlOfQuery(params: Params): { readonly ttlMs?: number } {
  const text = params.get('ttlMs');
  if (text === undefined) return {};
  const ttlMs = /^[0-9]+$/.test(text) ? Number(text) : text;
  const fault = ttlFault(ttlMs);
  if (fault !== undefined) throw badField('ttlMs', fault);
  return { ttlMs: Number(ttlMs) };
}
