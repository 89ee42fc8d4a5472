/** Changes of the members while the cluster runs: joint consensus (§6, thesis §4.3), one change at a time. */

import type { Change, ChangeFault } from '../membership/change.js';
import { changed, isJoint, leaveJoint } from '../membership/change.js';
import type { Configuration, NodeId } from '../membership/configuration.js';
import { electorate, encodeConfiguration, isElector, voters } from '../membership/configuration.js';
import { majority } from '../membership/quorum.js';
import type { Position } from './entry.js';
import { sendHeartbeats } from './heartbeats.js';
import { hasCaughtUp } from './progress.js';
import { isSilent } from './reads.js';
import type { Leadership, RaftState } from './state.js';
import { appendToLog, becomeFollower } from './state.js';
import { traceConfiguration } from './trace.js';

/**
 * Why a change was not taken; nothing of it happened. `unsettled`: nothing of this term is committed yet, so an earlier change may not be
 * over. `no-quorum`: `missing` did not answer within an election timeout, and without some of them the joint configuration could not
 * be left again. `behind`: the learner `id` has not caught up (thesis §4.2.1).
 */
export type ChangeRefusal =
  | { readonly why: 'not-leader' | 'transferring' | 'unsettled' | ChangeFault }
  | { readonly why: 'no-quorum'; readonly missing: readonly NodeId[] }
  | { readonly why: 'behind'; readonly id: NodeId };

/** Appends the configuration that `change` leads to; a joint one is left by itself once it is committed. */
export function propose(state: RaftState, change: Change): Position | ChangeRefusal {
  const { current, log, configuration } = state;
  if (current.role !== 'leader') return { why: 'not-leader' };
  if (current.transfer !== undefined) return { why: 'transferring' };
  // Before that, a leader does not know whether the configuration it has is committed (the bug of single-server changes, thesis §4.1).
  if (log.commit < current.firstIndex) return { why: 'unsettled' };
  if (isUnderWay(state)) return { why: 'under-way' };
  const next = changed(configuration, change);
  if ('fault' in next) return { why: next.fault };
  const refusal = isJoint(next.configuration)
    ? jointRefusal(state, current, change, next.configuration)
    : undefined;
  return refusal ?? append(state, next.configuration);
}

/** A configuration counts from its entry on, but the next one waits until it is committed, and left where it is joint. */
function isUnderWay({ configurations, configuration, log }: RaftState): boolean {
  return isJoint(configuration) || (configurations.at(-1)?.index ?? 0) > log.commit;
}

/** A joint configuration that one of its majorities can't commit would block everything: it is not entered. */
function jointRefusal(
  state: RaftState,
  lead: Leadership,
  change: Change,
  next: Configuration,
): ChangeRefusal | undefined {
  if (change.type === 'promote') {
    const progress = lead.progress.get(change.id);
    if (progress === undefined || !hasCaughtUp(progress, state.log.lastIndex))
      return { why: 'behind', id: change.id };
  }
  const missing = missingIn(state, lead, next);
  return missing.length === 0 ? undefined : { why: 'no-quorum', missing };
}

/** Who is silent, or has lost its state and so can't lead, in a group of `configuration` that has no majority without them. */
export function missingIn(
  state: RaftState,
  lead: Leadership,
  configuration: Configuration,
): readonly NodeId[] {
  const [, maxTicks] = state.options.electionTicks;
  const missing = electorate(configuration).flatMap((ids) => {
    const quiet = ids.filter(
      (id) => isSilent(state, lead, id, maxTicks) || (lead.progress.get(id)?.wantsSnapshot ?? 0) > 0,
    );
    return ids.length - quiet.length >= majority(ids.length) ? [] : quiet;
  });
  return [...new Set(missing)];
}

function append(state: RaftState, configuration: Configuration): Position {
  const { log, term } = state;
  const index = log.lastIndex + 1;
  traceConfiguration(state, 'ChangeConf', configuration);
  appendToLog(state, [{ index, term, type: 'configuration', data: encodeConfiguration(configuration) }]);
  return { index, term };
}

/** The leader's log has committed further: a joint configuration is left, and a leader that left the cluster goes. */
export function settleMembership(state: RaftState, lead: Leadership): void {
  const { configurations, configuration, log } = state;
  const latest = configurations.at(-1);
  if (latest === undefined || latest.index > log.commit || log.commit < lead.firstIndex) return;
  if (isJoint(configuration)) append(state, leaveJoint(configuration));
  else if (!isElector(configuration, state.id)) resign(state, lead);
}

/**
 * A leader that is no voter any more has finished its change: it asks the most advanced voter to take over, tells that the change is committed,
 * and goes (§6). In this order: who knows that this node has left hears it no more.
 */
function resign(state: RaftState, lead: Leadership): void {
  const [first, ...rest] = voters(state.configuration);
  const matchOf = (id: NodeId): number => lead.progress.get(id)?.match ?? 0;
  if (first !== undefined) {
    const to = rest.reduce((best, id) => (matchOf(id) > matchOf(best) ? id : best), first);
    state.outbox.push({ type: 'timeoutNow', from: state.id, to, term: state.term });
  }
  sendHeartbeats(state, lead, true);
  becomeFollower(state, state.term, undefined);
}
