/** Replication (§5.3), the commit rule (§5.4.2), and heartbeats. */

import { electorate } from '../membership/configuration.js';
import { agreedByAll } from '../membership/quorum.js';
import { echo } from './election.js';
import type { Entry, Index } from './entry.js';
import { entryBytes } from './entry.js';
import type { AppendEntries, AppendEntriesResponse, Heartbeat, HeartbeatResponse } from './messages.js';
import { settleMembership } from './membership.js';
import type { Progress } from './progress.js';
import type { Fetch } from './ready.js';
import { heartbeatAnswered, startRound } from './reads.js';
import type { Leadership, RaftState } from './state.js';
import { appendToLog, refuse, resetElectionTimer, truncateLog } from './state.js';
import { traceSent, traceStep } from './trace.js';

// ---- the leader

/**
 * Sends whatever the windows of the followers have room for. Entries leave when they are handed to this node's own
 * disk, neither before nor after: what gathers while that writes travels as one message, too. Only a disk that answers
 * no more is not waited for, so that leadership can be handed over. Entries that are only on disk are asked for instead.
 */
export function sendAppends(state: RaftState, lead: Leadership, fetches: Fetch[]): void {
  const through = state.stalled ? state.log.lastIndex : state.handedOut;
  for (const [to, progress] of lead.progress) {
    while (progress.next <= through && !progress.paused) {
      if (progress.next <= state.log.base.index) {
        progress.needsSnapshot();
        break;
      }
      const { appendBytesMax: bytesMax } = state.options;
      const entries = state.log.entries(progress.next, through, bytesMax);
      if (entries === undefined) {
        progress.fetching = progress.next;
        // What is not in memory is durable; what lies behind that may not be on disk yet.
        fetches.push({ to, term: state.term, from: progress.next, through: state.log.durable, bytesMax });
        break;
      }
      sendAppend(state, to, progress, entries);
    }
  }
}

function sendAppend(state: RaftState, to: string, progress: Progress, entries: readonly Entry[]): void {
  const prevIndex = progress.next - 1;
  const prevTerm = state.log.termAt(prevIndex);
  if (prevTerm === undefined) {
    // The log was compacted beyond what is on its way.
    progress.needsSnapshot();
    return;
  }
  const request: AppendEntries = {
    type: 'appendEntries',
    from: state.id,
    to,
    term: state.term,
    prevIndex,
    prevTerm,
    entries,
    commit: Math.min(state.log.commit, prevIndex + entries.length),
  };
  state.outbox.push(request);
  traceSent(state, request);
  progress.sent(
    prevIndex + entries.length,
    entries.reduce((sum, entry) => sum + entryBytes(entry), 0),
  );
}

/** Entries came back from disk; they are sent if the follower still waits for them and the log still holds them. */
export function onFetched(state: RaftState, fetch: Fetch, entries: readonly Entry[]): void {
  if (state.current.role !== 'leader' || state.term !== fetch.term) return;
  const progress = state.current.progress.get(fetch.to);
  if (progress === undefined || progress.fetching !== fetch.from) return;
  progress.fetching = undefined;
  if (progress.next === fetch.from && !progress.paused) sendAppend(state, fetch.to, progress, entries);
}

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

/**
 * An append that no answer came to within a heartbeat interval may be lost, and the follower then waits for nothing:
 * an empty one behind it asks. The refusal that comes back tells where to go on (§5.3).
 */
export function askAgain(state: RaftState, lead: Leadership): void {
  for (const [to, progress] of lead.progress) {
    if (progress.mode === 'probe') progress.probeSent = false;
    else if (progress.inflightAppends > 0 && !progress.answered) sendAppend(state, to, progress, []);
    progress.answered = false;
  }
}

export function onAppendResponse(state: RaftState, lead: Leadership, message: AppendEntriesResponse): void {
  const progress = lead.progress.get(message.from);
  if (progress === undefined) return;
  if (message.index > state.log.lastIndex) {
    refuse(state, message, `it answers for index ${message.index}, the log ends at ${state.log.lastIndex}`);
    return;
  }
  progress.contactTick = state.now;
  if (!message.success) {
    const hint = state.log.lastIndexOfTermAtMost(message.hintIndex, message.hintTerm);
    // What is committed stays so: this node will vote for nobody who lacks it.
    if (message.lostEnd === true) progress.forget(message.index, hint);
    else progress.refused(message.index, hint);
    return;
  }
  const advanced = progress.acknowledged(message.index, state.log.base.index);
  progress.endRound(state.now, state.log.lastIndex, state.options.electionTicks[0]);
  if (advanced) advanceCommit(state);
  maybeHandOver(state, lead);
}

export function onHeartbeatResponse(state: RaftState, lead: Leadership, message: HeartbeatResponse): void {
  const progress = lead.progress.get(message.from);
  if (progress === undefined || message.round > lead.reads.lastRound) return;
  progress.contactTick = state.now;
  progress.wantsSnapshot = message.needsSnapshot;
  // It lacks what it had acknowledged; its refusal of an empty append tells how much (§5.3).
  if (message.lostEnd === true && progress.mode === 'replicate' && progress.inflightAppends === 0)
    sendAppend(state, message.from, progress, []);
  heartbeatAnswered(state, lead, message);
}

/**
 * The commit rule: what a majority holds durably, this node's own disk included, and only up to an entry of the
 * current term; what earlier terms left commits with it (§5.4.2).
 */
export function advanceCommit(state: RaftState): void {
  const { current, log } = state;
  if (current.role !== 'leader') return;
  const index = agreedByAll(electorate(state.configuration), (id): Index =>
    id === state.id ? log.durable : (current.progress.get(id)?.match ?? 0),
  );
  const advanced = log.termAt(index) === state.term && log.commitTo(index);
  traceStep(state, 'Commit');
  if (advanced) settleMembership(state, current);
}

/** The transfer's target has the whole log: it may campaign now (thesis §3.10). */
export function maybeHandOver(state: RaftState, lead: Leadership): void {
  const { transfer } = lead;
  if (transfer === undefined || transfer.asked) return;
  if (lead.progress.get(transfer.to)?.match !== state.log.lastIndex) return;
  transfer.asked = true;
  lead.handedOver = true;
  state.outbox.push({ type: 'timeoutNow', from: state.id, to: transfer.to, term: state.term });
}

// ---- the follower; `Raft.step` has made the sender its leader in this term

export function onAppendEntries(state: RaftState, message: AppendEntries): void {
  const { log } = state;
  const fault = appendFault(state, message);
  if (fault !== undefined) {
    refuse(state, message, fault);
    return;
  }
  heardOfLeader(state);
  // What it would be compared with is about to go; the leader asks again.
  if (state.installing?.replacesLog === true) return;
  // Up to the commit index the logs match anyway (Leader Completeness, §5.4.3), compacted entries included; the leader
  // is told to go on from there.
  if (message.prevIndex < log.commit) {
    answerAppend(state, message, true, log.commit);
    return;
  }
  if (!log.holds({ index: message.prevIndex, term: message.prevTerm })) {
    answerAppend(state, message, false, message.prevIndex);
    return;
  }
  const fresh = message.entries.findIndex((entry) => !log.holds(entry));
  if (fresh >= 0) {
    const added = message.entries.slice(fresh);
    const from = added[0]?.index ?? 0;
    if (from <= log.lastIndex) truncateLog(state, from);
    appendToLog(state, added);
  }
  const last = message.prevIndex + message.entries.length;
  log.commitTo(Math.min(message.commit, last));
  answerAppend(state, message, true, last);
}

/** What no correct leader sends; undefined when there is nothing of that. */
function appendFault(state: RaftState, message: AppendEntries): string | undefined {
  const { log } = state;
  let { prevIndex: index, prevTerm: term } = message;
  const before = index <= log.commit ? log.termAt(index) : undefined;
  if (before !== undefined && before !== term) return `it conflicts with entry ${index}, which is committed`;
  for (const entry of message.entries) {
    if (entry.index !== index + 1) return `entry ${entry.index} does not follow ${index}`;
    if (entry.term < term || entry.term > message.term) return `entry ${entry.index} has term ${entry.term}`;
    const known = index < log.commit ? log.termAt(entry.index) : undefined;
    if (known !== undefined && known !== entry.term)
      return `it conflicts with entry ${entry.index}, which is committed`;
    ({ index, term } = entry);
  }
  return undefined;
}

function answerAppend(state: RaftState, message: AppendEntries, success: boolean, index: Index): void {
  const { log } = state;
  const hintIndex = success ? index : log.lastIndexOfTermAtMost(index, message.prevTerm);
  state.afterAppend.push({
    type: 'appendEntriesResponse',
    from: state.id,
    to: message.from,
    term: state.term,
    success,
    index,
    hintIndex,
    hintTerm: log.termAt(hintIndex) ?? 0,
    ...(!success && state.lostEnd !== undefined && { lostEnd: true }),
    ...echo(message),
  });
}

export function onHeartbeat(state: RaftState, message: Heartbeat): void {
  // A log that lost its end may lack what was acknowledged; the appends that fill it up will commit it.
  const commit = state.lostEnd === undefined ? message.commit : 0;
  if (commit > state.log.lastIndex) {
    refuse(state, message, `it commits up to ${message.commit}, the log ends at ${state.log.lastIndex}`);
    return;
  }
  heardOfLeader(state);
  state.log.commitTo(commit);
  state.outbox.push({
    type: 'heartbeatResponse',
    from: state.id,
    to: message.from,
    term: state.term,
    round: message.round,
    needsSnapshot: state.log.lacksState ? state.log.base.index : 0,
    ...(state.lostEnd !== undefined && { lostEnd: true }),
    ...echo(message),
  });
}

export function heardOfLeader(state: RaftState): void {
  state.leaderTick = state.now;
  resetElectionTimer(state);
}
