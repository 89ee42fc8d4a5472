/**
 * A few cores, their toy disks and a network, driven by hand: everything happens when a test says so, one step at a
 * time, and every invariant is checked after each. What a core sends is held against its disk (a promise must be
 * durable before it leaves).
 */

import type { NodeId } from '../../membership/configuration.js';
import type { Change } from '../../membership/change.js';
import { invariant } from '../../raft/assert.js';
import type { Entry, Index, Snapshot, Term } from '../../raft/entry.js';
import { ClusterInvariants } from '../../raft/invariants.js';
import type { Message } from '../../raft/messages.js';
import type { Proposed } from '../../raft/raft.js';
import { Raft } from '../../raft/raft.js';
import type { Committed, Ready } from '../../raft/ready.js';
import { OPTIONS, bytes, entriesOf, prng, runsOf } from './tools.js';
import type { Node, Read, Setup } from './toy-node.js';
import {
  answerFetches,
  checkPromise,
  configurationsOf,
  emptyDisk,
  entryOf,
  firstOf,
  lastOf,
  loseEntries,
  mayPass,
  observed,
  recover,
  replaceDisk,
  toDisk,
} from './toy-node.js';
import type { SentSnapshots } from './toy-snapshots.js';
import { carryOut, chunkOf, compactTo, takeSnapshot } from './toy-snapshots.js';

export class Cluster {
  readonly nodes = new Map<NodeId, Node>();
  /** In flight, oldest first. */
  readonly network: Message[] = [];
  /** Everything that was ever sent, for assertions. */
  readonly sent: Message[] = [];
  /** What a client was told is done. */
  readonly acknowledged: Entry[] = [];
  readonly reads = new Map<number, Read>();
  /** Messages to lose when they are sent; to hold back when messages are delivered. */
  lose: (message: Message) => boolean = () => false;
  hold: (message: Message) => boolean = () => false;
  /** The highest index ever seen committed. */
  committedMax: Index = 0;
  readonly random: () => number;
  readonly #invariants = new ClusterInvariants();
  readonly #setup: Setup;
  readonly #first: Snapshot;
  readonly #cut = new Set<string>();
  /** Every snapshot that was ever sent, by its file. */
  readonly #snapshotsSent: SentSnapshots = new Map();
  #inTurn = false;

  constructor(setup: Setup = {}) {
    this.#setup = setup;
    this.random = prng(setup.seed ?? 1);
    const { ids = ['a', 'b', 'c'], learners = [], spares = [] } = setup;
    this.#first = firstOf(ids, learners);
    for (const id of [...ids, ...spares]) {
      const entries = entriesOf(setup.logs?.[id] ?? []);
      const term = setup.terms?.[id] ?? entries.at(-1)?.term ?? 0;
      const hardState = { term, vote: undefined, commit: setup.commits?.[id] ?? 0 };
      const rest = {
        writing: undefined,
        diskHeld: false,
        fetches: [],
        transfers: new Map(),
        applied: [],
        refusals: [],
        luck: undefined,
      };
      const disk = { ...emptyDisk(this.#first), hardState, entries };
      const partial = {
        id,
        incarnation: `${id}-1`,
        up: true,
        disk,
        waiting: new Map<Index, Term>(),
        ...rest,
      };
      this.nodes.set(id, Object.assign(partial, { raft: this.#boot(partial, Infinity) }));
    }
    this.observe();
  }

  node(id: NodeId): Node {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  state(id: NodeId): Raft['state'] {
    return this.node(id).raft.state;
  }

  /** The leader of the highest term among the nodes that are up. */
  get leader(): Node | undefined {
    return [...this.nodes.values()]
      .filter((node) => node.up && node.raft.state.current.role === 'leader')
      .sort((a, b) => b.raft.state.term - a.raft.state.term)[0];
  }

  /** Many inputs in one turn of the loop: what they lead to is carried out only afterwards. */
  turn(deed: () => void): void {
    this.#inTurn = true;
    deed();
    this.#inTurn = false;
    for (const node of this.nodes.values()) if (node.up) this.pump(node);
  }

  /** Carries out what the core wants done, in the order of `raft/ready.ts`, until it wants nothing more. */
  pump(node: Node): void {
    if (this.#inTurn) this.observe();
    for (let again = !this.#inTurn; again;) {
      const ready = node.raft.ready();
      for (const message of ready.messages) this.#send(node, message);
      if (ready.append !== undefined) {
        invariant(node.writing === undefined, `node ${node.id} has two appends out`);
        node.writing = ready.append;
        if (!node.diskHeld) this.#write(node);
      }
      if (ready.committed !== undefined) this.#apply(node, ready.committed);
      this.#answer(node, ready);
      node.refusals.push(...ready.refusals);
      node.fetches.push(...ready.fetches);
      if (!node.diskHeld) answerFetches(node);
      const moved = carryOut(node, ready, this.#snapshotsSent);
      this.observe();
      again =
        moved || ready.append !== undefined || ready.committed !== undefined || ready.fetches.length > 0;
    }
  }

  tick(id: NodeId, count = 1): void {
    const node = this.node(id);
    for (let i = 0; i < count && node.up; i += 1) {
      node.raft.tick();
      this.pump(node);
    }
  }

  /** Hands a message to its addressee, whether it came through the network or was made up by a test. */
  step(message: Message): void {
    const node = this.nodes.get(message.to);
    if (node?.up !== true || !mayPass(this.nodes.get(message.from), node)) return;
    node.raft.step(message);
    this.pump(node);
  }

  /** Asks the leader for a change; what it said when it did not take it. */
  change(id: NodeId, change: Change): string {
    const node = this.node(id);
    const taken = node.raft.change(change);
    this.pump(node);
    return 'why' in taken ? taken.why : 'taken';
  }

  /** Adds a node as it is now. */
  add(leader: NodeId, id: NodeId): string {
    const addresses = { raft: `${id}:1`, rpc: `${id}:2`, http: `${id}:3` };
    return this.change(leader, {
      type: 'add',
      member: { id, incarnation: this.node(id).incarnation, ...addresses },
    });
  }

  /** Its disk is another one, and empty. */
  wipe(id: NodeId): void {
    const node = this.node(id);
    this.crash(id);
    replaceDisk(node);
    node.raft = this.#boot(node, Infinity);
    this.#invariants.forget(id);
  }

  /** Delivers the message at `at` of those in flight; `keep` leaves a duplicate behind. */
  deliver(at = 0, keep = false): void {
    const message = this.network[at];
    if (message === undefined) return;
    if (!keep) this.network.splice(at, 1);
    if (!this.#cut.has(`${message.from}>${message.to}`)) this.step(message);
  }

  /** Delivers in order until nothing is in flight but what `hold` keeps. */
  settle(): void {
    for (let steps = 0; ; steps += 1) {
      invariant(steps < 100_000, 'the network never settles');
      const at = this.network.findIndex((message) => !this.hold(message));
      if (at < 0) return;
      this.deliver(at);
    }
  }

  /** So many ticks of everyone, the network settling after each. */
  run(ticks: number): void {
    for (let i = 0; i < ticks; i += 1) {
      for (const id of this.nodes.keys()) {
        this.tick(id);
        this.sendAgain(id);
      }
      this.settle();
    }
  }

  /** Lets time pass until `id` leads; the others' requests are lost meanwhile. */
  elect(id: NodeId): void {
    const { lose } = this;
    const requests = ['preVote', 'heartbeat', 'appendEntries'];
    this.lose = (message) => lose(message) || (message.from !== id && requests.includes(message.type));
    for (const node of this.nodes.values()) node.luck = node.id === id ? 0 : 0.999;
    for (let i = 0; i < 200 && this.state(id).current.role !== 'leader'; i += 1) this.run(1);
    for (const node of this.nodes.values()) node.luck = undefined;
    this.lose = lose;
    invariant(this.state(id).current.role === 'leader', `${id} is not elected`);
  }

  propose(id: NodeId, ...commands: string[]): Proposed {
    const node = this.node(id);
    const proposed = node.raft.propose(commands.map(bytes));
    if (typeof proposed !== 'string')
      commands.forEach((_, offset) => node.waiting.set(proposed.firstIndex + offset, proposed.term));
    this.pump(node);
    return proposed;
  }

  read(id: NodeId): number | string {
    const node = this.node(id);
    const read = this.reads.size + 1;
    const taken = node.raft.readIndex(read);
    if (taken !== 'taken') return taken;
    this.reads.set(read, { node: id, floor: this.committedMax, state: 'asked', index: 0 });
    this.pump(node);
    return read;
  }

  /** The disk is done with the append that is out, and with what was to be read. */
  sync(id: NodeId): void {
    const node = this.node(id);
    if (node.writing !== undefined) this.#write(node);
    answerFetches(node);
    this.pump(node);
  }

  /** A snapshot of what is applied; the log begins behind `index`, or goes on as it is. */
  snapshot(id: NodeId, index?: Index): void {
    const node = this.node(id);
    takeSnapshot(node);
    if (index === undefined) return;
    compactTo(node, index);
    this.pump(node);
  }

  /** The snapshots that are on their way from `id`, sent again: they may be lost. */
  sendAgain(id: NodeId): void {
    const node = this.node(id);
    if (!node.up) return;
    for (const [to, { term, snapshot }] of node.transfers)
      if (node.raft.state.term === term) node.raft.sendChunk(to, snapshot, chunkOf(node.id, snapshot));
    this.pump(node);
  }

  holdDisk(id: NodeId, held = true): void {
    this.node(id).diskHeld = held;
    if (!held) this.sync(id);
  }

  /**
   * Everything volatile is gone. `written`: the append that was out reached the disk, only nobody was told. `appliedLost`:
   * so many of the last applied entries are not in the state any more; `stateLost`: none of it is, the snapshot included. `entriesLost`: so many of the log's last entries are gone from the disk. `tail`: so many
   * entries are in memory afterwards.
   */
  crash(
    id: NodeId,
    { written = false, appliedLost = 0, stateLost = false, entriesLost = 0, tail = Infinity } = {},
  ): void {
    const node = this.node(id);
    if (written && node.writing !== undefined) toDisk(node, node.writing);
    node.applied.length = stateLost ? 0 : Math.max(0, node.applied.length - appliedLost);
    if (stateLost) node.disk.snapshot = undefined;
    loseEntries(node.disk, entriesLost);
    for (const read of this.reads.values())
      if (read.node === id && (read.state === 'asked' || read.state === 'confirmed')) read.state = 'lost';
    const nothing = {
      writing: undefined,
      fetches: [],
      transfers: new Map(),
      waiting: new Map<Index, Term>(),
    };
    Object.assign(node, { up: false, ...nothing });
    node.raft = this.#boot(node, tail);
    this.observe(new Set([id]));
  }

  restart(id: NodeId): void {
    this.node(id).up = true;
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Cuts everyone off from everyone outside of its own group. */
  partition(...groups: (readonly NodeId[])[]): void {
    this.heal();
    const groupOf = (id: NodeId): number => groups.findIndex((group) => group.includes(id));
    for (const a of this.nodes.keys())
      for (const b of this.nodes.keys()) if (a !== b && groupOf(a) !== groupOf(b)) this.cut(a, b);
  }

  heal(): void {
    this.#cut.clear();
  }

  observe(restarted?: ReadonlySet<NodeId>): void {
    this.#invariants.observe([...this.nodes.values()].map(observed), restarted);
    for (const { raft } of this.nodes.values())
      this.committedMax = Math.max(this.committedMax, raft.state.log.commit);
  }

  #boot(node: Pick<Node, 'id' | 'disk' | 'applied' | 'luck'>, tail: number): Raft {
    const { disk, applied } = node;
    const { raft } = this.#setup;
    const random = (): number => this.nodes.get(node.id)?.luck ?? this.random();
    recover(node);
    const { lostEnd } = disk;
    return new Raft(
      { ...OPTIONS, ...raft, id: node.id, random },
      {
        hardState: disk.hardState,
        log: {
          base: { index: disk.base.index, term: disk.base.term },
          termRuns: runsOf(disk.entries),
          lastIndex: lastOf(disk),
          tail: disk.entries.slice(Math.max(0, disk.entries.length - tail)),
          applied: applied.length,
        },
        ...(lostEnd && { lostEnd }),
        configurations: configurationsOf(disk.base, disk.entries),
      },
    );
  }

  #send(node: Node, message: Message): void {
    invariant(message.from === node.id, `node ${node.id} sends as ${message.from}`);
    checkPromise(node, message);
    this.sent.push(message);
    if (!this.lose(message) && this.nodes.has(message.to)) this.network.push(message);
  }

  #write(node: Node): void {
    const append = node.writing;
    if (append === undefined) return;
    node.writing = undefined;
    toDisk(node, append);
    node.raft.durable();
    for (const message of append.messages) this.#send(node, message);
    this.observe();
  }

  #apply(node: Node, { from, to, entries }: Committed): void {
    invariant(
      from === node.applied.length + 1,
      `node ${node.id} applies ${from} after ${node.applied.length}`,
    );
    // What is only on disk is read and applied a few entries at a time.
    const start = from - node.disk.base.index - 1;
    const batch = entries ?? node.disk.entries.slice(start, start + Math.min(to - from + 1, 4));
    for (const [at, entry] of batch.entries()) {
      invariant(entry.index === from + at, `node ${node.id} skips entry ${from + at}`);
      const durable = entryOf(node.disk, entry.index)?.term === entry.term;
      invariant(durable, `node ${node.id} applies entry ${entry.index}, which its disk lacks`);
      this.#invariants.applied(node.id, entry, node.raft.state.term);
      node.applied.push(entry);
      if (node.waiting.get(entry.index) === entry.term) this.acknowledged.push(entry);
      node.waiting.delete(entry.index);
    }
    node.raft.applied(from + batch.length - 1);
  }

  #answer(node: Node, ready: Ready): void {
    for (const { id, index } of ready.reads) {
      const read = this.reads.get(id);
      if (read === undefined) throw new Error(`no read ${id}`);
      invariant(read.state === 'asked', `read ${id} is answered though it is ${read.state}`);
      invariant(index >= read.floor, `read ${id} is stale: ${index}, while ${read.floor} was committed`);
      Object.assign(read, { state: 'confirmed', index });
    }
    for (const id of ready.failedReads) {
      const read = this.reads.get(id);
      invariant(read?.state === 'asked', `read ${id} fails though it is ${read?.state ?? 'unknown'}`);
      read.state = 'failed';
    }
    for (const read of this.reads.values()) {
      const due = read.node === node.id && read.state === 'confirmed' && node.applied.length >= read.index;
      if (due) read.state = 'answered';
    }
  }
}
