/**
 * `quorumkv/testing`: a whole cluster inside the process of a test, on a simulated clock, network and disk. One seed gives one run, the same on
 * every machine, so that a failure can be repeated; thousands of faults fit into a second.
 */

import type { Fault } from '../test/simulation/faults.js';
import { FAULT_KINDS, inject } from '../test/simulation/faults.js';
import type { FaultKind } from '../test/simulation/faults.js';
import { SimulatedCluster as Simulated } from '../test/simulation/cluster.js';
import type { Host } from '../test/simulation/host.js';
import { Random } from '../test/simulation/random.js';
import type { SimulatedKV } from './client.js';
import { simulatedClient } from './client.js';

export { FAULT_KINDS };
export type { FaultKind, SimulatedKV };

export interface SimulationOptions {
  /** A whole number, zero or more; the same one gives the same run. */
  readonly seed: number;
  /** 1 to `NODES_MAX`; default: 3. They are called n1, n2, …. */
  readonly nodes?: number;
  /** What goes wrong by itself, from the beginning until `heal()`; default: nothing. See `docs/SIMULATION.md` for what each one is. */
  readonly faults?: readonly FaultKind[];
  /** Simulated time between two of these, on average; default: 300. */
  readonly faultsEveryMs?: number;
}

export interface SimulatedCluster {
  /** The ids of all nodes. */
  readonly nodes: readonly string[];
  /** Milliseconds since the beginning. */
  readonly nowMs: number;
  /** Of whoever leads, as far as any node knows; undefined: nobody. */
  readonly leader: string | undefined;
  /** A client of its own; what it has in common with the real one behaves the same. */
  client(): SimulatedKV;
  /** Resolves after so much simulated time, while the simulation runs. */
  sleep(ms: number): Promise<void>;
  /** Lets so much simulated time pass. Rejects with whatever the cluster did that it must not. Not to be called while it runs. */
  run(ms: number): Promise<void>;
  /**
   * Runs until `task` has settled, and settles as it does. `task` may wait for calls of its clients and for `sleep`, for nothing real: no
   * timer, no file, no socket. Rejects when that takes longer than `maxMs` of simulated time (default: 60,000).
   */
  until<T>(task: () => Promise<T>, maxMs?: number): Promise<T>;
  /** The process is killed; what it had not synced is lost or not, as chance has it. */
  crash(node: string): void;
  restart(node: string): void;
  /** The process stands still for so long. */
  pause(node: string, ms: number): void;
  /** Nothing passes between nodes of different groups; who is in no group reaches nobody. Clients reach every node. */
  partition(...groups: readonly (readonly string[])[]): void;
  /** One fault of a kind, to a node that chance picks; what it breaks is mended after `durationMs` (default: 200). */
  inject(kind: FaultKind, durationMs?: number): void;
  /** Everything that was broken works again, every node runs, and nothing goes wrong by itself any more. */
  heal(): void;
  /** What happened, a line each; the newest 4,000 at most. */
  log(): readonly string[];
}

export const NODES_MAX = 9;
/** As the product's are by default: no session of a test expires, and no client is one too many. */
const SESSIONS = { ttlMs: 3_600_000, max: 10_000 };
const FAULTS_EVERY_MS = 300;
const FAULT_MS = 200;
const UNTIL_MS_MAX = 60_000;

/** @throws RangeError names the option at fault. */
export function simulateCluster(options: SimulationOptions): SimulatedCluster {
  const { seed, nodes = 3, faults = [], faultsEveryMs = FAULTS_EVERY_MS } = options;
  check('seed', Number.isSafeInteger(seed) && seed >= 0, 'a whole number, zero or more');
  check(
    'nodes',
    Number.isSafeInteger(nodes) && nodes >= 1 && nodes <= NODES_MAX,
    `a whole number from 1 to ${NODES_MAX}`,
  );
  check('faultsEveryMs', faultsEveryMs > 0, 'more than 0');
  for (const kind of faults) check('faults', FAULT_KINDS.includes(kind), `some of ${FAULT_KINDS.join(', ')}`);
  return new Simulation(seed, nodes, faults, faultsEveryMs);
}

function check(option: string, holds: boolean, wanted: string): void {
  if (!holds) throw new RangeError(`simulateCluster: ${option} has to be ${wanted}`);
}

class Simulation implements SimulatedCluster {
  readonly #cluster: Simulated;
  readonly #random: Random;
  #faults: readonly FaultKind[];
  #clients = 0;
  #running = false;

  constructor(seed: number, nodes: number, faults: readonly FaultKind[], faultsEveryMs: number) {
    this.#random = new Random(seed);
    this.#cluster = new Simulated(nodes, this.#random.fork(), { sessions: SESSIONS });
    this.#faults = faults;
    if (faults.length > 0) this.#goWrong(faultsEveryMs, this.#random.fork());
  }

  get nodes(): readonly string[] {
    return this.#cluster.hostList.map(({ id }) => id);
  }

  get nowMs(): number {
    return this.#cluster.world.nowMs;
  }

  get leader(): string | undefined {
    return this.#cluster.leader()?.id;
  }

  client(): SimulatedKV {
    this.#clients += 1;
    return simulatedClient(`client ${this.#clients}`, this.#cluster, this.#random.fork());
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#cluster.world.after(ms, resolve));
  }

  async run(ms: number): Promise<void> {
    await this.#run(this.nowMs + ms, () => false);
  }

  async until<T>(task: () => Promise<T>, maxMs = UNTIL_MS_MAX): Promise<T> {
    let over = false;
    const settled = task().finally(() => (over = true));
    // It is waited for below; if the simulation fails first, nobody does.
    settled.catch(() => undefined);
    if (await this.#run(this.nowMs + maxMs, () => over)) return settled;
    throw new Error(`the task did not end within ${maxMs} simulated ms; something real that it waits for?`);
  }

  async #run(untilMs: number, done: () => boolean): Promise<boolean> {
    if (this.#running) throw new Error('the simulation runs already: one run() or until() at a time');
    this.#running = true;
    try {
      return await this.#cluster.run(untilMs, done);
    } finally {
      this.#running = false;
    }
  }

  crash(node: string): void {
    this.#cluster.crash(this.#host(node));
  }

  restart(node: string): void {
    this.#cluster.restart(this.#host(node));
  }

  pause(node: string, ms: number): void {
    this.#host(node).pause(ms);
  }

  partition(...groups: readonly (readonly string[])[]): void {
    for (const id of groups.flat()) this.#host(id);
    const isTogether = (a: string, b: string): boolean =>
      groups.some((group) => group.includes(a) && group.includes(b));
    for (const a of this.nodes)
      for (const b of this.nodes) if (a !== b && !isTogether(a, b)) this.#cluster.network.cut(a, b);
  }

  inject(kind: FaultKind, durationMs = FAULT_MS): void {
    this.#inject(kind, durationMs, this.#random);
  }

  heal(): void {
    this.#faults = [];
    this.#cluster.heal();
  }

  log(): readonly string[] {
    return this.#cluster.journal.lines();
  }

  #goWrong(everyMs: number, random: Random): void {
    this.#cluster.world.after(random.between(0.2, 1.8) * everyMs, () => {
      if (this.#faults.length === 0) return;
      this.#inject(random.pick(this.#faults), random.between(0.2, 2) * everyMs, random);
      this.#goWrong(everyMs, random);
    });
  }

  #inject(kind: FaultKind, durationMs: number, random: Random): void {
    const { nowMs: atMs } = this;
    const fault: Fault = { atMs, kind, durationMs, roll: random.whole(0, 2 ** 30) };
    inject(this.#cluster, fault, new Random(fault.roll));
  }

  #host(id: string): Host {
    const host = this.#cluster.hostList.find((one) => one.id === id);
    if (host === undefined)
      throw new RangeError(`there is no node ${id}; there are ${this.nodes.join(', ')}`);
    return host;
  }
}
