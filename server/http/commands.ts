/** Bodies and conditions to commands. */

import type { IncomingHttpHeaders } from 'node:http';

import type { DeleteCommand, SetCommand } from '../../kv/command.js';
import { type Conditions, writeConditions } from './conditions.js';
import { type JsonObject, checkNames } from './json.js';
import { checkedKey, parseRevision } from './params.js';
import { badField } from './request-error.js';
import { sessionOf } from './session.js';
import { valueOfBody } from './values.js';

const SET_FIELDS = ['key', 'value', 'valueBase64', 'ttlMs', 'ifRevision', 'ifAbsent'] as const;
const VALUE_FIELDS = ['value', 'valueBase64', 'ttlMs'] as const;

/** `POST /set`: everything is in the body. */
export function setOfBody(body: JsonObject, headers: IncomingHttpHeaders, valueBytesMax: number): SetCommand {
  checkNames(body, SET_FIELDS);
  refuseTtl(body);
  const { ifRevision, ifAbsent } = body;
  if (ifAbsent !== undefined && typeof ifAbsent !== 'boolean')
    throw badField('ifAbsent', 'must be true or false');
  const asked: Conditions = {
    ...(ifRevision !== undefined && { ifRevision: parseRevision(ifRevision, 'ifRevision') }),
    ...(ifAbsent === true && { ifAbsent }),
  };
  return {
    op: 'set',
    key: keyOfBody(body),
    value: valueOfBody(body, valueBytesMax),
    ...writeConditions(headers, asked),
    ...sessionOf(headers),
  };
}

/** `PUT /kv/<key>`: the body has the value, the headers have the conditions. */
export function setOfKey(key: string, value: Buffer, headers: IncomingHttpHeaders): SetCommand {
  return { op: 'set', key, value, ...writeConditions(headers, {}), ...sessionOf(headers) };
}

/** The value of a `/kv/<key>` body in JSON. */
export function valueOfKeyBody(body: JsonObject, valueBytesMax: number): Buffer {
  checkNames(body, VALUE_FIELDS);
  refuseTtl(body);
  return valueOfBody(body, valueBytesMax);
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

function refuseTtl(body: JsonObject): void {
  if (body['ttlMs'] !== undefined) throw badField('ttlMs', 'is not supported by this version; leave it out');
}
