/** The service of a node: routes to the leader, waits, and never longer than the request's time-out. */

import type {
  ClusterStatusResponse,
  Consistency,
  HealthResponse,
  MembersReport,
  StatusResponse,
} from '../api/types.js';
import type { LeaderHint } from '../api/errors.js';
import type {
  AttestCommand,
  Command,
  DeletePrefixCommand,
  DeletePrefixResult,
  TxnCommand,
  TxnResult,
  Write,
  WriteResult,
} from '../kv/command.js';
import {
  PREFIX_KEYS_MAX,
  PREFIX_VALUE_BYTES_MAX,
  TXN_READ_BYTES_MAX,
  TXN_SESSION_READ_BYTES_MAX,
} from '../kv/command.js';
import type { LogStore } from '../persistence/log-store.js';
import type { Index } from '../raft/entry.js';
import type { Deadline } from './deadline.js';
import { deadlineAfter } from './deadline.js';
import { FreshReads, faultOf, lateness } from './fresh-reads.js';
import { shuttingDown } from './leadership.js';
import { newestLines } from './log-lines.js';
import { changeCluster } from './members/cluster-changes.js';
import type { Members } from './members/members.js';
import type { ClusterAnswer, ClusterRequest } from './members/request.js';
import { runPipeline } from './pipeline.js';
import type { Clock } from './ports.js';
import type { Decision, ProposerParts } from './proposer.js';
import { proposeAll, proposeOne, resultOf, unexpected, writeResultOf } from './proposer.js';
import type { ReadIndexes } from './read-indexes.js';
import type { Reader } from './reader.js';
import { ServiceError } from './service.js';
import type {
  BackupStream,
  ListQuery,
  ListResult,
  LogLine,
  PipelineOp,
  PipelineResult,
  ReadResult,
  Service,
  SnapshotTaken,
  WatchItem,
  WatchQuery,
} from './service.js';
import type { SnapshotsOnDemandParts } from './snapshots-on-demand.js';
import { SnapshotsOnDemand } from './snapshots-on-demand.js';
import { refuseGap } from './state-gap.js';
import { Watches } from './watches.js';
import type { StatusReport } from './status.js';

export interface ServiceParts extends ProposerParts {
  readonly clock: Clock;
  readonly logStore: Pick<LogStore, 'read'>;
  readonly readIndexes: ReadIndexes;
  readonly leaseIndexes: ReadIndexes;
  readonly reader: Reader;
  readonly report: StatusReport;
  /** Absent: this node takes none on demand. */
  readonly snapshots?: SnapshotsOnDemandParts;
  readonly members: Members;
  readonly requestTimeoutMs: number;
  /** What a session that is opened here may do. */
  readonly sessions: { readonly ttlMs: number; readonly max: number };
}

/** A status is asked for when something is wrong: without the leader's word, it comes as this node sees it. */
const MEMBERS_TIMEOUT_MS = 1000;

export class StoreService implements Service {
  readonly #parts: ServiceParts;
  readonly #linearizable: FreshReads;
  readonly #lease: FreshReads;
  readonly #watches: Watches;
  readonly #onDemand: SnapshotsOnDemand | undefined;
  /** What this node knew to be committed when it started: no read, not even a stale one, goes back behind it. */
  readonly #knownCommit: Index;
  #successor: LeaderHint | undefined;
  #state: 'serving' | 'leaving' | 'stopped' = 'serving';

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    const { node, clock, reader, snapshots, readIndexes, leaseIndexes, requestTimeoutMs: timeoutMs } = parts;
    this.#linearizable = new FreshReads({ node, clock, indexes: readIndexes, timeoutMs });
    this.#lease = new FreshReads({ node, clock, indexes: leaseIndexes, timeoutMs });
    this.#knownCommit = node.state.log.commit;
    this.#onDemand = snapshots && new SnapshotsOnDemand(snapshots, node.state);
    this.#watches = new Watches({ node, clock, page: (after) => reader.history(after) });
  }

  /** Not ready any more, so that nobody new comes; whoever does is still served. */
  leave(): void {
    // A removed node has sent its clients away already.
    if (this.#state === 'serving') this.#state = 'leaving';
  }

  /** From now on new requests are refused as `shutting-down`. */
  stop(): void {
    this.#state = 'stopped';
    this.#watches.close();
  }

  write(write: Write): Promise<WriteResult> {
    return this.#decide(write).then(writeResultOf);
  }

  async transact(txn: TxnCommand): Promise<Exclude<TxnResult, { status: 'too-large' }>> {
    const result = resultOf(await this.#decide(txn));
    if (result.status === 'txn' || result.status === 'check-failed') return result;
    if (result.status !== 'too-large') throw unexpected(result);
    throw new ServiceError(
      'too-large',
      `a transaction reads at most ${TXN_READ_BYTES_MAX} bytes of values, ${TXN_SESSION_READ_BYTES_MAX} under a session; read them apart`,
    );
  }

  async deletePrefix(
    command: DeletePrefixCommand,
  ): Promise<Exclude<DeletePrefixResult, { status: 'too-large' }>> {
    const result = resultOf(await this.#decide(command));
    if (result.status === 'prefix-deleted') return result;
    if (result.status !== 'too-large') throw unexpected(result);
    throw new ServiceError(
      'too-large',
      `more than ${PREFIX_KEYS_MAX} keys, or more than ${PREFIX_VALUE_BYTES_MAX} bytes of values, begin with the prefix; delete them in parts, by longer prefixes`,
    );
  }

  async openSession(): Promise<number> {
    const { ttlMs, max } = this.#parts.sessions;
    const result = resultOf(await this.#decide({ op: 'register', ttlMs, sessionsMax: max }));
    if (result.status === 'registered') return result.clientId;
    throw new ServiceError('overloaded', `there are ${max} sessions already (sessions.max)`, {
      retryAfterSeconds: 1,
    });
  }

  #decide(command: Command): Promise<Decision | undefined> {
    if (this.#state === 'stopped') return Promise.reject(shuttingDown());
    return proposeOne(this.#parts, command, deadlineAfter(this.#parts.clock, this.#parts.requestTimeoutMs));
  }

  async pipeline(ops: readonly PipelineOp[], consistency: Consistency): Promise<PipelineResult> {
    const { node, clock, reader, requestTimeoutMs } = this.#parts;
    const deadline = this.#begin(clock, requestTimeoutMs);
    return runPipeline(
      {
        revision: () => node.appliedIndex,
        fresh: () => this.#index(consistency, deadline),
        applied: (index) => this.#applied(index, deadline),
        get: (keys) => reader.get(keys),
        propose: (writes) => proposeAll(this.#parts, writes, deadline),
      },
      ops,
    );
  }

  async watch(
    query: WatchQuery,
    from: { readonly after: Index; readonly n: number } | undefined,
  ): Promise<AsyncGenerator<WatchItem, void>> {
    refuseGap(this.#parts.node.state);
    if (from !== undefined) return this.#watches.open(query, from.after, from.n);
    return this.#watches.open(query, await this.#fresh('linearizable'), 0);
  }

  log(limit: number): Promise<readonly LogLine[]> {
    const { node, logStore } = this.#parts;
    if (node.isStopped) return Promise.reject(shuttingDown());
    return newestLines(node, logStore, limit);
  }

  read(keys: readonly string[], consistency: Consistency): Promise<ReadResult> {
    const { reader } = this.#parts;
    return new Promise((resolve, reject) => {
      this.#whenFresh(consistency, () => reader.take({ keys, resolve, reject }), reject);
    });
  }

  async list(query: ListQuery, consistency: Consistency): Promise<ListResult> {
    await this.#fresh(consistency);
    return this.#parts.reader.list(query);
  }

  /** An index asked for after this call, applied here by now: the state is as fresh as the read must be. */
  #fresh(consistency: Consistency): Promise<Index> {
    return new Promise((resolve, reject) => this.#whenFresh(consistency, resolve, reject));
  }

  /** See `FreshReads.wait`. Throws where nothing may be read here. */
  #whenFresh(
    consistency: Consistency,
    fresh: (index: Index) => void,
    failed: (error: unknown) => void,
  ): void {
    const { node, clock, requestTimeoutMs } = this.#parts;
    if (this.#state === 'stopped') throw shuttingDown();
    refuseGap(node.state);
    if (consistency === 'linearizable') this.#linearizable.wait(fresh, failed);
    else if (consistency === 'lease') this.#lease.wait(fresh, failed);
    else {
      const index = this.#knownCommit;
      this.#applied(index, deadlineAfter(clock, requestTimeoutMs)).then(() => fresh(index), failed);
    }
  }

  /** An index asked for after this call that, once applied here, makes a read as fresh as it must be; undefined: not in time. */
  async #index(consistency: Consistency, deadline: Deadline): Promise<Index | undefined> {
    const { node, readIndexes, leaseIndexes } = this.#parts;
    refuseGap(node.state);
    if (consistency === 'stale') return this.#knownCommit;
    return deadline.race((consistency === 'lease' ? leaseIndexes : readIndexes).get());
  }

  /** Resolves once `index` is applied here. */
  async #applied(index: Index | undefined, deadline: Deadline): Promise<void> {
    const { node } = this.#parts;
    if (index !== undefined && index <= node.appliedIndex) return;
    const reached = index !== undefined && (await node.whenApplied(index, deadline.remainingMs()));
    const fault = reached ? faultOf(node) : lateness(node);
    if (fault !== undefined) throw fault;
  }

  #begin(clock: Clock, timeoutMs: number): Deadline {
    if (this.#state === 'stopped') throw shuttingDown();
    return deadlineAfter(clock, timeoutMs);
  }

  async takeSnapshot(): Promise<SnapshotTaken | undefined> {
    const { clock, requestTimeoutMs } = this.#parts;
    const deadline = this.#begin(clock, requestTimeoutMs);
    return deadline.race(this.#demand().take());
  }

  async backup(): Promise<BackupStream> {
    const index = await this.#fresh('linearizable');
    return this.#demand().backup(index);
  }

  #demand(): SnapshotsOnDemand {
    if (this.#onDemand === undefined || this.#parts.node.isStopped) throw shuttingDown();
    return this.#onDemand;
  }

  /** See `Verification`. What does not get through is of no interest: there will be another mark. */
  attest(command: AttestCommand): void {
    if (this.#state === 'serving') this.#decide(command).catch(() => undefined);
  }

  status(): StatusResponse {
    return this.#parts.report.status();
  }

  clusterStatus(): ClusterStatusResponse {
    return this.#parts.report.cluster();
  }

  async changeCluster(request: ClusterRequest): Promise<ClusterAnswer> {
    if (this.#state === 'stopped') throw shuttingDown();
    return changeCluster(this.#parts, request);
  }

  async leaderMembers(): Promise<MembersReport | undefined> {
    const { node, clock, link, requestTimeoutMs } = this.#parts;
    const { leader } = node.standing;
    if (leader === undefined || leader === node.state.id) return undefined;
    const timeoutMs = Math.min(MEMBERS_TIMEOUT_MS, requestTimeoutMs);
    return deadlineAfter(clock, timeoutMs).race(link.members(leader, timeoutMs));
  }

  health(): HealthResponse {
    return this.#parts.report.health(this.notReady());
  }

  notReady(): string | undefined {
    return this.#state === 'serving' ? this.#parts.report.notReady() : 'the node is shutting down';
  }

  /** This node is no member any more: requests are refused, and clients sent elsewhere. */
  sendAway(leader: LeaderHint | undefined): void {
    this.#successor = leader;
    this.stop();
  }

  leader(): LeaderHint | undefined {
    return this.#successor ?? this.#parts.report.leader();
  }

  membersIndex(): number | undefined {
    return this.#parts.report.membersIndex();
  }

  isLeader(): boolean {
    return this.#parts.node.standing.role === 'leader';
  }

  revision(): number {
    return this.#parts.node.appliedIndex;
  }
}
