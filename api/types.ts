/** Bodies of requests and answers, as they are on the wire. Revisions are decimal strings of a 64-bit integer. */

import type { LeaderHint, Problem } from './errors.js';

/** How fresh a read must be; see the README, "Consistency". Default: `linearizable`. */
export type Consistency = 'linearizable' | 'lease' | 'stale';

export const CONSISTENCIES: readonly Consistency[] = ['linearizable', 'lease', 'stale'];

/** A value: `value` when its bytes are UTF-8, else `valueBase64`. Exactly one of the two is present. */
export type WireValue =
  | { readonly value: string; readonly valueBase64?: never }
  | { readonly valueBase64: string; readonly value?: never };

export type GetResponse = {
  readonly key: string;
  readonly revision: string;
  readonly ttlMs?: number;
} & WireValue;

export interface SetRequest {
  readonly key: string;
  readonly value?: string;
  readonly valueBase64?: string;
  readonly ttlMs?: number;
  readonly ifRevision?: string;
  readonly ifAbsent?: boolean;
}

export interface SetResponse {
  readonly success: true;
  readonly key: string;
  readonly revision: string;
}

export interface DeleteResponse {
  readonly success: true;
  readonly key: string;
  readonly status: 'deleted' | 'not-found';
  readonly deleted: boolean;
  readonly revision: string;
}

/** One entry of a listing; without a value when `keysOnly` was asked for. */
export type ListEntry =
  GetResponse | { readonly key: string; readonly revision: string; readonly ttlMs?: number };

export interface ListResponse {
  readonly entries: readonly ListEntry[];
  /** Continue with this; null at the end. */
  readonly cursor: string | null;
  readonly revision: string;
}

/** The answer to `DELETE /kv?prefix=`. */
export interface DeletePrefixResponse {
  readonly deleted: number;
  readonly revision: string;
}

export interface TxnRequest {
  /** `revision` null: there must be no such key. */
  readonly checks?: readonly { readonly key: string; readonly revision: string | null }[];
  readonly ops?: readonly (
    | (Pick<SetRequest, 'key' | 'value' | 'valueBase64' | 'ttlMs'> & { readonly op: 'set' })
    | { readonly op: 'delete' | 'get'; readonly key: string }
  )[];
}

/** All of the operations took effect, at `revision`. When a check fails it is a `Problem` with `check-failed` instead. */
export interface TxnResponse {
  readonly succeeded: true;
  readonly revision: string;
  /** One an operation, in order; null for a get of a missing key. */
  readonly results: readonly (SetResponse | DeleteResponse | GetResponse | null)[];
}

/** `session` is what the header `KV-Session` is for a single write. */
export type PipelineOpRequest =
  | (SetRequest & { readonly op: 'set'; readonly session?: string })
  | {
      readonly op: 'delete';
      readonly key: string;
      readonly ifRevision?: string;
      readonly session?: string;
    }
  | { readonly op: 'get'; readonly key: string };

export interface PipelineRequest {
  readonly ops: readonly PipelineOpRequest[];
}

/** What the operation would have been answered with by itself. */
export type PipelineOpResponse =
  | { readonly status: 200; readonly result: SetResponse | DeleteResponse | GetResponse }
  | { readonly status: number; readonly error: Problem };

export interface PipelineResponse {
  /** One an operation, in order. */
  readonly results: readonly PipelineOpResponse[];
}

/** The data of an event of `/watch`; the event's name is its `type`, its id `<revision>.<n>`. */
export interface WatchEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  /** Of a `put`, one of the two. */
  readonly value?: string;
  readonly valueBase64?: string;
  readonly revision: string;
  /** The `n`th of the `of` changes that one write made, from 1. */
  readonly n: number;
  readonly of: number;
  /** A delete because the key's time was over. */
  readonly reason?: 'expired';
}

/** The data of the event `cut-off`, the last one of a watch that the server ends. */
export interface WatchCutOff {
  readonly code: 'revision-compacted' | 'shutting-down';
  /** A `Last-Event-ID` to resume with. */
  readonly resumeAt: string;
  /** `revision-compacted`: what was before is lost. */
  readonly oldestRevision?: string;
}

/** One entry of the log, without what it holds. */
export interface LogEntrySummary {
  readonly index: number;
  readonly term: number;
  /** `noop`, `configuration`, or what the command does: `set`, `delete`, `txn`, … */
  readonly type: string;
  /** In bytes. */
  readonly size: number;
  /** The first key that it names, or its prefix; null when it names none. */
  readonly key: string | null;
}

/** The answer to `GET /cluster/log`. */
export interface LogResponse {
  /** The newest first. */
  readonly entries: readonly LogEntrySummary[];
}

/** What a node is in its cluster now; a pre-candidate asks whether it could win before it stands for election. */
export type Role = 'leader' | 'follower' | 'candidate' | 'pre-candidate';

/** How far a snapshot has come that is being made, sent, received or restored. */
export interface SnapshotProgress {
  readonly phase: 'making' | 'sending' | 'receiving' | 'restoring';
  /** So many are done. */
  readonly bytes: number;
  /** Null while it is being made: it is not known before its end. */
  readonly totalBytes: number | null;
}

/** A complete snapshot on the disk of a node. */
export interface SnapshotInfo {
  readonly id: string;
  /** It holds exactly the entries up to this one. */
  readonly index: number;
  readonly term: number;
  readonly bytes: number;
}

/** Answer of `POST /snapshot`; 202 with `waitingFor` alone when it takes longer than the request may. */
export interface SnapshotResponse extends SnapshotInfo {
  /** Whose state it is. */
  readonly node: string;
}

/** The answer to `GET /status`: the node that answers, as it sees itself. */
export interface StatusResponse {
  readonly id: string;
  readonly state: 'LEADER' | 'FOLLOWER' | 'CANDIDATE' | 'PRE-CANDIDATE';
  readonly role: Role;
  readonly term: number;
  readonly currentTerm: number;
  readonly leader: LeaderHint | null;
  readonly leaderId: string | null;
  readonly isLeader: boolean;
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly lastLogIndex: number;
  readonly firstLogIndex: number;
  /** `host:port` each: where others reach this node. */
  readonly addresses: { readonly raft: string; readonly rpc: string; readonly http: string };
  readonly cluster: string;
  readonly clusterId: string | null;
  readonly version: string;
  readonly uptimeMs: number;
  /** What this node makes, receives or restores now. */
  readonly snapshot: SnapshotProgress | null;
  /** Those on its disk, oldest first. */
  readonly snapshots: readonly SnapshotInfo[];
}

/** A member, as the node that answers sees it; of the others only the leader knows more than their ids and addresses. */
export interface MemberStatus {
  /** Its `raft.nodeID`. */
  readonly id: string;
  /** `host:port` each: where it takes consensus traffic, forwarded requests, and clients. */
  readonly raft: string;
  readonly rpc: string;
  readonly http: string;
  /** False: it has the data, and no vote. */
  readonly voter: boolean;
  readonly role: Role | 'unknown';
  /** The log up to here is surely on its disk. Only the leader knows this and what follows; null where it could not be asked. */
  readonly matchIndex: number | null;
  /** Entries of the leader's log that it is not known to have. */
  readonly lagEntries: number | null;
  /** Since the leader last heard of it. */
  readonly lastContactMs: number | null;
  /** Whether the leader heard of it within an election timeout. */
  readonly reachable: boolean | null;
  /** What the leader sends to this member now; of the node that answers, what it makes, receives or restores. */
  readonly snapshot: SnapshotProgress | null;
  /** What `lagEntries` take in the log, about. */
  readonly lagBytes: number | null;
  /** It needs a snapshot, which is sent to it. */
  readonly receivesSnapshot: boolean | null;
  /** Of the product, as the member last said; null where it has not said anything yet. */
  readonly version: string | null;
}

/** What the leader tells of the members. */
export interface MembersReport {
  readonly members: readonly MemberStatus[];
  /** What a change of the members that is under way waits for, who is missing included; null when none is. */
  readonly waitingFor: string | null;
}

/** The answer to `GET /cluster/status`: the node that answers, and the members as it sees them. */
export interface ClusterStatusResponse extends StatusResponse, MembersReport {}

/** The answer to a change of the members: with 200 it is empty of this, with 202 it says what it waits for. */
export interface ChangeResponse {
  readonly success: true;
  readonly waitingFor?: string;
}

export interface HealthResponse {
  readonly status: 'healthy' | 'unhealthy';
  readonly keys: number;
  readonly role: Role;
  readonly leader: string | null;
  readonly reason?: string;
}

/** The answer to `POST /sessions`. */
export interface SessionResponse {
  readonly clientId: string;
}

/** Response headers. `KV-Leader` is `<id> <host:port>`, absent while no leader is known. `KV-Members` is the index of the
 * latest committed configuration that the node knows: where it is larger than before, the members have changed. `KV-Session`
 * is a request header: `<clientId>/<seq>/<lowestPendingSeq>`. */
export const HEADERS = Object.freeze({
  revision: 'KV-Revision',
  leader: 'KV-Leader',
  members: 'KV-Members',
  requestId: 'KV-Request-Id',
  session: 'KV-Session',
});
