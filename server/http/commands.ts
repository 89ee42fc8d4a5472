/** Bodies and conditions to commands. */

import type { IncomingHttpHeaders } from 'node:http';

import { ttlFault } from '../../api/limits.js';
import type { DeleteCommand, SetCommand } from '../../kv/command.js';
import { type Conditions, writeConditions } from './conditions.js';
import { type JsonObject, checkNames } from './json.js';
import { checkedKey, parseRevision } from './params.js';
import { badField } from './request-error.js';
import { sessionOf } from './session.js';
import type { Params } from './target.js';
import { valueOfBody } from './values.js';

const SET_FIELDS = ['key', 'value', 'valueBase64', 'ttlMs', 'ifRevision', 'ifAbsent'] as const;
const VALUE_FIELDS = ['value', 'valueBase64', 'ttlMs'] as const;

/** `POST /set`: everything is in the body. */
export function setOfBody(body: JsonObject, headers: IncomingHttpHeaders, valueBytesMax: number): SetCommand {
  checkNames(body, SET_FIELDS);
  return {
    op: 'set',
    key: keyOfBody(body),
    value: valueOfBody(body, valueBytesMax),
    ...ttlOfBody(body),
    ...writeConditions(headers, conditionsOfBody(body)),
    ...sessionOf(headers),
  };
}

/** The conditions that are fields of a set. */
export function conditionsOfBody(body: JsonObject): Conditions {
  const { ifRevision, ifAbsent } = body;
  if (ifAbsent !== undefined && typeof ifAbsent !== 'boolean')
    throw badField('ifAbsent', 'must be true or false');
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
  checkNames(body, VALUE_FIELDS);
  return { value: valueOfBody(body, valueBytesMax), ...ttlOfBody(body) };
}

/** A delete under the condition that the query asks for, or the headers. */
export function deleteOf(key: string, headers: IncomingHttpHeaders, asked: Conditions): DeleteCommand {
  const { ifRevision, ifAbsent } = writeConditions(headers, asked);
  if (ifAbsent === true) throw badField('If-None-Match', 'has no meaning for a delete; use If-Match');
  return { op: 'delete', key, ...(ifRevision !== undefined && { ifRevision }), ...sessionOf(headers) };
}

/** The `key` of a body, checked. */
export function keyOfBody(body: JsonObject): string {
  const { key } = body;
  if (key !== undefined && typeof key !== 'string') throw badField('key', 'must be a string');
  return checkedKey(key);
}

/** The `ttlMs` of a body. */
export function ttlOfBody({ ttlMs }: JsonObject): { readonly ttlMs?: number } {
  if (ttlMs === undefined) return {};
  const fault = ttlFault(ttlMs);
  if (fault !== undefined) throw badField('ttlMs', fault);
  return { ttlMs: Number(ttlMs) };
}

/** The `ttlMs` of a query, for a body that is nothing but the value. */
export function ttlOfQuery(params: Params): { readonly ttlMs?: number } {
  const text = params.get('ttlMs');
  return ttlOfBody(text === undefined ? {} : { ttlMs: /^[0-9]+$/.test(text) ? Number(text) : text });
}
