/** One entry of an import: `{"key": "...", "value": "..."}` or `{"key": "...", "valueBase64": "..."}`, and `ttlMs`. */

import { keyFault } from '../api/limits.js';
import type { Value } from './value.js';

export interface Entry {
  readonly key: string;
  readonly value: Value;
  readonly ttlMs?: number;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

const LONE_SURROGATE = /\p{Surrogate}/u;

const FIELDS = ['key', 'value', 'valueBase64', 'ttlMs'];

/** Standard alphabet, padded (RFC 4648 §4): Buffer.from would skip over everything else in silence. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The entry of a line; undefined when the line is blank. Throws an error that says what is wrong with it. */
export function parseEntry(bytes: Uint8Array): Entry | undefined {
  const text = decode(bytes).trim();
  if (text === '') return undefined;
  const document = parseJson(text);
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new Error('expected an object with "key" and "value"');
  }
  const unknown = Object.keys(document).find((name) => !FIELDS.includes(name));
  // Dropping a field in silence would lose data that the file has.
  if (unknown !== undefined)
    throw new Error(`unknown field ${JSON.stringify(unknown)}; expected "key" and "value"`);
  return entryOf(document as Record<string, unknown>);
}

/** The entry of its fields, checked. */
export function entryOf({ key, value, valueBase64, ttlMs }: Record<string, unknown>): Entry {
  if (typeof key !== 'string') throw new Error('"key" must be a string');
  const fault = keyFault(key);
  if (fault !== undefined) throw new Error(`"key" ${fault}`);
  if (ttlMs !== undefined && !(Number.isSafeInteger(ttlMs) && Number(ttlMs) > 0)) {
    throw new Error('"ttlMs" must be a positive integer');
  }
  return {
    key,
    value: valueOf(value, valueBase64),
    ...(ttlMs === undefined ? {} : { ttlMs: Number(ttlMs) }),
  };
}

function valueOf(value: unknown, valueBase64: unknown): Value {
  if ((value === undefined) === (valueBase64 === undefined)) {
    throw new Error('expected one of "value" and "valueBase64"');
  }
  if (valueBase64 === undefined) {
    if (typeof value !== 'string') throw new Error('"value" must be a string');
    if (LONE_SURROGATE.test(value))
      throw new Error('"value" must not contain a lone surrogate; use "valueBase64"');
    return value;
  }
  if (typeof valueBase64 !== 'string' || !BASE64.test(valueBase64)) {
    throw new Error('"valueBase64" must be a string of padded base64');
  }
  return Buffer.from(valueBase64, 'base64');
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (error) {
    throw new Error('the line is not UTF-8', { cause: error });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`not JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
