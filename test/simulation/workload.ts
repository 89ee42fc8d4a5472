/** Clients of a simulated cluster: each asks one thing at a time, of any node, and writes down what it was told. */

import { ServiceError } from '../../server/service.js';
import type { Update, UpdateResult, Write } from '../../kv/command.js';
import type { ReadResult } from '../../server/service.js';
import type { StoreService } from '../../server/store-service.js';
import type { Action, Operation, Outcome } from '../linearizability/history.js';
import { Extras } from './extras.js';
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
/** Of how long it waits at most. */
const PATIENCE = [0.2, 1] as const;
const HASTE = [0.01, 0.2] as const;
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

export type Answer<T> =
  | { readonly type: 'done'; readonly value: T }
  | { readonly type: 'failed'; readonly code: string; readonly outcome: 'unknown' | 'not-applied' }
  | { readonly type: 'silence' };

export class Client {
  readonly #name: string;
  readonly #parts: WorkloadParts;
  readonly #open = new Set<() => void>();
  readonly #usesSession: boolean;
  /** It soon asks another node: what it gave up may come late. */
  readonly #isHasty: boolean;
  #clientId: number | undefined;
  /** Of its next write under the session. */
  seq = 0;
  #values = 0;
  #stopped = false;
  /** The revisions it was last told, for conditions. */
  readonly #revisions = new Map<string, number>();
  readonly #extras: Extras;

  constructor(name: string, parts: WorkloadParts) {
    this.#name = name;
    this.#parts = parts;
    this.#usesSession = parts.random.chance(0.5);
    this.#isHasty = parts.random.chance(0.3);
    this.#extras = new Extras({
      ...parts,
      value: () => this.#value(),
      exchange: (ask, then) => this.#exchange(parts.random.pick(parts.hosts), ask, then),
      update: (update, then) => this.#update(update, then),
      note: (operation) => void parts.history.push({ client: name, ...operation }),
      checked: (check) => this.#checked(check),
    });
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
    const needsSession = this.#usesSession && this.#clientId === undefined;
    if (!needsSession && random.chance(0.3)) {
      this.#extras.next(() => this.start());
      return;
    }
    const key = random.pick(KEYS);
    const action = this.#action(key);
    if (action.type === 'get') this.read(random.pick(this.#parts.hosts), key, () => this.start());
    else if (needsSession) this.#register();
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

  /** A write of one key: one operation of the history, that takes effect once. */
  #writeOnce(key: string, action: Exclude<Action, { type: 'get' }>): void {
    const { world, history } = this.#parts;
    const invokeMs = world.nowMs;
    this.#update(commandOf(key, action), (answer) => {
      const outcome = typeof answer === 'string' ? { type: answer } : outcomeOf(answer);
      if ('revision' in outcome) this.#revisions.set(key, outcome.revision ?? 0);
      history.push({ client: this.#name, key, action, outcome, invokeMs, returnMs: world.nowMs });
      this.start();
    });
  }

  /** Once, and under the session, if there is one, sent again until there is a definite answer. */
  #update(update: Update, then: (answer: UpdateAnswer) => void): void {
    const { oracle } = this.#parts;
    const finish =
      (whole: Update) =>
      (answer: UpdateAnswer): void => {
        this.#open.delete(giveUp);
        this.#checked(() => {
          if (typeof answer !== 'string') oracle.replay.checkAnswer(whole, answer);
          else if (answer === 'not-applied' && isUnique(whole)) oracle.replay.checkDenied(whole);
        });
        then(answer);
      };
    let giveUp = (): void => undefined;
    if (this.#clientId === undefined) {
      const settle = finish(update);
      giveUp = () => settle('unknown');
      this.#open.add(giveUp);
      this.#exchange(
        this.#parts.random.pick(this.#parts.hosts),
        (service) => perform(service, update),
        (answer) => {
          if (!this.#open.has(giveUp)) return;
          if (answer.type === 'done') settle(answer.value);
          else settle(answer.type === 'failed' ? answer.outcome : 'unknown');
        },
      );
      return;
    }
    const session = { clientId: this.#clientId, seq: this.seq, lowestPending: this.seq };
    this.seq += 1;
    const whole = { ...update, session };
    const settle = finish(whole);
    giveUp = () => settle('unknown');
    this.#open.add(giveUp);
    this.#repeat(whole, () => this.#open.has(giveUp), settle);
  }

  /** Sent again to other nodes until it has a definite answer. Some answers are doubted although they came, and asked for again. */
  #repeat(whole: Update, isOpen: () => boolean, settle: (answer: UpdateAnswer) => void): void {
    const { world, random, pace } = this.#parts;
    let attempts = 0;
    const attempt = (): void => {
      attempts += 1;
      this.#exchange(
        random.pick(this.#parts.hosts),
        (service) => perform(service, whole),
        (answer) => {
          if (!isOpen()) return;
          const sure = answer.type === 'done' && !random.chance(0.1);
          if (sure) settle(answer.value);
          else if (answer.type === 'failed' && answer.code === 'session-conflict')
            throw new Error(`${this.#name}: number ${whole.session?.seq} conflicts with itself`);
          else if (answer.type === 'failed' && answer.code === 'session-expired') {
            this.#clientId = undefined;
            settle(attempts === 1 ? 'not-applied' : 'unknown');
          } else if (attempts === 1 && answer.type === 'failed' && answer.outcome === 'not-applied')
            settle('not-applied');
          else if (attempts >= ATTEMPTS_MAX || this.#stopped) settle('unknown');
          else world.after(random.between(0, pace.thinkMs), attempt);
        },
        this.#isHasty ? HASTE : PATIENCE,
      );
    };
    attempt();
  }

  #checked(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#parts.fail(error);
    }
  }

  /** One request and its answer, if either arrives. */
  #exchange<T>(
    host: Host,
    ask: (service: StoreService) => Promise<T>,
    then: (answer: Answer<T>) => void,
    [least, most]: readonly [number, number] = PATIENCE,
  ): void {
    const { world, network, random, pace } = this.#parts;
    let over = false;
    const settle = (answer: Answer<T>): void => {
      if (over) return;
      over = true;
      cancel();
      then(answer);
    };
    const givesUpMs = random.between(least, most) * pace.patienceMs;
    const cancel = world.after(givesUpMs, () => settle({ type: 'silence' }));
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

  /** One that was never used before. */
  #value(): string {
    this.#values += 1;
    return `${this.#name}.${this.#values}`;
  }

  #action(key: string): Action {
    const { random } = this.#parts;
    const value = this.#value();
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

  /** Reads a key through `host`, writes down the outcome, then goes on with `then`. */
  read(host: Host, key: string, then: () => void): void {
    const { world, random, history, pace, oracle } = this.#parts;
    const invokeMs = world.nowMs;
    const { committed } = oracle;
    const consistency = random.chance(pace.leaseShare) ? 'lease' : 'linearizable';
    const settle = (outcome: Outcome): void => {
      if (!this.#open.delete(giveUp)) return;
      if ('revision' in outcome) this.#revisions.set(key, outcome.revision ?? 0);
      const action = { type: 'get' } as const;
      history.push({ client: this.#name, key, action, outcome, invokeMs, returnMs: world.nowMs });
      then();
    };
    const giveUp = (): void => settle({ type: 'unknown' });
    this.#open.add(giveUp);
    this.#exchange(
      host,
      (service) => service.read([key], consistency),
      (answer) => {
        if (answer.type === 'done') {
          const what = `a ${consistency} read through ${host.id}`;
          this.#checked(() => oracle.replay.checkReads([key], answer.value, { committed, what }));
          settle(outcomeOfRead(answer.value));
        } else settle({ type: answer.type === 'failed' ? answer.outcome : 'unknown' });
      },
    );
  }
}

function outcomeOfRead({ entries: [entry] }: ReadResult): Outcome {
  return entry === undefined
    ? { type: 'missing' }
    : { type: 'value', value: entry.value.toString(), revision: entry.revision };
}

/** What became of an update, as far as its client knows. */
export type UpdateAnswer = UpdateResult | 'not-applied' | 'unknown';

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

/** Whether no other command is like it: by its session, or by a value that is never used again. */
function isUnique(update: Update): boolean {
  if (update.session !== undefined || update.op === 'set') return true;
  return update.op === 'txn' && update.ops.some(({ op }) => op === 'set');
}

function commandOf(key: string, action: Exclude<Action, { type: 'get' }>): Write {
  const { condition } = action;
  const revision = condition?.type === 'revision' ? { ifRevision: condition.revision } : {};
  if (action.type === 'delete') return { op: 'delete', key, ...revision };
  const absent = condition?.type === 'absent' ? { ifAbsent: true } : {};
  return { op: 'set', key, value: Buffer.from(action.value), ...revision, ...absent };
}

function outcomeOf(result: UpdateResult): Outcome {
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
    default:
      throw new Error(`a write was answered ${result.status}`);
  }
}

/** Only what the product calls certain is certain; any error that is not of its own making fails the run. */
function faultOf(error: unknown): { readonly code: string; readonly outcome: 'unknown' | 'not-applied' } {
  if (!(error instanceof ServiceError)) throw error;
  return { code: error.code, outcome: error.outcome };
}
