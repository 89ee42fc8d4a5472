/** Heartbeats: they keep followers from campaigning, carry the commit index, and confirm reads (§5.2, thesis §6.4). */

import type { Heartbeat } from './messages.js';
import { startRound } from './reads.js';
import type { Leadership, RaftState } from './state.js';
import { traceSent } from './trace.js';

/** Heartbeats go to everyone, in every mode; a fresh round that the waiting reads join (see `reads.ts`). */
export function sendHeartbeats(state: RaftState, lead: Leadership, again: boolean): void {
  const round = startRound(state, lead, again);
  if (round === undefined) return;
  lead.announcedCommit = state.log.commit;
  for (const [to, progress] of lead.progress) {
    // Not beyond what it acknowledged: the rest of its log may be another one.
    const commit = Math.min(progress.match, state.log.commit);
    const request: Heartbeat = { type: 'heartbeat', from: state.id, to, term: state.term, commit, round };
    state.outbox.push(request);
    traceSent(state, request);
  }
}
