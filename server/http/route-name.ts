/** What a path is called where requests are counted: a bounded set of names, whatever clients ask for. */

import { PATHS } from '../../api/paths.js';

const EXACT: ReadonlySet<string> = new Set(Object.values(PATHS));
const KEY_PREFIX = `${PATHS.kv}/`;
const MEMBER_PREFIX = `${PATHS.members}/`;
const METHODS = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS']);

/** The template of the route, such as `/kv/{key}`; `other` for a path that is none of ours. */
export function routeName(path: string): string {
  if (EXACT.has(path)) return path;
  if (path.startsWith(KEY_PREFIX)) return `${KEY_PREFIX}{key}`;
  if (!path.startsWith(MEMBER_PREFIX)) return 'other';
  return path.endsWith('/promote') ? `${MEMBER_PREFIX}{id}/promote` : `${MEMBER_PREFIX}{id}`;
}

/** The method, or `other`. */
export function methodName(method: string | undefined): string {
  return method !== undefined && METHODS.has(method) ? method : 'other';
}
