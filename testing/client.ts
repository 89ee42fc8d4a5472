/**
 * A client of a simulated cluster. It does what the real one does: any node will do, what failed is sent again until the time is up, and
 * writes are under a session, so that they take effect once.
 */

import type { Atomic, CommitResult, KVClient, KVEntry } from 'quorumkv-client';
import {
  ConflictError,
  KVError,
  SessionExpiredError,
  TimeoutError,
  UnavailableError,
  type KVErrorCode,
} from 'quorumkv-client';
import type { Outcome } from '../api/errors.js';
import { ERRORS } from '../api/errors.js';
import type { Check, TxnOp, Update, UpdateResult } from '../kv/command.js';
import { ServiceError } from '../server/service.js';
import type { StoredEntry } from '../server/service.js';
import type { StoreService } from '../server/store-service.js';
import type { SimulatedCluster } from '../test/simulation/cluster.js';
import type { Random } from '../test/simulation/random.js';

/** What an application may be tested with: part of the real client, so that code which takes this takes either. */
export type SimulatedKV = Pick<
  KVClient,
  'get' | 'getEntry' | 'getMany' | 'has' | 'set' | 'delete' | 'deletePrefix' | 'atomic'
>;

/** As the real client's: until a call is given up, all of its attempts included. */
const TIMEOUT_MS = 5000;
/** Until one attempt is. */
const ATTEMPT_MS = 1000;
const BACKOFF_MS = 25;

export function simulatedClient(name: string, cluster: SimulatedCluster, random: Random): SimulatedKV {
  return new Client(name, cluster, random);
}

interface Failure {
  readonly code: KVErrorCode;
  readonly outcome: Outcome;
  readonly retryable: boolean;
  readonly message: string;
}

type Answer<T> = { readonly value: T } | { readonly failure: Failure };

class Client implements SimulatedKV {
  readonly #name: string;
  readonly #cluster: SimulatedCluster;
  readonly #random: Random;
  #session: Promise<number> | undefined;
  #seq = 0;
  readonly #pending = new Set<number>();

  constructor(name: string, cluster: SimulatedCluster, random: Random) {
    this.#name = name;
    this.#cluster = cluster;
    this.#random = random;
  }

  async get(key: string, options: Parameters<SimulatedKV['get']>[1] = {}): Promise<string | undefined> {
    return (await this.getEntry(key, options))?.value;
  }

  async getEntry(
    key: string,
    { consistency = 'linearizable', timeoutMs }: Parameters<SimulatedKV['get']>[1] = {},
  ): Promise<KVEntry | undefined> {
    const read = (service: StoreService) => service.read([key], consistency);
    const { entries } = await this.#call(read, timeoutMs, false);
    return entries[0] && entryOf(entries[0]);
  }

  getMany(
    keys: readonly string[],
    options: Parameters<SimulatedKV['get']>[1] = {},
  ): Promise<(string | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key, options)));
  }

  async has(key: string, options: Parameters<SimulatedKV['get']>[1] = {}): Promise<boolean> {
    return (await this.getEntry(key, options)) !== undefined;
  }

  async set(
    key: string,
    value: string,
    { ttlMs, ifAbsent, ifRevision, timeoutMs }: Parameters<SimulatedKV['set']>[2] = {},
  ): Promise<{ revision: string }> {
    const result = await this.#update(
      {
        op: 'set',
        key,
        value: Buffer.from(value),
        ...(ttlMs !== undefined && { ttlMs }),
        ...(ifAbsent === true && { ifAbsent }),
        ...(ifRevision !== undefined && { ifRevision: Number(ifRevision) }),
      },
      timeoutMs,
    );
    if (result.status === 'set') return { revision: String(result.revision) };
    throw conflict(key, result);
  }

  async delete(
    key: string,
    { ifRevision, timeoutMs }: Parameters<SimulatedKV['delete']>[1] = {},
  ): Promise<boolean> {
    const condition = ifRevision === undefined ? {} : { ifRevision: Number(ifRevision) };
    const result = await this.#update({ op: 'delete', key, ...condition }, timeoutMs);
    if (result.status === 'deleted' || result.status === 'not-found') return result.status === 'deleted';
    throw conflict(key, result);
  }

  async deletePrefix(
    prefix: string,
    { timeoutMs }: Parameters<SimulatedKV['deletePrefix']>[1] = {},
  ): Promise<number> {
    const result = await this.#update({ op: 'delete-prefix', prefix }, timeoutMs);
    if (result.status !== 'prefix-deleted') throw new Error(`a prefix delete was answered ${result.status}`);
    return result.deleted;
  }

  atomic(): Atomic {
    const checks: Check[] = [];
    const ops: TxnOp[] = [];
    const atomic: Atomic = {
      check: (key, revision) => {
        checks.push({ key, revision: Number(revision ?? 0) });
        return atomic;
      },
      set: (key, value, { ttlMs } = {}) => {
        ops.push({ op: 'set', key, value: Buffer.from(value), ...(ttlMs !== undefined && { ttlMs }) });
        return atomic;
      },
      delete: (key) => {
        ops.push({ op: 'delete', key });
        return atomic;
      },
      commit: async ({ timeoutMs } = {}): Promise<CommitResult> => {
        const result = await this.#update({ op: 'txn', checks: [...checks], ops: [...ops] }, timeoutMs);
        if (result.status === 'txn') return { ok: true, revision: String(result.revision) };
        if (result.status !== 'check-failed') throw new Error(`a transaction was answered ${result.status}`);
        return { ok: false, failed: result.failed.map((at) => checks[at]?.key ?? '') };
      },
    };
    return atomic;
  }

  /** Once, however often it is sent (thesis §6.3). A session that was idle for too long is followed by another one. */
  async #update(update: Update, timeoutMs: number | undefined): Promise<UpdateResult> {
    for (;;) {
      const opened = (this.#session ??= this.#open(timeoutMs));
      try {
        return await this.#updateUnder(await opened, update, timeoutMs);
      } catch (error) {
        if (!(error instanceof SessionExpiredError)) throw error;
        if (this.#session === opened) this.#session = undefined;
        if (error.outcome === 'unknown') throw error;
      }
    }
  }

  /** One that could not be opened is asked for again by the next write. */
  async #open(timeoutMs: number | undefined): Promise<number> {
    try {
      return await this.#call((service) => service.openSession(), timeoutMs, false);
    } catch (error) {
      this.#session = undefined;
      throw error;
    }
  }

  async #updateUnder(clientId: number, update: Update, timeoutMs: number | undefined): Promise<UpdateResult> {
    const seq = this.#seq;
    this.#seq += 1;
    this.#pending.add(seq);
    const session = { clientId, seq, lowestPending: Math.min(...this.#pending) };
    const tagged = { ...update, session };
    try {
      return await this.#call((service) => perform(service, tagged), timeoutMs, true);
    } finally {
      this.#pending.delete(seq);
    }
  }

  async #call<T>(
    ask: (service: StoreService) => Promise<T>,
    timeoutMs = TIMEOUT_MS,
    isWrite: boolean,
  ): Promise<T> {
    const { world } = this.#cluster;
    const untilMs = world.nowMs + timeoutMs;
    let uncertain = false;
    for (let attempts = 1; ; attempts += 1) {
      const answer = await this.#attempt(ask, Math.min(ATTEMPT_MS, untilMs - world.nowMs));
      if ('value' in answer) return answer.value;
      const { failure } = answer;
      // That the session is over says nothing of earlier attempts, and that this one did nothing.
      if (isWrite && failure.outcome === 'unknown' && failure.code !== 'session-expired') uncertain = true;
      const outcome = uncertain ? 'unknown' : 'not-applied';
      const waitMs = this.#random.between(0, BACKOFF_MS * Math.min(attempts, 8));
      if (!failure.retryable) throw errorOf({ ...failure, outcome });
      if (world.nowMs + waitMs >= untilMs) throw errorOf({ ...failure, code: 'timeout', outcome });
      await new Promise<void>((resolve) => void world.after(waitMs, resolve));
    }
  }

  #attempt<T>(ask: (service: StoreService) => Promise<T>, timeoutMs: number): Promise<Answer<T>> {
    const { world, network, hostList } = this.#cluster;
    const host = this.#random.pick(hostList);
    return new Promise((resolve) => {
      const cancel = world.after(timeoutMs, () => resolve({ failure: silence(host.id) }));
      const settle = (answer: Answer<T>): void => {
        cancel();
        resolve(answer);
      };
      if (!host.isUp) {
        world.after(1, () => settle({ failure: refused(host.id) }));
        return;
      }
      network.sendOnce(this.#name, host.id, () =>
        host.arrive(({ service }) => {
          const answer = (value: Answer<T>): void =>
            void network.sendOnce(host.id, this.#name, () => settle(value));
          ask(service).then(
            (value) => answer({ value }),
            (error: unknown) => answer({ failure: failureOf(error) }),
          );
        }),
      );
    });
  }
}

function perform(service: StoreService, update: Update): Promise<UpdateResult> {
  switch (update.op) {
    case 'set':
    case 'delete':
      return service.write(update);
    case 'txn':
      return service.transact(update);
    case 'delete-prefix':
      return service.deletePrefix(update);
  }
}

function entryOf({ key, value, revision, ttlMs }: StoredEntry): KVEntry {
  const rest = ttlMs === undefined ? {} : { ttlMs };
  return { key, value: value.toString(), revision: String(revision), ...rest };
}

function silence(node: string): Failure {
  return { code: 'unavailable', outcome: 'unknown', retryable: true, message: `${node} does not answer` };
}

function refused(node: string): Failure {
  return { code: 'unavailable', outcome: 'not-applied', retryable: true, message: `${node} is down` };
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof ServiceError)) throw error;
  const { code, outcome, message } = error;
  return { code, outcome, message, retryable: ERRORS[code].retryable };
}

function conflict(key: string, result: UpdateResult): Error {
  if (result.status !== 'revision-mismatch') return new Error(`a write was answered ${result.status}`);
  const { currentRevision } = result;
  return new ConflictError({
    code: 'revision-mismatch',
    message: `the condition on ${key} does not hold`,
    retryable: false,
    outcome: 'not-applied',
    currentRevision: currentRevision === 0 ? null : String(currentRevision),
  });
}

function errorOf(failure: Failure): KVError {
  switch (failure.code) {
    case 'timeout':
      return new TimeoutError(failure);
    case 'session-expired':
    case 'session-conflict':
      return new SessionExpiredError(failure);
    case 'unavailable':
    case 'leadership-lost':
    case 'shutting-down':
    case 'disk-full':
      return new UnavailableError(failure);
    default:
      return new KVError(failure);
  }
}
