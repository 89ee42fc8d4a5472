/**
 * What clients ask for beside reads and writes of one key: transactions, prefix deletes, keys that expire, pipelines, listings, and
 * watches. The log, replayed, says what each answer has to be (`replay.ts`).
 */

import type { Check, TxnOp, Update, Write } from '../../kv/command.js';
import { ServiceError } from '../../server/service.js';
import type { PipelineOp, PipelineResult, WatchItem } from '../../server/service.js';
import type { StoreService } from '../../server/store-service.js';
import type { Operation } from '../linearizability/history.js';
import type { Answer, UpdateAnswer, WorkloadParts } from './workload.js';

/** Registers, that the checker of linearizability looks at as well. */
const REGISTERS = ['a', 'b', 'c'];
/** Keys that may expire. */
const MORTALS = ['t/1', 't/2', 't/3'];
const PREFIX = 'x/';
const PREFIXED = ['x/1', 'x/2', 'x/3', 'x/4'];
const OTHERS = [...MORTALS, ...PREFIXED];
/** As is good for runs of two seconds, in which the leader looks for what is over every 100 ms. */
const TTL_MS = [1, 400] as const;
const LIST_LIMIT = 100;

export interface ExtrasParts extends WorkloadParts {
  /** One that was never used before. */
  readonly value: () => string;
  readonly exchange: <T>(
    ask: (service: StoreService) => Promise<T>,
    then: (answer: Answer<T>) => void,
  ) => void;
  readonly update: (update: Update, then: (answer: UpdateAnswer) => void) => void;
  readonly note: (operation: Omit<Operation, 'client'>) => void;
  readonly checked: (check: () => void) => void;
}

export class Extras {
  readonly #parts: ExtrasParts;
  readonly #revisions = new Map<string, number>();
  /** What watches were told since the last event, and what is to hold of it. */
  #told: (() => void)[] = [];

  constructor(parts: ExtrasParts) {
    this.#parts = parts;
  }

  /** Does one of them, then goes on with `then`. */
  next(then: () => void): void {
    const { random, update } = this.#parts;
    const roll = random.next();
    if (roll < 0.25) this.#transact(then);
    else if (roll < 0.3) update({ op: 'delete-prefix', prefix: PREFIX }, then);
    else if (roll < 0.6) update(this.#write(random.pick(OTHERS)), then);
    else if (roll < 0.75) this.#pipeline(then);
    else if (roll < 0.85) this.#list(then);
    else if (roll < 0.95) this.#readMany(then);
    else {
      this.#watch();
      then();
    }
  }

  /** Now and then of a key that expires, and of one that is not there. */
  #write(key: string): Write {
    const { random } = this.#parts;
    if (random.chance(0.15)) return { op: 'delete', key };
    const revision = this.#revisions.get(key);
    const condition = random.chance(0.2) ? { ifRevision: revision ?? 1 } : {};
    return { ...this.#set(key), ...condition };
  }

  #set(key: string): {
    readonly op: 'set';
    readonly key: string;
    readonly value: Buffer;
    readonly ttlMs?: number;
  } {
    const { random, value, oracle, world } = this.#parts;
    const text = value();
    const set = { op: 'set', key, value: Buffer.from(text) } as const;
    if (!MORTALS.includes(key) || random.chance(0.2)) return set;
    const ttlMs = random.whole(...TTL_MS);
    oracle.replay.askedFor(text, ttlMs, world.nowMs);
    return { ...set, ttlMs };
  }

  /** What it writes to registers goes into the history: they are changed at one moment each, at the same one. */
  #transact(then: () => void): void {
    const { random, value, world, note, update } = this.#parts;
    const ops: TxnOp[] = [this.#set(random.pick(OTHERS))];
    const written = REGISTERS.filter(() => random.chance(0.3)).map((key) => ({ key, text: value() }));
    for (const { key, text } of written) ops.push({ op: 'set', key, value: Buffer.from(text) });
    if (random.chance(0.4)) ops.push({ op: 'delete', key: random.pick(OTHERS) });
    if (random.chance(0.5)) ops.push({ op: 'get', key: random.pick([...REGISTERS, ...OTHERS]) });
    const checks: Check[] = [];
    if (random.chance(0.4)) {
      const key = random.pick([...REGISTERS, ...OTHERS]);
      checks.push({ key, revision: this.#revisions.get(key) ?? 0 });
    }
    const invokeMs = world.nowMs;
    update({ op: 'txn', checks, ops }, (answer) => {
      for (const { key, text } of written) {
        const outcome = outcomeOf(answer);
        note({ key, action: { type: 'set', value: text }, outcome, invokeMs, returnMs: world.nowMs });
      }
      then();
    });
  }

  #pipeline(then: () => void): void {
    const { random, exchange, oracle, checked } = this.#parts;
    const ops: PipelineOp[] = Array.from({ length: random.whole(2, 6) }, () => {
      const key = random.pick(OTHERS);
      return random.chance(0.4) ? { op: 'get', key } : this.#write(key);
    });
    const { committed } = oracle;
    exchange(
      (service) => service.pipeline(ops, 'linearizable'),
      (answer) => {
        if (answer.type === 'done') checked(() => this.#checkPipeline(ops, answer.value, committed));
        then();
      },
    );
  }

  #checkPipeline(ops: readonly PipelineOp[], { outcomes }: PipelineResult, committed: number): void {
    const { replay } = this.#parts.oracle;
    ops.forEach((op, at) => {
      const outcome = outcomes[at];
      if (outcome === undefined) throw new Error(`a pipeline says nothing of its operation ${at}`);
      if (outcome.op === 'failed') {
        if (op.op === 'set' && outcome.error.outcome === 'not-applied') replay.checkDenied(op);
      } else if (outcome.op === 'get') replay.checkReadSince(op.key, outcome.entry, committed);
      else if (op.op !== 'get') replay.checkAnswer(op, outcome.result);
    });
  }

  #list(then: () => void): void {
    const { exchange, oracle, checked } = this.#parts;
    const { committed } = oracle;
    const query = { prefix: PREFIX, limit: LIST_LIMIT, reverse: false, keysOnly: false };
    exchange(
      (service) => service.list(query, 'linearizable'),
      (answer) => {
        if (answer.type === 'done')
          checked(() => {
            const { entries, revision } = answer.value;
            oracle.replay.checkReads([], { entries, revision }, { committed, what: 'a listing' });
            oracle.replay.checkList(PREFIX, entries, revision);
          });
        then();
      },
    );
  }

  #readMany(then: () => void): void {
    const { random, exchange, oracle, checked, pace } = this.#parts;
    const { committed } = oracle;
    const keys = [...REGISTERS, ...OTHERS].filter(() => random.chance(0.5));
    const consistency = random.chance(pace.leaseShare) ? 'lease' : 'linearizable';
    exchange(
      (service) => service.read(keys, consistency),
      (answer) => {
        if (answer.type === 'done') {
          const { value } = answer;
          checked(() => oracle.replay.checkReads(keys, value, { committed, what: `a ${consistency} read` }));
          for (const [at, key] of keys.entries()) {
            const { revision } = value.entries[at] ?? {};
            if (revision !== undefined) this.#revisions.set(key, revision);
          }
        }
        then();
      },
    );
  }

  /** Looks on for a while, first through one node, then, from where it was, through another one. */
  #watch(): void {
    const { world, random, hosts, network } = this.#parts;
    const follow = (from: Place | undefined, left: number): void => {
      if (left === 0) return;
      const host = random.pick(hosts);
      const untilMs = world.nowMs + random.between(20, 400);
      let reached = from;
      const tell = (place: Place): void => void (reached = place);
      network.sendOnce('watch', host.id, () =>
        host.arrive(({ service }) => void this.#follow(service, from, untilMs, tell)),
      );
      // Whatever became of it: its node may be gone.
      world.after(untilMs - world.nowMs, () => follow(reached, left - 1));
    };
    follow(undefined, random.whole(1, 3));
  }

  async #follow(
    service: StoreService,
    from: Place | undefined,
    untilMs: number,
    tell: (place: Place) => void,
  ): Promise<void> {
    const { world, checked } = this.#parts;
    let place = from;
    try {
      const items = await service.watch({ prefix: '' }, from && { after: from.revision - 1, n: from.n });
      for await (const item of items) {
        if (world.nowMs >= untilMs) break;
        place = this.#heed(item, place);
        if (place.count > 0) tell(place);
      }
    } catch (error) {
      if (!(error instanceof ServiceError)) checked(() => rethrow(error));
    }
  }

  /** Checked later, when the log was replayed as far as the watch has come. */
  #heed(item: WatchItem, place: Place | undefined): Place {
    const { replay } = this.#parts.oracle;
    if (item.type === 'event') {
      if (place === undefined) throw new Error('a watch does not say where it begins');
      this.#checkSoon(() => replay.checkEvent(place, item));
      return { ...place, count: place.count + 1, revision: item.revision, n: item.n };
    }
    if (place === undefined) return { behind: item.seen, count: 0, revision: 0, n: 0 };
    this.#checkSoon(() => replay.checkSeen(place, item.seen));
    return place;
  }

  #checkSoon(check: () => void): void {
    const { world, checked } = this.#parts;
    this.#told.push(check);
    if (this.#told.length > 1) return;
    world.after(0, () => {
      const told = this.#told;
      this.#told = [];
      for (const one of told) checked(one);
    });
  }
}

/** How far a watch has come: so many events behind a revision; and what was told last. */
interface Place {
  readonly behind: number;
  readonly count: number;
  readonly revision: number;
  readonly n: number;
}

function outcomeOf(answer: UpdateAnswer): Operation['outcome'] {
  if (typeof answer === 'string') return { type: answer };
  if (answer.status === 'txn') return { type: 'written', revision: answer.revision };
  if (answer.status === 'check-failed') return { type: 'not-applied' };
  throw new Error(`a transaction was answered ${answer.status}`);
}

function rethrow(error: unknown): never {
  throw error;
}
