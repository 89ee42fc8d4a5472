/** The cluster of a scenario: everything happens on command, and is told as it happens. */

import type { NodeId } from '../../membership/configuration.js';
import type { Index, Term } from '../../raft/entry.js';
import type { Message } from '../../raft/messages.js';
import type { RaftOptions, RaftState } from '../../raft/state.js';
import { resetElectionTimer } from '../../raft/state.js';
import type { Node } from './toy-node.js';
import { Cluster } from './cluster.js';
import type { Picture } from './scenario-text.js';
import { changesText, messageText, pictureOf, readText } from './scenario-text.js';

/** The luck that makes election time-outs longer than any scenario. */
const PATIENT = 100;
const TICK_MS = 10;
const DELIVERIES_MAX = 1000;

/** What there is before anything happens. */
interface Scene {
  ids: NodeId[];
  readonly learners: NodeId[];
  readonly spares: NodeId[];
  readonly logs: Record<NodeId, readonly Term[]>;
  readonly terms: Record<NodeId, Term>;
  readonly commits: Record<NodeId, Index>;
  raft: Partial<RaftOptions>;
}

export class Stage {
  readonly #setup: Scene = { ids: [], learners: [], spares: [], logs: {}, terms: {}, commits: {}, raft: {} };
  #cluster: Cluster | undefined;
  readonly reads = new Map<string, number>();
  readonly #readStates = new Map<string, string>();
  readonly #pictures = new Map<NodeId, Picture>();
  readonly #cut = new Set<string>();
  #sentTold = 0;
  /** How much was sent when the last command began. */
  #sentBefore = 0;
  #out: string[] = [];

  get setup(): Scene {
    if (this.#cluster !== undefined) throw new Error('the cluster has started already');
    return this.#setup;
  }

  get ids(): readonly NodeId[] {
    return [...this.#setup.ids, ...this.#setup.spares];
  }

  /** Starts at the first command that needs it, and lets the grace after a start pass (thesis §6.4.1). */
  get cluster(): Cluster {
    if (this.#cluster !== undefined) return this.#cluster;
    const { ids } = this.#setup;
    if (ids.length === 0) throw new Error('a scenario begins with "nodes <count>"');
    const cluster = new Cluster({ ...this.#setup, seed: 1 });
    this.#cluster = cluster;
    for (const node of cluster.nodes.values()) {
      this.#makePatient(node);
      for (let ticks = node.raft.state.graceTick; ticks > 0; ticks -= 1) node.raft.tick();
      cluster.pump(node);
    }
    this.#look();
    this.begin();
    return cluster;
  }

  /** A new command; what it leads to is taken by `told`. One that only looks leaves what was just sent as it is. */
  begin(looksOnly = false): void {
    this.#out = [];
    if (!looksOnly) this.#sentBefore = this.#sentTold;
  }

  told(): string[] {
    return this.#out;
  }

  tell(...lines: readonly string[]): void {
    this.#out.push(...lines);
  }

  /** What was sent since the last command began. */
  get justSent(): string[] {
    return this.cluster.sent.slice(this.#sentBefore, this.#sentTold).map(messageText);
  }

  /** Carries out one thing, then tells what was sent and what has changed. */
  do(deed: (cluster: Cluster) => void): void {
    deed(this.cluster);
    this.#look();
  }

  /** The same with something that may be refused; then it tells why. */
  ask(deed: (cluster: Cluster) => string): void {
    let answer = '';
    this.do((cluster) => (answer = deed(cluster)));
    if (answer !== 'taken') this.tell(answer);
  }

  /** Its disk is another one, and empty. */
  wipe(id: NodeId): void {
    this.do((cluster) => cluster.wipe(id));
    this.#pictures.set(id, pictureOf(this.cluster.node(id)));
    this.#makePatient(this.cluster.node(id));
  }

  tick(id: NodeId): void {
    this.do((cluster) => {
      const { raft, up } = cluster.node(id);
      if (up) raft.clock((raft.state.now + 1) * TICK_MS);
      cluster.tick(id);
    });
  }

  /** This node's election time-out ends after so many ticks from now on; whoever is not told campaigns never. */
  timeout(id: NodeId, ticks: number): void {
    const state = this.#changeable(this.cluster.node(id));
    state.electionTick = state.now + ticks;
  }

  /** Delivers what is in flight and wanted, and, with `andMore`, all that follows from it. */
  deliver(wanted: (message: Message) => boolean, { andMore = false, keep = false } = {}): void {
    const { cluster } = this;
    const queue = cluster.network.filter(wanted);
    for (let steps = 0; steps < DELIVERIES_MAX; steps += 1) {
      const message = andMore ? cluster.network.find(wanted) : queue.shift();
      if (message === undefined) return;
      const lost = this.#cut.has(`${message.from}>${message.to}`) || !cluster.node(message.to).up;
      this.tell(`${lost ? '-x' : '->'} ${messageText(message)}`);
      this.do(() => cluster.deliver(cluster.network.indexOf(message), keep));
    }
    throw new Error('the network never settles');
  }

  read(id: NodeId, name: string, lease: boolean): string {
    const { cluster } = this;
    const node = cluster.node(id);
    const number = cluster.reads.size + 1;
    const taken = node.raft.readIndex(number, lease);
    if (taken !== 'taken') return taken;
    cluster.reads.set(number, { node: id, floor: cluster.committedMax, state: 'asked', index: 0 });
    this.reads.set(name, number);
    this.do(() => cluster.pump(node));
    return taken;
  }

  readState(name: string): string {
    const read = this.cluster.reads.get(this.reads.get(name) ?? 0);
    if (read === undefined) throw new Error(`there is no read ${name}`);
    return readText(name, read);
  }

  crash(id: NodeId, how: { readonly written: boolean; readonly stateLost: boolean }): void {
    this.do((cluster) => cluster.crash(id, how));
    this.#pictures.set(id, pictureOf(this.cluster.node(id)));
  }

  restart(id: NodeId): void {
    const { cluster } = this;
    this.#makePatient(cluster.node(id));
    this.do(() => cluster.restart(id));
  }

  partition(groups: readonly (readonly NodeId[])[]): void {
    this.heal();
    const groupOf = (id: NodeId): number => groups.findIndex((group) => group.includes(id));
    for (const a of this.ids) for (const b of this.ids) if (groupOf(a) !== groupOf(b)) this.cut(a, b);
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cut.add(`${from}>${to}`);
    this.cluster.cut(from, to);
  }

  heal(): void {
    this.#cut.clear();
    this.cluster.heal();
  }

  #makePatient(node: Node): void {
    node.luck = PATIENT;
    resetElectionTimer(this.#changeable(node));
  }

  /** Chance is what a scenario leaves out, so it sets by hand what the core would draw. */
  #changeable({ raft }: Node): RaftState {
    return raft.state;
  }

  #look(): void {
    const cluster = this.#cluster;
    if (cluster === undefined) return;
    for (const message of cluster.sent.slice(this.#sentTold)) {
      this.tell(`${messageText(message)}${cluster.lose(message) ? ' (lost)' : ''}`);
    }
    this.#sentTold = cluster.sent.length;
    for (const node of cluster.nodes.values()) {
      const now = pictureOf(node);
      const before = this.#pictures.get(node.id);
      if (before !== undefined) this.tell(...changesText(node.id, before, now));
      this.#pictures.set(node.id, now);
    }
    for (const name of this.reads.keys()) {
      const state = this.readState(name);
      if (this.#readStates.get(name) !== state) this.tell(state);
      this.#readStates.set(name, state);
    }
  }
}
