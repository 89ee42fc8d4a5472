/** Values between the wire and the bytes that the store holds. */

import { isUtf8 } from 'node:buffer';

import type { GetResponse, WireValue } from '../../api/types.js';
import type { StoredEntry } from '../service.js';
import type { JsonObject } from './json.js';
import { RequestError, badField } from './request-error.js';

/** The bytes that `value` or `valueBase64` of a body stands for. */
export function valueOfBody(body: JsonObject, valueBytesMax: number): Buffer {
  const { value, valueBase64 } = body;
  if (value !== undefined && valueBase64 !== undefined) {
    throw badField('valueBase64', 'comes beside value; give one of the two');
  }
  if (valueBase64 !== undefined) return fromBase64(valueBase64, valueBytesMax);
  if (value === undefined) throw badField('value', 'is missing');
  if (typeof value !== 'string') throw badField('value', 'must be a string');
  if (!value.isWellFormed()) throw badField('value', 'must not contain a lone surrogate');
  return checkedLength(Buffer.from(value, 'utf8'), 'value', valueBytesMax);
}

function checkedLength(value: Buffer, field: string, valueBytesMax: number): Buffer {
  if (value.length <= valueBytesMax) return value;
  const detail = `${field} must not be longer than ${valueBytesMax} bytes (limits.valueBytes)`;
  throw new RequestError('too-large', detail, { field });
}

function fromBase64(text: unknown, valueBytesMax: number): Buffer {
  if (typeof text !== 'string') throw badField('valueBase64', 'must be a string');
  const bytes = Buffer.from(text, 'base64');
  // Buffer skips what is not base64, so only a value that encodes back to the same text was meant so.
  if (bytes.toString('base64') !== text)
    throw badField('valueBase64', 'must be base64 (RFC 4648 §4), with padding');
  return checkedLength(bytes, 'valueBase64', valueBytesMax);
}

/** `value` when the bytes are UTF-8, else `valueBase64`. */
export function wireValue(value: Buffer): WireValue {
  return isUtf8(value) ? { value: value.toString('utf8') } : { valueBase64: value.toString('base64') };
}

/** The answer of a GET, and an entry of a listing. */
export function wireEntry(entry: StoredEntry): GetResponse {
  return { key: entry.key, ...wireValue(entry.value), ...wireFacts(entry) };
}

/** What there is of an entry beside its key and value. */
export function wireFacts({ revision, ttlMs }: Pick<StoredEntry, 'revision' | 'ttlMs'>): {
  readonly revision: string;
  readonly ttlMs?: number;
} {
  return { revision: String(revision), ...(ttlMs !== undefined && { ttlMs }) };
}
