/** Single values of queries and headers, checked. Every fault is a 400 that names its parameter. */

import { keyFault } from '../../api/limits.js';
import { CONSISTENCIES, type Consistency } from '../../api/types.js';
import { revisionFault } from './schema/fields.js';
import { badField } from './request-error.js';
import type { Params } from './target.js';

/** The key itself, when it is one (API.md, section 3). */
export function checkedKey(key: string | undefined, field = 'key'): string {
  if (key === undefined) throw badField(field, 'is missing');
  const fault = keyFault(key);
  if (fault !== undefined) throw badField(field, fault);
  return key;
}

/** Default: `linearizable`. */
export function consistencyParam(params: Params): Consistency {
  const text = params.get('consistency');
  if (text === undefined) return 'linearizable';
  const found = CONSISTENCIES.find((consistency) => consistency === text);
  if (found === undefined) throw badField('consistency', `must be one of ${CONSISTENCIES.join(', ')}`);
  return found;
}

/** Without a value it is true. */
export function flagParam(params: Params, name: string): boolean {
  const text = params.get(name);
  if (text === undefined || text === 'false') return false;
  if (text === '' || text === 'true') return true;
  throw badField(name, 'must be true or false');
}

/** A whole number from 1 to `max`. */
export function countParam(params: Params, name: string, max: number, otherwise = max): number {
  const text = params.get(name);
  if (text === undefined) return otherwise;
  const count = /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count <= max)) throw badField(name, `must be a whole number from 1 to ${max}`);
  return count;
}

/** A revision of the wire: digits, without leading zeros. Revisions start at 1: 0 would never match. */
export function parseRevision(text: unknown, field: string): number {
  const fault = revisionFault(text);
  if (fault !== undefined) throw badField(field, fault);
  return Number(text);
}
