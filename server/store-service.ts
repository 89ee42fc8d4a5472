/** The service of a node: routes to the leader, waits, and never longer than the request's time-out. */

import type {
  ClusterStatusResponse,
  Consistency,
  HealthResponse,
  MemberStatus,
  StatusResponse,
} from '../api/types.js';
import type { LeaderHint } from '../api/errors.js';
import { encodeCommand } from '../kv/codec.js';
import type { Command, CommandResult, Write, WriteResult } from '../kv/command.js';
import type { Deadline } from './deadline.js';
import { deadlineAfter } from './deadline.js';
import type { LeaderLink } from './leader-link.js';
import type { Leadership } from './leadership.js';
import { noLeader, shuttingDown } from './leadership.js';
import type { Node } from './node.js';
import type { Clock } from './ports.js';
import type { ReadIndexes } from './read-indexes.js';
import type { Reader } from './reader.js';
import { ServiceError } from './service.js';
import type { ListQuery, ListResult, ReadResult, Service } from './service.js';
import type { StatusReport } from './status.js';
import type { ProposalOutcome } from './waiters.js';

export interface ServiceParts {
  readonly node: Node;
  readonly clock: Clock;
  readonly leadership: Leadership;
  readonly link: LeaderLink;
  readonly readIndexes: ReadIndexes;
  readonly leaseIndexes: ReadIndexes;
  readonly reader: Reader;
  readonly report: StatusReport;
  readonly requestTimeoutMs: number;
  /** What a session that is opened here may do. */
  readonly sessions: { readonly ttlMs: number; readonly max: number };
}

/** A status is asked for when something is wrong: without the leader's word, it comes as this node sees it. */
const MEMBERS_TIMEOUT_MS = 1000;

export class StoreService implements Service {
  readonly #parts: ServiceParts;
  #state: 'serving' | 'leaving' | 'stopped' = 'serving';

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  /** Not ready any more, so that nobody new comes; whoever does is still served. */
  leave(): void {
    this.#state = 'leaving';
  }

  /** From now on new requests are refused as `shutting-down`. */
  stop(): void {
    this.#state = 'stopped';
  }

  async write(write: Write): Promise<WriteResult> {
    const result = await this.#propose(write);
    switch (result.status) {
      case 'session-expired':
        throw new ServiceError(
          'session-expired',
          'the session has expired, or this number was answered and forgotten',
        );
      case 'session-conflict':
        throw new ServiceError('session-conflict', 'this number of the session was used for another write');
      case 'registered':
      case 'sessions-full':
      case 'expired':
        throw new Error(`a write was answered "${result.status}"`);
      default:
        return result;
    }
  }

  async openSession(): Promise<number> {
    const { ttlMs, max } = this.#parts.sessions;
    const result = await this.#propose({ op: 'register', ttlMs, sessionsMax: max });
    if (result.status === 'registered') return result.clientId;
    throw new ServiceError('overloaded', `there are ${max} sessions already (sessions.max)`, {
      retryAfterSeconds: 1,
    });
  }

  async #propose(command: Command): Promise<CommandResult> {
    const { node, clock, leadership, link, requestTimeoutMs } = this.#parts;
    const deadline = this.#begin(clock, requestTimeoutMs);
    const bytes = encodeCommand(command);
    /** Whether an attempt may have been applied. */
    let uncertain = false;
    try {
      for (;;) {
        const leader = await leadership.leader(deadline);
        const sent =
          leader === node.state.id
            ? node.propose(bytes)
            : link.propose(leader, bytes, deadline.remainingMs());
        const outcome = await deadline.race(sent);
        uncertain ||= outcome?.status === 'unresolved';
        const result = settled(outcome, isRepeatable(command));
        if (result !== undefined) return certain(result, uncertain);
        await leadership.settle(deadline);
        if (deadline.remainingMs() === 0) throw noLeader('no leader took the write in time');
      }
    } catch (error) {
      if (!uncertain || !(error instanceof ServiceError) || error.outcome === 'unknown') throw error;
      throw new ServiceError(
        'leadership-lost',
        `${error.message}; an earlier attempt may have been applied`,
        { cause: error },
      );
    }
  }

  async read(keys: readonly string[], consistency: Consistency): Promise<ReadResult> {
    await this.#fresh(consistency);
    return this.#parts.reader.get(keys);
  }

  async list(query: ListQuery, consistency: Consistency): Promise<ListResult> {
    await this.#fresh(consistency);
    return this.#parts.reader.list(query);
  }

  /** Waits until the state machine is as fresh as the read must be. */
  async #fresh(consistency: Consistency): Promise<void> {
    const { node, clock, readIndexes, leaseIndexes, requestTimeoutMs } = this.#parts;
    const deadline = this.#begin(clock, requestTimeoutMs);
    if (consistency === 'stale') return;
    const index = await deadline.race((consistency === 'lease' ? leaseIndexes : readIndexes).get());
    if (index !== undefined && index <= node.appliedIndex) return;
    const reached = index !== undefined && (await node.whenApplied(index, deadline.remainingMs()));
    if (node.isStopped) throw shuttingDown();
    if (!reached) {
      throw new ServiceError('no-quorum', 'the node could not catch up with the leader in time', {
        retryAfterSeconds: 1,
      });
    }
  }

  #begin(clock: Clock, timeoutMs: number): Deadline {
    if (this.#state === 'stopped') throw shuttingDown();
    return deadlineAfter(clock, timeoutMs);
  }

  status(): StatusResponse {
    return this.#parts.report.status();
  }

  clusterStatus(): ClusterStatusResponse {
    return this.#parts.report.cluster();
  }

  async leaderMembers(): Promise<readonly MemberStatus[] | undefined> {
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

  leader(): LeaderHint | undefined {
    return this.#parts.report.leader();
  }

  isLeader(): boolean {
    return this.#parts.node.standing.role === 'leader';
  }

  revision(): number {
    return this.#parts.node.appliedIndex;
  }
}

/** That a session has ended tells nothing of an attempt that went before: then the write stays uncertain. */
function certain(result: CommandResult, uncertain: boolean): CommandResult {
  if (uncertain && result.status === 'session-expired') {
    throw new ServiceError('leadership-lost', 'the session expired before an earlier attempt was confirmed');
  }
  return result;
}

/** A tagged write is applied once however often it is proposed; a session too many only expires. */
function isRepeatable(command: Command): boolean {
  return command.op === 'register' || 'session' in command;
}

/** The result; undefined when the command may be proposed again. Throws what is final. */
function settled(outcome: ProposalOutcome | undefined, repeatable: boolean): CommandResult | undefined {
  switch (outcome?.status) {
    case 'applied':
      return outcome.result;
    case 'displaced':
      return undefined;
    case 'refused':
      if (outcome.why === 'overloaded') {
        throw new ServiceError('overloaded', 'too many writes wait for consensus', { retryAfterSeconds: 1 });
      }
      if (outcome.why === 'stopping') throw shuttingDown();
      return undefined;
    case 'unresolved':
      if (repeatable) return undefined;
      throw new ServiceError(
        'leadership-lost',
        'the leader went before it confirmed the write; it may be applied or not',
      );
    case undefined:
      throw new ServiceError('timeout', 'the write was not confirmed in time; it may be applied or not');
  }
}
