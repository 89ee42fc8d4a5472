/** A store of one node in memory, so that HTTP can be tested without consensus. */

import { Readable } from 'node:stream';
import type { LeaderHint } from '../../../api/errors.js';
import type { Consistency, HealthResponse, StatusResponse } from '../../../api/types.js';
import type { TxnCommand, TxnOp, TxnOpResult, Update, Write, WriteResult } from '../../../kv/command.js';
import type {
  ListQuery,
  ListResult,
  LogLine,
  PipelineOp,
  PipelineOutcome,
  ReadResult,
  Service,
  StoredEntry,
  WatchItem,
  WatchQuery,
} from '../../../server/service.js';
import type { ClusterAnswer, ClusterRequest } from '../../../server/members/request.js';
import { ServiceError } from '../../../server/service.js';

export interface MemoryService extends Service {
  readonly proposed: Update[];
  readonly pipelines: (readonly PipelineOp[])[];
  readonly lines: LogLine[];
  readonly watched: { query: WatchQuery; from: { after: number; n: number } | undefined }[];
  readonly items: WatchItem[];
  readonly reads: Consistency[];
  readonly lists: ListQuery[];
  readonly store: Map<string, StoredEntry>;
  readonly clusterRequests: ClusterRequest[];
  clusterAnswer: ClusterAnswer;
  leading: boolean;
  leaderHint: LeaderHint | undefined;
  unreadyReason: string | undefined;
  /** What the next propose, read or list rejects with. */
  failure: unknown;
  /** Each propose waits for this first. */
  gate: Promise<void>;
}

export function memoryService(): MemoryService {
  let index = 1;
  const store = new Map<string, StoredEntry>();

  const apply = (command: Write): WriteResult => {
    const revision = ++index;
    const currentRevision = store.get(command.key)?.revision ?? 0;
    const absentWanted = command.op === 'set' && command.ifAbsent === true;
    if (command.ifRevision !== undefined && command.ifRevision !== currentRevision) {
      return { status: 'revision-mismatch', currentRevision };
    }
    if (absentWanted && currentRevision !== 0) return { status: 'revision-mismatch', currentRevision };
    if (command.ifPresent === true && currentRevision === 0)
      return { status: 'revision-mismatch', currentRevision };
    if (command.op === 'delete') {
      return { status: store.delete(command.key) ? 'deleted' : 'not-found', revision };
    }
    put(command, revision);
    return { status: 'set', revision };
  };

  const put = (op: TxnOp & { op: 'set' }, revision: number): void => {
    const { key, value, ttlMs } = op;
    store.set(key, { key, value: Buffer.from(value), revision, ...(ttlMs !== undefined && { ttlMs }) });
  };

  const applyOp = (op: TxnOp, revision: number): TxnOpResult => {
    const entry = store.get(op.key);
    if (op.op === 'delete') return { status: store.delete(op.key) ? 'deleted' : 'not-found' };
    if (op.op === 'get') return entry === undefined ? { status: 'missing' } : { status: 'got', ...entry };
    put(op, revision);
    return { status: 'set' };
  };

  const transact = ({ checks, ops }: TxnCommand): Awaited<ReturnType<Service['transact']>> => {
    const revision = ++index;
    const failed = checks.flatMap((check, at) =>
      (store.get(check.key)?.revision ?? 0) === check.revision ? [] : [at],
    );
    if (failed.length > 0) return { status: 'check-failed', failed };
    return { status: 'txn', revision, results: ops.map((op) => applyOp(op, revision)) };
  };

  const runOne = (op: PipelineOp): PipelineOutcome => {
    if (op.op === 'get') return { op: 'get', entry: store.get(op.key) };
    if (op.key === 'refused')
      return { op: 'failed', error: new ServiceError('overloaded', 'too much', { retryAfterSeconds: 1 }) };
    return { op: op.op, result: apply(op) };
  };

  const service: MemoryService = {
    proposed: [],
    pipelines: [],
    lines: [],
    clusterRequests: [],
    clusterAnswer: { status: 'done' },
    watched: [],
    items: [],
    reads: [],
    lists: [],
    store,
    leading: true,
    leaderHint: { id: 'n1', http: '127.0.0.1:8080' },
    unreadyReason: undefined,
    failure: undefined,
    gate: Promise.resolve(),
    openSession: () => answer(() => ++index),
    async write(command) {
      throwFailure();
      service.proposed.push(command);
      await service.gate;
      return apply(command);
    },
    async transact(txn) {
      throwFailure();
      service.proposed.push(txn);
      await service.gate;
      return transact(txn);
    },
    deletePrefix: (command) =>
      answer(() => {
        service.proposed.push(command);
        const keys = [...store.keys()].filter((key) => key.startsWith(command.prefix));
        for (const key of keys) store.delete(key);
        return { status: 'prefix-deleted', revision: ++index, deleted: keys.length };
      }),
    pipeline: (ops, consistency) =>
      answer(() => {
        service.pipelines.push(ops);
        if (ops.some(({ op }) => op === 'get')) service.reads.push(consistency);
        return { outcomes: ops.map(runOne), revision: index };
      }),
    watch: (query, from) =>
      answer(async function* () {
        service.watched.push({ query, from });
        await Promise.resolve();
        yield* service.items;
      }),
    log: (limit) => answer(() => service.lines.slice(0, limit)),
    read(keys, consistency): Promise<ReadResult> {
      return answer(() => {
        service.reads.push(consistency);
        return { entries: keys.map((key) => store.get(key)), revision: index };
      });
    },
    list(query, consistency): Promise<ListResult> {
      return answer(() => {
        service.reads.push(consistency);
        service.lists.push(query);
        return { ...page([...store.values()], query), revision: index };
      });
    },
    status: () => status(service, index),
    takeSnapshot: () => answer(() => ({ id: 'snap', index, term: 1, bytes: 4 })),
    backup: () =>
      answer(() => ({ id: 'snap', index, term: 1, bytes: 4, data: Readable.from([Buffer.from('snap')]) })),
    clusterStatus: () => ({ ...status(service, index), members: [], waitingFor: null }),
    changeCluster: (request) =>
      answer(() => {
        service.clusterRequests.push(request);
        return service.clusterAnswer;
      }),
    leaderMembers: () => Promise.resolve(undefined),
    health: (): HealthResponse => ({
      status: service.unreadyReason === undefined ? 'healthy' : 'unhealthy',
      keys: store.size,
      role: service.leading ? 'leader' : 'follower',
      leader: service.leaderHint?.id ?? null,
      ...(service.unreadyReason !== undefined && { reason: service.unreadyReason }),
    }),
    notReady: () => service.unreadyReason,
    leader: () => service.leaderHint,
    membersIndex: () => 1,
    isLeader: () => service.leading,
    revision: () => index,
  };

  function throwFailure(): void {
    const { failure } = service;
    service.failure = undefined;
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- the test decides what the service fails with
    if (failure !== undefined) throw failure;
  }
  async function answer<T>(work: () => T): Promise<T> {
    throwFailure();
    await Promise.resolve();
    return work();
  }
  return service;
}

function page(all: readonly StoredEntry[], query: ListQuery): Omit<ListResult, 'revision'> {
  const { prefix = '', start = '', end, after, limit, reverse } = query;
  const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const found = all
    .filter(({ key }) => key.startsWith(prefix) && compare(key, start) >= 0)
    .filter(({ key }) => end === undefined || compare(key, end) < 0)
    .toSorted((a, b) => compare(a.key, b.key) * (reverse ? -1 : 1))
    .filter(({ key }) => after === undefined || compare(key, after) * (reverse ? -1 : 1) > 0);
  return { entries: found.slice(0, limit), more: found.length > limit };
}

function status(service: MemoryService, index: number): StatusResponse {
  return {
    id: 'n1',
    state: service.leading ? 'LEADER' : 'FOLLOWER',
    role: service.leading ? 'leader' : 'follower',
    term: 1,
    currentTerm: 1,
    leader: service.leaderHint ?? null,
    leaderId: service.leaderHint?.id ?? null,
    isLeader: service.leading,
    commitIndex: index,
    lastApplied: index,
    lastLogIndex: index,
    firstLogIndex: 1,
    cluster: 'test',
    clusterId: null,
    version: '0.0.0',
    addresses: { raft: 'localhost:3', rpc: 'localhost:2', http: 'localhost:1' },
    uptimeMs: 1,
    snapshot: null,
    snapshots: [],
  };
}
