/** Arguments of calls become requests; answers become values. */

import { keyFault, LIST_LIMIT_MAX } from '../api/limits.js';
import type { SetRequest } from '../api/types.js';
import type { Codec } from './codec.js';
import type { KVEntry } from './entry.js';
import { invalidArgument, KVError } from './errors.js';
import type { Answer } from './failure.js';
import { isRecord } from './json.js';
import { count, type ListOptions, type SetOptions } from './options.js';

/** Throws an `InvalidArgumentError` unless it is a key. */
export function checkKey(key: unknown): void {
  const fault = typeof key === 'string' ? keyFault(key) : 'must be a string';
  if (fault !== undefined) throw invalidArgument('key', `key ${fault}`);
}

/** A 64-bit integer in decimal. Throws an `InvalidArgumentError` for anything else but undefined. */
export function checkRevision(revision: unknown): void {
  if (revision === undefined) return;
  if (typeof revision === 'string' && /^\d{1,19}$/.test(revision)) return;
  throw invalidArgument('ifRevision', 'ifRevision must be a revision: a string of decimal digits');
}

/** The body of `POST /set`. Throws an `InvalidArgumentError`. */
export function setRequest<V>(codec: Codec<V>, key: string, value: V, options: SetOptions): SetRequest {
  const { ttlMs, ifAbsent, ifRevision } = options;
  checkKey(key);
  checkRevision(ifRevision);
  count('ttlMs', ttlMs);
  if (ifAbsent === true && ifRevision !== undefined) {
    throw invalidArgument('ifAbsent', 'ifAbsent and ifRevision contradict each other; give one of them');
  }
  return {
    key,
    ...wireValue(encode(codec, value)),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(ifAbsent === true ? { ifAbsent } : {}),
    ...(ifRevision === undefined ? {} : { ifRevision }),
  };
}

/** The query of `GET /kv`, but for its `limit` and `cursor`. Throws an `InvalidArgumentError`. */
export function listQuery(options: ListOptions): URLSearchParams {
  const { prefix, start, end, reverse, limit } = options;
  count('limit', limit);
  const query = new URLSearchParams();
  for (const [name, bound] of Object.entries({ prefix, start, end })) {
    if (bound === undefined || bound === '') continue;
    const fault = typeof bound === 'string' ? keyFault(bound) : 'must be a string';
    if (fault !== undefined) throw invalidArgument(name, `${name} ${fault}`);
    query.set(name, bound);
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

/** The entry in the answer to a read; throws when it is none. */
export function entryOf<V>(codec: Codec<V>, body: unknown): KVEntry<V> {
  if (!isRecord(body)) throw new Error('an entry is missing');
  const { key, revision, ttlMs } = body;
  if (typeof key !== 'string' || typeof revision !== 'string')
    throw new Error('an entry lacks its key or revision');
  return {
    key,
    value: codec.decode(bytesOf(body)),
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

function encode<V>(codec: Codec<V>, value: V): string | Uint8Array {
  try {
    return codec.encode(value);
  } catch (error) {
    if (error instanceof KVError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw invalidArgument('value', `the codec refused the value: ${detail}`, error);
  }
}

function wireValue(encoded: string | Uint8Array): { value: string } | { valueBase64: string } {
  if (typeof encoded === 'string') return { value: encoded };
  const { buffer, byteOffset, byteLength } = encoded;
  return { valueBase64: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
}

function bytesOf(body: Record<string, unknown>): Uint8Array {
  const { value, valueBase64 } = body;
  // A plain Uint8Array: a Buffer has other semantics (`slice` shares memory) than the type promises.
  if (typeof value === 'string') return new TextEncoder().encode(value);
  if (typeof valueBase64 === 'string') return new Uint8Array(Buffer.from(valueBase64, 'base64'));
  throw new Error('an entry lacks its value');
}
