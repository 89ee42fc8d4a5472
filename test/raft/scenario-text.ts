/** How scenarios show what happens: messages, and what changed in a node. */

import type { Entry, Index, Position } from '../../raft/entry.js';
import type { Message } from '../../raft/messages.js';
import type { RaftState } from '../../raft/state.js';
import type { Node, Read } from './toy-node.js';
import { text } from './tools.js';

export function positionText({ index, term }: Position): string {
  return `${index}@${term}`;
}

export function entriesText(entries: readonly Position[]): string {
  return entries.length === 0 ? 'none' : entries.map(positionText).join(' ');
}

export function messageText(message: Message): string {
  const { from, to, term } = message;
  const envelope = `${from}>${to} ${message.type} term ${term}`;
  switch (message.type) {
    case 'preVote':
    case 'requestVote': {
      const last = positionText({ index: message.lastIndex, term: message.lastTerm });
      return `${envelope} last ${last}${'transfer' in message && message.transfer ? ' transfer' : ''}`;
    }
    case 'preVoteResponse':
    case 'requestVoteResponse':
      return `${envelope} ${message.granted ? 'granted' : 'refused'}`;
    case 'appendEntries': {
      const prev = positionText({ index: message.prevIndex, term: message.prevTerm });
      return `${envelope} prev ${prev} entries ${entriesText(message.entries)} commit ${message.commit}`;
    }
    case 'appendEntriesResponse': {
      if (message.success) return `${envelope} matches ${message.index}`;
      const hint = positionText({ index: message.hintIndex, term: message.hintTerm });
      return `${envelope} refused ${message.index} hint ${hint}`;
    }
    case 'heartbeat':
      return `${envelope} commit ${message.commit} round ${message.round}`;
    case 'heartbeatResponse':
      return `${envelope} round ${message.round}`;
    case 'installSnapshot':
      return `${envelope} at ${positionText(message.snapshot)}`;
    case 'installSnapshotResponse':
      return `${envelope} ${message.index === 0 ? `has ${message.offset} bytes` : `matches ${message.index}`}`;
    case 'timeoutNow':
      return envelope;
  }
}

export function logOf({ log }: Readonly<RaftState>): Position[] {
  const { base, lastIndex } = log;
  return Array.from({ length: lastIndex - base.index }, (_, at) => {
    const index = base.index + 1 + at;
    return { index, term: log.termAt(index) ?? 0 };
  });
}

export function appliedText(entries: readonly Entry[]): string {
  // What a log is set up with says its own place.
  const commands = entries
    .filter(({ type }) => type === 'command')
    .map((entry) => (text(entry) === `${entry.index}/${entry.term}` ? '' : text(entry)))
    .filter(Boolean);
  return commands.length === 0 ? 'nothing' : commands.join(' ');
}

/** What of a node a reader follows; comparing two of these tells what happened to it. */
export interface Picture {
  readonly role: string;
  readonly term: number;
  readonly vote: string | undefined;
  readonly leader: string | undefined;
  readonly log: readonly Position[];
  readonly commit: Index;
  readonly durable: Index;
  readonly applied: Index;
  readonly writing: boolean;
  readonly refusals: readonly string[];
}

export function pictureOf({ raft, writing, applied, refusals }: Node): Picture {
  const { term, vote, log, current } = raft.state;
  return {
    ...{ role: current.role, term, vote, leader: raft.leader, log: logOf(raft.state), commit: log.commit },
    ...{
      durable: log.durable,
      applied: applied.length,
      writing: writing !== undefined,
      refusals: [...refusals],
    },
  };
}

export function changesText(id: string, before: Picture, now: Picture): string[] {
  const lines: string[] = [];
  const { role, term, vote, leader, log } = now;
  if (role !== before.role || term !== before.term) lines.push(`${role}, term ${term}`);
  if (vote !== undefined && vote !== before.vote) lines.push(`votes for ${vote}`);
  if (role === 'follower' && leader !== undefined && leader !== before.leader)
    lines.push(`follows ${leader}`);
  const kept = before.log.findIndex((entry, at) => log[at]?.term !== entry.term);
  const shared = kept < 0 ? before.log.length : kept;
  if (shared < before.log.length) lines.push(`removes ${entriesText(before.log.slice(shared))}`);
  if (log.length > shared) lines.push(`appends ${entriesText(log.slice(shared))}`);
  if (now.writing && !before.writing) lines.push('writes to its disk');
  if (now.durable !== before.durable) lines.push(`is durable to ${now.durable}`);
  if (now.commit !== before.commit) lines.push(`commits to ${now.commit}`);
  if (now.applied !== before.applied) lines.push(`applies to ${now.applied}`);
  lines.push(...now.refusals.slice(before.refusals.length).map((why) => `refuses ${why}`));
  return lines.map((line) => `${id} ${line}`);
}

export function readText(name: string, { state, index }: Read): string {
  return `read ${name} ${state}${state === 'answered' || state === 'confirmed' ? ` at ${index}` : ''}`;
}

/** What a leader knows of the others. */
export function progressText({ current }: Readonly<RaftState>): string[] {
  if (current.role !== 'leader') return ['not the leader'];
  return [...current.progress].map(([id, progress]) => {
    const inflight = progress.inflightAppends > 0 ? ` inflight ${progress.inflightAppends}` : '';
    const paused = progress.fetching !== undefined ? ' fetching' : progress.paused ? ' paused' : '';
    return `${id} ${progress.mode} match ${progress.match} next ${progress.next}${inflight}${paused}`;
  });
}
