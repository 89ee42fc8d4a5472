/** The leader looks for sessions that have expired and proposes their end; only the committed entry ends them. */

import { encodeCommand } from '../kv/codec.js';
import { SESSION_ROWS, clientIdOfRow, decodeSession, hasExpired } from '../kv/sessions.js';
import type { StateStore } from '../persistence/state-store.js';
import type { Node } from './node.js';
import type { Clock } from './ports.js';

const LOOK_EVERY_MS = 5000;
/** Sessions that one entry ends, at most. */
const BATCH_MAX = 64;
/** Rows and bytes that one read takes. */
const PAGE = { limit: 1000, bytesMax: 256 * 1024 };

/** Begins to look; the result ends it. */
export function sweepSessions(
  node: Node,
  store: StateStore,
  clock: Clock,
  lookEveryMs = LOOK_EVERY_MS,
): () => void {
  let looking = false;

  function look(gte: Buffer): void {
    store.scan({ gte, lt: SESSION_ROWS.lt, ...PAGE }, ({ entries, more }) => {
      if (!leads()) {
        looking = false;
        return;
      }
      const nowMs = node.logTimeMs();
      const expired = entries.filter(([, record]) => hasExpired(decodeSession(record), nowMs));
      for (let from = 0; from < expired.length; from += BATCH_MAX) {
        const clientIds = expired.slice(from, from + BATCH_MAX).map(([row]) => clientIdOfRow(row));
        // Whether it is taken or not: whoever is still there is found at the next look.
        void node.propose(encodeCommand({ op: 'expire', clientIds }));
      }
      const last = entries.at(-1);
      if (more && last !== undefined) look(Buffer.concat([last[0], Buffer.from([0])]));
      else looking = false;
    });
  }

  function leads(): boolean {
    return !node.isStopped && node.standing.role === 'leader';
  }

  return clock.every(lookEveryMs, () => {
    if (looking || !leads()) return;
    looking = true;
    look(SESSION_ROWS.gte);
  });
}
