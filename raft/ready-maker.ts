/** Puts together what the core wants done; `ready.ts` says what becomes of it. */

import { invariant } from './assert.js';
import type { HardState, Position, Snapshot } from './entry.js';
import type { Append, Committed, Fetch, Ready } from './ready.js';
import { sendHeartbeats } from './heartbeats.js';
import { sendAppends } from './replication.js';
import { nextTransfers } from './snapshots.js';
import type { RaftState } from './state.js';
import { isTraced, ownAnswer, traceAnswers, traceReady, traceSent } from './trace.js';

/** What `state` wants done by now, and what it wants is taken from it. Cheap when there is nothing to do. */
export function takeReady(state: RaftState): Ready {
  const { current } = state;
  const fetches: Fetch[] = [];
  const append = nextAppend(state);
  if (current.role === 'leader') {
    sendAppends(state, current, fetches);
    sendHeartbeats(state, current, false);
  }
  // With nothing to write, nothing has to be waited for.
  const durable = state.writing === undefined ? state.afterAppend.splice(0) : [];
  const messages = [...state.outbox.splice(0), ...durable];
  if (messages.some(isTraced)) traceReady(state);
  traceAnswers(state, messages);
  return {
    append,
    messages,
    committed: nextCommitted(state),
    reads: current.role === 'leader' ? current.reads.confirmed.splice(0) : [],
    failedReads: state.failedReads.splice(0),
    fetches,
    chunks: state.chunks.splice(0),
    chunkAnswers: state.chunkAnswers.splice(0),
    transfers: current.role === 'leader' ? nextTransfers(state, current) : [],
    install: nextInstall(state),
    refusals: state.refusals.splice(0),
  };
}

function nextAppend(state: RaftState): Append | undefined {
  const { log, written } = state;
  if (state.writing !== undefined) return undefined;
  const entries = log.entries(state.handedOut + 1, log.lastIndex, Infinity);
  invariant(entries !== undefined, 'what was not handed to the disk is in memory');
  const mustWrite = state.term !== written.term || state.vote !== written.vote;
  const { newBase } = state;
  if (entries.length === 0 && !mustWrite && newBase === undefined) return undefined;
  state.newBase = undefined;
  const hardState: HardState | undefined =
    mustWrite || log.commit !== written.commit
      ? { term: state.term, vote: state.vote, commit: log.commit }
      : undefined;
  if (hardState !== undefined) state.written = hardState;
  const last: Position = { index: log.lastIndex, term: log.lastTerm };
  state.handedOut = last.index;
  const messages = state.afterAppend.splice(0);
  state.writing = { last, hardState, messages };
  if (state.current.role === 'leader' && entries.length > 0) traceSent(state, ownAnswer(state, last.index));
  return { newBase, entries, hardState, messages };
}

function nextCommitted(state: RaftState): Committed | undefined {
  const { log, applying, installing, options } = state;
  if (applying !== undefined || installing !== undefined) return undefined;
  if (log.lacksState || log.applicable <= log.applied) return undefined;
  const from = log.applied + 1;
  const entries = log.entries(from, log.applicable, options.applyBytesMax);
  const to = entries?.at(-1)?.index ?? log.applicable;
  state.applying = to;
  return { from, to, entries };
}

/** The state machine is restored between two batches, never during one. */
function nextInstall(state: RaftState): Snapshot | undefined {
  const { installing, applying } = state;
  if (installing === undefined || installing.handedOut || applying !== undefined) return undefined;
  installing.handedOut = true;
  return installing.snapshot;
}
