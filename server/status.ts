/** What a node tells of itself. */

import type { LeaderHint } from '../api/errors.js';
import type {
  ClusterStatusResponse,
  HealthResponse,
  MemberStatus,
  SnapshotInfo,
  SnapshotProgress,
  StatusResponse,
} from '../api/types.js';
import type { Member, NodeId } from '../membership/configuration.js';
import { memberOf } from '../membership/configuration.js';
import type { Index } from '../raft/entry.js';
import type { SnapshotFile } from '../snapshot/identity.js';
import type { Node } from './node.js';
import type { Clock } from './ports.js';
import type { Snapshots } from './snapshots.js';
import { stateGap } from './state-gap.js';

export interface StatusOptions {
  readonly addresses: StatusResponse['addresses'];
  readonly cluster: string;
  readonly version: string;
  readonly tickMs: number;
  /** A member that was not heard of for longer counts as unreachable. */
  readonly unreachableAfterMs: number;
  /** Absent: there is nothing to tell of them. */
  readonly snapshots?: Pick<Snapshots, 'progress' | 'list'>;
  /** The version that another member said it runs. */
  readonly versionOf: (id: NodeId) => string | undefined;
  /** What the entries behind `from` take, up to `to`, about. */
  readonly bytesBetween: (from: Index, to: Index) => number;
  /** What a change of the members waits for, where this node leads. */
  readonly underWay: () => string | undefined;
}

export class StatusReport {
  readonly #node: Node;
  readonly #clock: Clock;
  readonly #options: StatusOptions;
  readonly #startMs: number;
  #caughtUp = false;

  constructor(node: Node, clock: Clock, options: StatusOptions) {
    this.#node = node;
    this.#clock = clock;
    this.#options = options;
    this.#startMs = clock.nowMs();
  }

  leader(): LeaderHint | undefined {
    const { leader } = this.#node.standing;
    const member = leader === undefined ? undefined : memberOf(this.#node.configuration, leader);
    return member === undefined ? undefined : { id: member.id, http: member.http };
  }

  membersIndex(): Index | undefined {
    const { configurations, log } = this.#node.state;
    return configurations.findLast(({ index }) => index <= log.commit)?.index;
  }

  status(): StatusResponse {
    const { state, configuration, appliedIndex } = this.#node;
    const { role } = state.current;
    const leader = this.leader();
    return {
      id: state.id,
      state: STATES[role],
      role,
      term: state.term,
      currentTerm: state.term,
      leader: leader ?? null,
      leaderId: leader?.id ?? null,
      isLeader: role === 'leader',
      commitIndex: state.log.commit,
      lastApplied: appliedIndex,
      lastLogIndex: state.log.lastIndex,
      firstLogIndex: state.log.firstIndex,
      addresses: this.#options.addresses,
      cluster: this.#options.cluster,
      clusterId: configuration.clusterId,
      version: this.#options.version,
      uptimeMs: Math.round(this.#clock.nowMs() - this.#startMs),
      snapshot: this.#progress(undefined),
      snapshots: (this.#options.snapshots?.list() ?? []).map(infoOf),
    };
  }

  cluster(): ClusterStatusResponse {
    const members = this.#node.configuration.members.map((member) => this.#member(member));
    return { ...this.status(), members, waitingFor: this.#options.underWay() ?? null };
  }

  #member({ id, raft, rpc, http, voter }: Member): MemberStatus {
    const { state, standing } = this.#node;
    const snapshot = this.#progress(id === state.id ? undefined : id);
    const known = { id, raft, rpc, http, voter, snapshot };
    const role = id === state.id ? state.current.role : id === standing.leader ? 'leader' : 'unknown';
    if (state.current.role !== 'leader') {
      return {
        ...known,
        role,
        matchIndex: null,
        lagEntries: null,
        lagBytes: null,
        lastContactMs: null,
        reachable: null,
        receivesSnapshot: null,
        version: this.#versionOf(id),
      };
    }
    const progress = state.current.progress.get(id);
    const matchIndex = id === state.id ? state.log.durable : (progress?.match ?? 0);
    const silentTicks = progress === undefined ? 0 : state.now - progress.contactTick;
    const lastContactMs = silentTicks * this.#options.tickMs;
    return {
      ...known,
      role: id === state.id ? 'leader' : 'follower',
      matchIndex,
      lagEntries: state.log.lastIndex - matchIndex,
      lagBytes: Math.round(this.#options.bytesBetween(matchIndex, state.log.lastIndex)),
      lastContactMs,
      reachable: lastContactMs <= this.#options.unreachableAfterMs,
      receivesSnapshot: progress?.mode === 'snapshot',
      version: this.#versionOf(id),
    };
  }

  #progress(member: string | undefined): SnapshotProgress | null {
    return this.#options.snapshots?.progress(member) ?? null;
  }

  #versionOf(id: NodeId): string | null {
    if (id === this.#node.state.id) return this.#options.version;
    return this.#options.versionOf(id) ?? null;
  }

  /** `notReady`: why the node does not serve, if it doesn't. */
  health(notReady: string | undefined): HealthResponse {
    const body = {
      keys: this.#node.keyCount,
      role: this.#node.standing.role,
      leader: this.#node.standing.leader ?? null,
    };
    return notReady === undefined
      ? { status: 'healthy', ...body }
      : { status: 'unhealthy', ...body, reason: notReady };
  }

  /** The node has caught up with what was committed when it started. */
  caughtUp(): void {
    this.#caughtUp = true;
  }

  notReady(): string | undefined {
    const gap = stateGap(this.#node.state);
    if (gap !== undefined) return gap;
    if (this.#node.standing.leader === undefined) return 'no leader is known';
    return this.#caughtUp ? undefined : 'the node is still catching up with the leader';
  }
}

export function infoOf({ id, position, bytes }: SnapshotFile): SnapshotInfo {
  return { id, index: position.index, term: position.term, bytes };
}

const STATES = {
  leader: 'LEADER',
  follower: 'FOLLOWER',
  candidate: 'CANDIDATE',
  'pre-candidate': 'PRE-CANDIDATE',
} as const;
