/** Arguments of calls become requests; answers become values. */

import { keyFault, LIST_LIMIT_MAX } from '../api/limits.js';
import type { SetRequest } from '../api/types.js';
import { decodeText, type Codec } from './codec.js';
import type { KVEntry } from './entry.js';
import { invalidArgument, KVError } from './errors.js';
import type { Answer } from './failure.js';
import { isRecord } from './json.js';
import { count, type ListOptions, type SetOptions } from './options.js';

/** The key as it is stored. Throws an `InvalidArgumentError` unless it is a key. */
export function fullKey(prefix: string, key: unknown, field = 'key'): string {
  if (typeof key !== 'string') throw invalidArgument(field, `${field} must be a string`);
  const fault = keyFault(key) ?? (prefix === '' ? undefined : keyFault(prefix + key));
  if (fault === undefined) return prefix + key;
  const where = prefix === '' ? '' : `, the namespace ${JSON.stringify(prefix)} included`;
  throw invalidArgument(field, `${field} ${fault}${where}`);
}

/** Throws an `InvalidArgumentError` for anything but an array. */
export function checkKeys(keys: unknown): void {
  if (!Array.isArray(keys)) throw invalidArgument('keys', 'keys must be an array of strings');
}

/** A 64-bit integer in decimal, or nothing where it may be left out. Throws an `InvalidArgumentError` for anything else. */
export function checkRevision(revision: unknown, field = 'ifRevision', isRequired = false): void {
  if (revision === undefined && !isRequired) return;
  if (typeof revision === 'string' && /^\d{1,19}$/.test(revision)) return;
  throw invalidArgument(field, `${field} must be a revision: a string of decimal digits`);
}

/** The body of `POST /set`. Throws an `InvalidArgumentError`. */
export function setRequest<V>(codec: Codec<V>, key: string, value: V, options: SetOptions): SetRequest {
  const { ttlMs, ifAbsent, ifRevision } = options;
  // Nearly every set is one of these.
  if (ttlMs === undefined && ifAbsent === undefined && ifRevision === undefined) {
    return setOf(key, encode(codec, value));
  }
  checkRevision(ifRevision);
  count('ttlMs', ttlMs);
  if (ifAbsent === true && ifRevision !== undefined) {
    throw invalidArgument('ifAbsent', 'ifAbsent and ifRevision contradict each other; give one of them');
  }
  return {
    ...setOf(key, encode(codec, value)),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(ifAbsent === true ? { ifAbsent } : {}),
    ...(ifRevision === undefined ? {} : { ifRevision }),
  };
}

function setOf(key: string, encoded: string | Uint8Array): SetRequest {
  return typeof encoded === 'string' ? { key, value: encoded } : { key, ...wireValue(encoded) };
}

/** The query of `GET /kv`, but for its `limit` and `cursor`. Throws an `InvalidArgumentError`. */
export function listQuery(namespace: string, options: ListOptions): URLSearchParams {
  const { prefix, start, end, reverse, limit } = options;
  count('limit', limit);
  const query = new URLSearchParams();
  for (const [name, bound] of Object.entries({ prefix, start, end })) {
    if (bound !== undefined && bound !== '') query.set(name, fullKey(namespace, bound, name));
    else if (name === 'prefix' && namespace !== '') query.set(name, namespace);
  }
  if (reverse === true) query.set('reverse', 'true');
  return query;
}

/** A page of about this many bytes: large enough to be worth its round trip, small enough to hold many of at once. */
const PAGE_BYTES = 1 << 20;

/** Entries of the first page, before their size is known. */
export const FIRST_PAGE_LIMIT = 100;

/** Entries of the next page, judged by the size of the last one. */
export function nextPageLimit(entries: number, bytes: number): number {
  const fitting = Math.floor((Math.max(entries, 1) * PAGE_BYTES) / Math.max(bytes, 1));
  return Math.min(Math.max(fitting, 1), LIST_LIMIT_MAX);
}

/** The key within its namespace; throws when it is in none or in another one. */
export function innerKey(namespace: string, key: unknown): string {
  if (typeof key === 'string' && key.startsWith(namespace)) return key.slice(namespace.length);
  throw new Error('a key is missing, or it is not of this namespace');
}

/** The entry in the answer to a read; throws when it is none. */
export function entryOf<V>(codec: Codec<V>, namespace: string, body: unknown): KVEntry<V> {
  if (!isRecord(body)) throw new Error('an entry is missing');
  const { key, revision, ttlMs } = body;
  if (typeof revision !== 'string') throw new Error('an entry lacks its revision');
  return {
    key: innerKey(namespace, key),
    value: decode(codec, body),
    revision,
    ...(typeof ttlMs === 'number' ? { ttlMs } : {}),
  };
}

/** The named field, a string, of the answer to a write; throws when it is none. */
export function textOf(answer: Answer, field: string): string {
  const value = answer.kind === 'ok' ? answer.body[field] : undefined;
  if (typeof value !== 'string') throw new Error(`the field ${field} is missing`);
  return value;
}

/** The named field, a number, of the answer to a write; throws when it is none. */
export function numberOf(answer: Answer, field: string): number {
  const value = answer.kind === 'ok' ? answer.body[field] : undefined;
  if (typeof value !== 'number') throw new Error(`the field ${field} is missing`);
  return value;
}

/** What the codec makes of a value. Throws an `InvalidArgumentError`. */
export function encode<V>(codec: Codec<V>, value: V): string | Uint8Array {
  try {
    return codec.encode(value);
  } catch (error) {
    if (error instanceof KVError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw invalidArgument('value', `the codec refused the value: ${detail}`, error);
  }
}

/** The fields that carry a value on the wire. */
export function wireValue(encoded: string | Uint8Array): { value: string } | { valueBase64: string } {
  if (typeof encoded === 'string') return { value: encoded };
  const { buffer, byteOffset, byteLength } = encoded;
  return { valueBase64: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
}

function decode<V>(codec: Codec<V>, body: Record<string, unknown>): V {
  const { value } = body;
  const text = typeof value === 'string' ? decodeText(codec, value) : undefined;
  return text ?? codec.decode(bytesOf(body));
}

/** The bytes of a value on the wire; throws when there is none. */
export function bytesOf(body: Record<string, unknown>): Uint8Array {
  const { value, valueBase64 } = body;
  // A plain Uint8Array: a Buffer has other semantics (`slice` shares memory) than the type promises.
  if (typeof value === 'string') return new TextEncoder().encode(value);
  if (typeof valueBase64 === 'string') return new Uint8Array(Buffer.from(valueBase64, 'base64'));
  throw new Error('an entry lacks its value');
}
