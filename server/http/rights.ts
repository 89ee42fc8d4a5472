/** What a request needs of its client, by what it asks for. */

import { PATHS } from '../../api/paths.js';
import type { Rights } from '../../configs/config.js';

/** Probes and the document: they tell nothing of what is stored, and who asks for them has no credentials. */
const OPEN: ReadonlySet<string> = new Set([PATHS.health, PATHS.livez, PATHS.readyz, PATHS.openapi]);

const LEVELS: readonly Rights[] = ['read', 'write', 'admin'];

/** Undefined: nothing. Every route that changes something and is not named here needs `write`. */
export function neededRights(method: string, path: string): Rights | undefined {
  if (OPEN.has(path)) return undefined;
  // A backup is all that there is, whoever it belongs to.
  if (path === PATHS.snapshot) return 'admin';
  // Of a pipeline, each operation needs its own.
  if (method === 'GET' || method === 'HEAD' || path === PATHS.pipeline) return 'read';
  if (path === PATHS.transfer || path === PATHS.members || path.startsWith(`${PATHS.members}/`))
    return 'admin';
  return 'write';
}

export function includes(rights: Rights, needed: Rights): boolean {
  return LEVELS.indexOf(rights) >= LEVELS.indexOf(needed);
}
