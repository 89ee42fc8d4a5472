/** Clients of a simulated cluster: each asks one thing at a time, of any node, and writes down what it was told. */

import { ServiceError } from '../../server/service.js';
import type { Write, WriteResult } from '../../kv/command.js';
import type { StoreService } from '../../server/store-service.js';
import type { Action, Operation, Outcome } from '../linearizability/history.js';
import type { Host } from './host.js';
import type { Network } from './network.js';
import type { Oracle } from './oracle.js';
import type { Random } from './random.js';
import type { World } from './world.js';

const KEYS = ['a', 'b', 'c'];
/** How clients behave in a run. */
export interface Pace {
  /** A client gives up on an answer after this, at most; it then knows nothing. */
  readonly patienceMs: number;
  /** What it waits between two operations, at most. */
  readonly thinkMs: number;
  /** How many of its reads may be served from a lease. */
  readonly leaseShare: number;
}

/** Until a machine without a process refuses the connection. */
const CONNECT_MS = 1;
/** Of one write under a session. */
const ATTEMPTS_MAX = 20;

export interface WorkloadParts {
  readonly world: World;
  readonly network: Network;
  readonly hosts: readonly Host[];
  readonly random: Random;
  readonly history: Operation[];
  readonly pace: Pace;
  readonly oracle: Oracle;
  /** Something happened that must not. */
  readonly fail: (error: unknown) => void;
}

type Answer<T> =
  | { readonly type: 'done'; readonly value: T }
  | { readonly type: 'failed'; readonly code: string; readonly outcome: 'unknown' | 'not-applied' }
  | { readonly type: 'silence' };

export class Client {
  readonly #name: string;
  readonly #parts: WorkloadParts;
  readonly #open = new Set<() => void>();
  readonly #usesSession: boolean;
  #clientId: number | undefined;
  /** Of its next write under the session. */
  seq = 0;
  #values = 0;
  #stopped = false;
  /** The revisions it was last told, for conditions. */
  readonly #revisions = new Map<string, number>();

  constructor(name: string, parts: WorkloadParts) {
    this.#name = name;
    this.#parts = parts;
    this.#usesSession = parts.random.chance(0.5);
  }

  start(): void {
    const { world, random, pace } = this.#parts;
    world.after(random.between(0, pace.thinkMs), () => this.#next());
  }

  stop(): void {
    this.#stopped = true;
  }

  /** The run is over: what has no answer never will have. */
  finish(): void {
    for (const giveUp of [...this.#open]) giveUp();
  }

  #next(): void {
    if (this.#stopped) return;
    const { random } = this.#parts;
    const key = random.pick(KEYS);
    const action = this.#action(key);
    if (action.type === 'get' || !this.#usesSession)
      this.ask(random.pick(this.#parts.hosts), key, action, () => this.start());
    else if (this.#clientId === undefined) this.#register();
    else this.#writeOnce(key, action);
  }

  /** Until it has a session, or as long as it is told that there can't be one. */
  #register(): void {
    const { random } = this.#parts;
    this.#exchange(
      random.pick(this.#parts.hosts),
      (service) => service.openSession(),
      (answer) => {
        if (answer.type === 'done') this.#clientId = answer.value;
        this.start();
      },
    );
  }

  /**
   * A write under the session, sent again to other nodes until it has a definite answer: one operation of the history,
   * that takes effect once. Some answers are doubted although they came, and asked for again.
   */
  #writeOnce(key: string, action: Exclude<Action, { type: 'get' }>): void {
    const { world, random, history, pace } = this.#parts;
    const invokeMs = world.nowMs;
    const { seq } = this;
    this.seq += 1;
    const session = { clientId: this.#clientId ?? 0, seq, lowestPending: seq };
    let attempts = 0;
    const finish = (outcome: Outcome): void => {
      this.#open.delete(giveUp);
      if ('revision' in outcome) this.#revisions.set(key, outcome.revision ?? 0);
      history.push({ client: this.#name, key, action, outcome, invokeMs, returnMs: world.nowMs });
      this.start();
    };
    const giveUp = (): void => finish({ type: 'unknown' });
    this.#open.add(giveUp);
    const attempt = (): void => {
      attempts += 1;
      const write = { ...commandOf(key, action), session };
      this.#exchange(
        random.pick(this.#parts.hosts),
        (service) => service.write(write),
        (answer) => {
          if (!this.#open.has(giveUp)) return;
          const sure = answer.type === 'done' && !random.chance(0.1);
          if (sure) finish(outcomeOf(answer.value));
          else if (answer.type === 'failed' && answer.code === 'session-conflict')
            throw new Error(`${this.#name}: number ${seq} conflicts with itself`);
          else if (answer.type === 'failed' && answer.code === 'session-expired') {
            this.#clientId = undefined;
            finish(attempts === 1 ? { type: 'not-applied' } : { type: 'unknown' });
          } else if (attempts === 1 && answer.type === 'failed' && answer.outcome === 'not-applied')
            finish({ type: 'not-applied' });
          else if (attempts >= ATTEMPTS_MAX || this.#stopped) giveUp();
          else world.after(random.between(0, pace.thinkMs), attempt);
        },
      );
    };
    attempt();
  }

  /** One request and its answer, if either arrives. */
  #exchange<T>(
    host: Host,
    ask: (service: StoreService) => Promise<T>,
    then: (answer: Answer<T>) => void,
  ): void {
    const { world, network, random, pace } = this.#parts;
    let over = false;
    const settle = (answer: Answer<T>): void => {
      if (over) return;
      over = true;
      cancel();
      then(answer);
    };
    const cancel = world.after(random.between(0.2, 1) * pace.patienceMs, () => settle({ type: 'silence' }));
    if (!host.isUp) {
      world.after(CONNECT_MS, () => settle({ type: 'failed', code: 'unavailable', outcome: 'not-applied' }));
      return;
    }
    network.sendOnce(this.#name, host.id, () =>
      host.arrive(({ service }) => {
        const answer = (value: Answer<T>): void =>
          void network.sendOnce(host.id, this.#name, () => settle(value));
        ask(service).then(
          (value) => answer({ type: 'done', value }),
          (error: unknown) => answer({ type: 'failed', ...faultOf(error) }),
        );
      }),
    );
  }

  #action(key: string): Action {
    const { random } = this.#parts;
    this.#values += 1;
    const value = `${this.#name}.${this.#values}`;
    const revision = this.#revisions.get(key);
    const condition =
      random.chance(0.5) && revision !== undefined
        ? ({ type: 'revision', revision } as const)
        : ({ type: 'absent' } as const);
    const roll = random.next();
    if (roll < 0.45) return { type: 'get' };
    if (roll < 0.8) return { type: 'set', value };
    if (roll < 0.9) return { type: 'set', value, condition };
    return { type: 'delete' };
  }

  /** Asks `host`, writes down the outcome, then goes on with `then`. */
  ask(host: Host, key: string, action: Action, then: () => void): void {
    const { world, network, random, history, pace, oracle, fail } = this.#parts;
    const invokeMs = world.nowMs;
    const committed = oracle.committed;
    const settle = (outcome: Outcome): void => {
      if (!this.#open.has(giveUp)) return;
      cancel();
      this.#open.delete(giveUp);
      if ('revision' in outcome) this.#revisions.set(key, outcome.revision);
      history.push({ client: this.#name, key, action, outcome, invokeMs, returnMs: world.nowMs });
      then();
    };
    const giveUp = (): void => settle({ type: 'unknown' });
    const cancel = world.after(random.between(0.2, 1) * pace.patienceMs, giveUp);
    this.#open.add(giveUp);
    const consistency = random.chance(pace.leaseShare) ? 'lease' : 'linearizable';
    if (!host.isUp) {
      world.after(CONNECT_MS, () => settle({ type: 'not-applied' }));
      return;
    }
    network.sendOnce(this.#name, host.id, () =>
      host.arrive(({ service }) => {
        const answer = (outcome: Outcome): void =>
          void network.sendOnce(host.id, this.#name, () => settle(outcome));
        const asked =
          action.type === 'get'
            ? service.read([key], consistency).then(({ entries: [entry], revision }): Outcome => {
                // Whatever the key: the store as a whole is not older than what was committed before (§8).
                if (revision < committed)
                  fail(
                    new Error(
                      `a ${consistency} read through ${host.id} reflects ${revision}, but ${committed} was committed before it`,
                    ),
                  );
                return entry === undefined
                  ? { type: 'missing' }
                  : { type: 'value', value: entry.value.toString(), revision: entry.revision };
              })
            : service.write(commandOf(key, action)).then(outcomeOf);
        asked.then(answer, (error: unknown) => answer(failureOf(error)));
      }),
    );
  }
}

function commandOf(key: string, action: Exclude<Action, { type: 'get' }>): Write {
  const { condition } = action;
  const revision = condition?.type === 'revision' ? { ifRevision: condition.revision } : {};
  if (action.type === 'delete') return { op: 'delete', key, ...revision };
  const absent = condition?.type === 'absent' ? { ifAbsent: true } : {};
  return { op: 'set', key, value: Buffer.from(action.value), ...revision, ...absent };
}

function outcomeOf(result: WriteResult): Outcome {
  switch (result.status) {
    case 'set':
      return { type: 'written', revision: result.revision };
    case 'deleted':
      return { type: 'deleted', revision: result.revision };
    case 'not-found':
      return { type: 'not-found' };
    case 'revision-mismatch':
      return {
        type: 'mismatch',
        currentRevision: result.currentRevision === 0 ? null : result.currentRevision,
      };
  }
}

/** Only what the product calls certain is certain; any error that is not of its own making fails the run. */
function failureOf(error: unknown): Outcome {
  if (!(error instanceof ServiceError)) throw error;
  return error.outcome === 'not-applied' ? { type: 'not-applied' } : { type: 'unknown' };
}

function faultOf(error: unknown): { readonly code: string; readonly outcome: 'unknown' | 'not-applied' } {
  if (!(error instanceof ServiceError)) throw error;
  return { code: error.code, outcome: error.outcome };
}
