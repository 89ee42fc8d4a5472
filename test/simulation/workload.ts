/** Clients of a simulated cluster: each asks one thing at a time, of any node, and writes down what it was told. */

import { ServiceError } from '../../server/service.js';
import type { Command } from '../../kv/command.js';
import type { Action, Operation, Outcome } from '../linearizability/history.js';
import type { Host } from './host.js';
import type { Network } from './network.js';
import type { Random } from './random.js';
import type { World } from './world.js';

const KEYS = ['a', 'b', 'c'];
/** A client gives up on an answer after this, at most; it then knows nothing. */
const PATIENCE_MS = 2500;
const THINK_MS = 40;

export interface WorkloadParts {
  readonly world: World;
  readonly network: Network;
  readonly hosts: readonly Host[];
  readonly random: Random;
  readonly history: Operation[];
}

export class Client {
  readonly #name: string;
  readonly #parts: WorkloadParts;
  readonly #open = new Set<() => void>();
  #values = 0;
  #stopped = false;
  /** The revisions it was last told, for conditions. */
  readonly #revisions = new Map<string, number>();

  constructor(name: string, parts: WorkloadParts) {
    this.#name = name;
    this.#parts = parts;
  }

  start(): void {
    const { world, random } = this.#parts;
    world.after(random.between(0, THINK_MS), () => this.#next());
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
    this.ask(random.pick(this.#parts.hosts), key, this.#action(key), () => this.start());
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
    const { world, network, random, history } = this.#parts;
    const invokeMs = world.nowMs;
    const settle = (outcome: Outcome): void => {
      if (!this.#open.has(giveUp)) return;
      cancel();
      this.#open.delete(giveUp);
      if ('revision' in outcome) this.#revisions.set(key, outcome.revision);
      history.push({ client: this.#name, key, action, outcome, invokeMs, returnMs: world.nowMs });
      then();
    };
    const giveUp = (): void => settle({ type: 'unknown' });
    const cancel = world.after(random.between(0.2, 1) * PATIENCE_MS, giveUp);
    this.#open.add(giveUp);
    const consistency = random.chance(0.3) ? 'lease' : 'linearizable';
    network.sendOnce(this.#name, host.id, () =>
      host.arrive(({ service }) => {
        const answer = (outcome: Outcome): void =>
          void network.sendOnce(host.id, this.#name, () => settle(outcome));
        const asked =
          action.type === 'get'
            ? service
                .read([key], consistency)
                .then(({ entries: [entry] }): Outcome =>
                  entry === undefined
                    ? { type: 'missing' }
                    : { type: 'value', value: entry.value.toString(), revision: entry.revision },
                )
            : service.propose(commandOf(key, action)).then(outcomeOf);
        asked.then(answer, (error: unknown) => answer(failureOf(error)));
      }),
    );
  }
}

function commandOf(key: string, action: Exclude<Action, { type: 'get' }>): Command {
  const { condition } = action;
  const revision = condition?.type === 'revision' ? { ifRevision: condition.revision } : {};
  if (action.type === 'delete') return { op: 'delete', key, ...revision };
  const absent = condition?.type === 'absent' ? { ifAbsent: true } : {};
  return { op: 'set', key, value: Buffer.from(action.value), ...revision, ...absent };
}

function outcomeOf(result: Awaited<ReturnType<NonNullable<Host['service']>['propose']>>): Outcome {
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
