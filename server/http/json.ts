import { isUtf8 } from 'node:buffer';

import { duplicateName, nestsDeeper } from './json-scan.js';
import { RequestError, badField } from './request-error.js';

/** Brackets in brackets: far more than any body here has, far less than what makes a parser slow. */
export const JSON_LEVELS_MAX = 32;

/** A parsed body: its names are its own, its values unchecked. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The body as a JSON object. Throws `bad-json` for what is none, and for a name given twice in one object. */
export function parseJsonObject(body: Buffer): JsonObject {
  if (body.length === 0) throw badJson('the body is empty; a JSON object is expected');
  if (!isUtf8(body)) throw badJson('the body is not UTF-8');
  const text = body.toString('utf8');
  if (nestsDeeper(text, JSON_LEVELS_MAX))
    throw badJson(`the body nests deeper than ${JSON_LEVELS_MAX} levels`);
  const parsed = parse(text);
  const twice = duplicateName(text);
  if (twice !== undefined) {
    const name = shown(twice);
    throw new RequestError('bad-json', `${name} is given more than once in one object`, { field: name });
  }
  if (!isObject(parsed)) throw badJson('the body must be a JSON object');
  return parsed;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's own message quotes the body, and so could leak it into logs.
    throw badJson('the body is not valid JSON');
  }
}

function isObject(parsed: unknown): parsed is JsonObject {
  return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
}

/** The array of a field; what it holds is not checked. */
export function objectsOf(value: unknown, field: string, countMax: number): readonly unknown[] {
  if (!Array.isArray(value)) throw badField(field, 'must be an array of objects');
  if (value.length > countMax) throw badField(field, `must not hold more than ${countMax}`);
  return value;
}

/** One of `objectsOf`, to be called `within` its field. */
export function objectAt(value: unknown): JsonObject {
  if (!isObject(value)) throw new RequestError('bad-request', 'must be an object');
  return value;
}

/** Whatever JSON does not take as it is, and half pairs of surrogates among what it does. */

const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/;

/** As `JSON.stringify`, in half the time for a text that needs no escapes. */
export function jsonString(text: string): string {
  return ESCAPED.test(text) ? JSON.stringify(text) : `"${text}"`;
}

function badJson(detail: string): RequestError {
  return new RequestError('bad-json', detail, { field: 'body' });
}

/** Throws for a name that is not in `known` (`__proto__` is an ordinary unknown name here). */
export function checkNames(body: JsonObject, known: readonly string[]): void {
  for (const name of Object.keys(body)) {
    if (!known.includes(name))
      throw badField(shown(name), `is not a field of this request; there are: ${known.join(', ')}`);
  }
}

function shown(name: string): string {
  return name.slice(0, 100).toWellFormed();
}
