/** Values between the wire and the bytes that the store holds. */

import { isUtf8 } from 'node:buffer';

import type { GetResponse, WireValue } from '../../api/types.js';
import type { StoredEntry } from '../service.js';
import { jsonString } from './json.js';
import { RequestError, badField } from './request-error.js';

/** The bytes that `value` or `valueBase64` of a body stands for. */
export function valueOfBody(
  { value, valueBase64 }: { readonly value?: string | undefined; readonly valueBase64?: string | undefined },
  valueBytesMax: number,
): Buffer {
  if (value !== undefined && valueBase64 !== undefined) {
    throw badField('valueBase64', 'comes beside value; give one of the two');
  }
  if (valueBase64 !== undefined)
    return checkedLength(Buffer.from(valueBase64, 'base64'), 'valueBase64', valueBytesMax);
  if (value === undefined) throw badField('value', 'is missing');
  return checkedLength(Buffer.from(value, 'utf8'), 'value', valueBytesMax);
}

function checkedLength(value: Buffer, field: string, valueBytesMax: number): Buffer {
  if (value.length <= valueBytesMax) return value;
  const detail = `${field} must not be longer than ${valueBytesMax} bytes (limits.valueBytes)`;
  throw new RequestError('too-large', detail, { field });
}

/** `value` when the bytes are UTF-8, else `valueBase64`. */
export function wireValue(value: Buffer): WireValue {
  return isUtf8(value) ? { value: value.toString('utf8') } : { valueBase64: value.toString('base64') };
}

/** The answer of a GET, and an entry of a listing. */
export function wireEntry(entry: StoredEntry): GetResponse {
  return { key: entry.key, ...wireValue(entry.value), ...wireFacts(entry) };
}

/** `wireEntry` as JSON, put together by hand: most of the traffic are these. */
export function entryJson({ key, value, revision, ttlMs }: StoredEntry): string {
  const held = isUtf8(value)
    ? `"value":${jsonString(value.toString('utf8'))}`
    : `"valueBase64":"${value.toString('base64')}"`;
  const ttl = ttlMs === undefined ? '' : `,"ttlMs":${JSON.stringify(ttlMs)}`;
  return `{"key":${jsonString(key)},${held},"revision":"${revision}"${ttl}}`;
}

/** What there is of an entry beside its key and value. */
export function wireFacts({ revision, ttlMs }: Pick<StoredEntry, 'revision' | 'ttlMs'>): {
  readonly revision: string;
  readonly ttlMs?: number;
} {
  return { revision: String(revision), ...(ttlMs !== undefined && { ttlMs }) };
}
