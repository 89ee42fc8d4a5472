/** What nodes say to each other. Every message carries its sender's term, but for pre-votes (see there). */

import type { NodeId } from '../membership/configuration.js';
import type { Entry, Index, Position, Term } from './entry.js';

interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: Term;
  /**
   * The transport's handle for the call that a request came in by. The core copies it from a request to its
   * response and never looks at it.
   */
  readonly call?: number;
}

/** "Could I win?" (thesis §9.6). `term` is the one the sender *would* campaign in; nobody's term changes by it. */
export interface PreVote extends Envelope {
  readonly type: 'preVote';
  readonly lastIndex: Index;
  readonly lastTerm: Term;
}

/** `term`: the asked-for term when granted, else the sender's own. */
export interface PreVoteResponse extends Envelope {
  readonly type: 'preVoteResponse';
  readonly granted: boolean;
}

/** §5.2, §5.4.1. */
export interface RequestVote extends Envelope {
  readonly type: 'requestVote';
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  /** Set when the old leader asked for this election: then it may not be put off (thesis §4.2.3). */
  readonly transfer: boolean;
}

export interface RequestVoteResponse extends Envelope {
  readonly type: 'requestVoteResponse';
  readonly granted: boolean;
}

/** §5.3. Without entries it still checks the log at `prevIndex`. */
export interface AppendEntries extends Envelope {
  readonly type: 'appendEntries';
  readonly prevIndex: Index;
  readonly prevTerm: Term;
  readonly entries: readonly Entry[];
  readonly commit: Index;
}

export interface AppendEntriesResponse extends Envelope {
  readonly type: 'appendEntriesResponse';
  readonly success: boolean;
  /** On success: the log matches the leader's up to here, durably. On refusal: the `prevIndex` that was refused. */
  readonly index: Index;
  /** On refusal: the largest index at which the logs may still agree, and the term of the entry there. */
  readonly hintIndex: Index;
  readonly hintTerm: Term;
  /** On refusal: the follower's disk has lost the end of its log, so it may lack what it acknowledged before. */
  readonly lostEnd?: true;
}

/**
 * Keeps followers from campaigning, carries the commit index, and asks "am I still the leader?" for the reads that
 * wait for `round` (thesis §6.4). It says nothing about the log beyond what the follower has acknowledged.
 */
export interface Heartbeat extends Envelope {
  readonly type: 'heartbeat';
  readonly commit: Index;
  /** A fresh number for every attempt, never used twice in a term; from 1 on. */
  readonly round: number;
}

export interface HeartbeatResponse extends Envelope {
  readonly type: 'heartbeatResponse';
  /** That of the heartbeat, or `NO_ROUND`. */
  readonly round: number;
  /**
   * The sender's state is lost, and its log begins too late to make it anew: it needs a snapshot that covers this index at least. 0: it needs none.
   */
  readonly needsSnapshot: Index;
  /** As in an AppendEntriesResponse: it waits to be filled up again. */
  readonly lostEnd?: true;
}

/** In the answer to a heartbeat of an earlier term, which confirms nothing. */
export const NO_ROUND = 0;

/** A piece of a snapshot's file, as its sender reads it and its receiver puts it together; the core never looks into it. */
export interface SnapshotChunk {
  /** Names the file by its content. */
  readonly snapshotId: string;
  readonly bytesTotal: number;
  /** Where in the file it begins. */
  readonly offset: number;
  /** Empty: the file is offered, and the answer tells from where it is wanted. */
  readonly data: Uint8Array;
  /** CRC-32 of `data`. */
  readonly checksum: number;
}

/** §7: the follower needs entries that the leader's log begins behind. */
export interface InstallSnapshot extends Envelope {
  readonly type: 'installSnapshot';
  readonly snapshot: Position;
  readonly chunk: SnapshotChunk;
}

/**
 * Why a follower does not take a file. `unknown`: it was not offered; `older`: a later one is on its way; `damaged`: its content is not
 * what its name says; `failed`: it could not be written; `malformed`: no correct sender sends that.
 */
export type SnapshotRefusal = 'unknown' | 'older' | 'damaged' | 'failed' | 'malformed';

export interface InstallSnapshotResponse extends Envelope {
  readonly type: 'installSnapshotResponse';
  readonly snapshotId: string;
  /** How many bytes of the file the follower has, from its begin on: the next chunk starts there. */
  readonly offset: number;
  readonly refusal?: SnapshotRefusal;
  /** The chunk is of an earlier term than the answer, which tells of the later one and of nothing else: `offset` and `index` are 0. */
  readonly stale?: true;
  /** The log and the state match the leader's up to here, durably; 0 as long as the snapshot is not installed. */
  readonly index: Index;
}

/** "Campaign at once" (thesis §3.10). */
export interface TimeoutNow extends Envelope {
  readonly type: 'timeoutNow';
}

export type Request = PreVote | RequestVote | AppendEntries | Heartbeat | InstallSnapshot | TimeoutNow;

export type Response =
  PreVoteResponse | RequestVoteResponse | AppendEntriesResponse | HeartbeatResponse | InstallSnapshotResponse;

export type Message = Request | Response;

export function isResponse(message: Message): message is Response {
  return message.type.endsWith('Response');
}
