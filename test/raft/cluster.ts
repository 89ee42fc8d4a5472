/**
 * A few cores, their toy disks and a network, driven by hand: everything happens when a test says so, one step at a
 * time, and every invariant is checked after each. What a core sends is held against its disk (a promise must be
 * durable before it leaves).
 */

import type { NodeId } from '../../membership/configuration.js';
import { configuration } from '../../membership/configuration.js';
import { invariant } from '../../raft/assert.js';
import type { Entry, HardState, Index, Term } from '../../raft/entry.js';
import { ORIGIN, entryBytes } from '../../raft/entry.js';
import type { Observed } from '../../raft/invariants.js';
import { ClusterInvariants } from '../../raft/invariants.js';
import type { Message } from '../../raft/messages.js';
import type { Proposed } from '../../raft/raft.js';
import { Raft } from '../../raft/raft.js';
import type { Append, Committed, Fetch, Ready } from '../../raft/ready.js';
import type { RaftOptions } from '../../raft/state.js';
import { OPTIONS, bytes, entriesOf, prng, runsOf } from './tools.js';

export interface Read {
  readonly node: NodeId;
  /** The highest index that was committed anywhere when the read was asked. */
  readonly floor: Index;
  state: 'asked' | 'confirmed' | 'answered' | 'failed' | 'lost';
  index: Index;
}

export interface Node {
  readonly id: NodeId;
  raft: Raft;
  up: boolean;
  readonly disk: { hardState: HardState; entries: Entry[] };
  /** Handed out, not yet durable. */
  writing: Append | undefined;
  /** Appends, fetches: carried out only on demand. */
  diskHeld: boolean;
  fetches: Fetch[];
  /** The state machine: what was applied, in order, from index 1 on. */
  applied: Entry[];
  /** Proposals of this node that wait for their commit: index and term. */
  waiting: Map<Index, Term>;
  refusals: string[];
  /** What the next election timeouts are drawn from; undefined: the cluster's chance. */
  luck: number | undefined;
}

export interface Setup {
  readonly ids?: readonly NodeId[];
  readonly learners?: readonly NodeId[];
  readonly raft?: Partial<RaftOptions>;
  readonly seed?: number;
  /** The terms of the entries that each node starts with. */
  readonly logs?: Readonly<Record<NodeId, readonly Term[]>>;
  /** The term each node starts in; by default that of its last entry. */
  readonly terms?: Readonly<Record<NodeId, Term>>;
  readonly commits?: Readonly<Record<NodeId, Index>>;
}

function observed({ raft, disk }: Node): Observed {
  const { term, vote } = disk.hardState;
  return { state: raft.state, disk: { term, vote, termAt: (index) => disk.entries[index - 1]?.term } };
}

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
  readonly #cut = new Set<string>();
  #inTurn = false;

  constructor(setup: Setup = {}) {
    this.#setup = setup;
    this.random = prng(setup.seed ?? 1);
    for (const id of setup.ids ?? ['a', 'b', 'c']) {
      const entries = entriesOf(setup.logs?.[id] ?? []);
      const term = setup.terms?.[id] ?? entries.at(-1)?.term ?? 0;
      const disk = { hardState: { term, vote: undefined, commit: setup.commits?.[id] ?? 0 }, entries };
      const rest = {
        writing: undefined,
        diskHeld: false,
        fetches: [],
        applied: [],
        refusals: [],
        luck: undefined,
      };
      const partial = { id, up: true, disk, waiting: new Map<Index, Term>(), ...rest };
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
      if (!node.diskHeld) this.#fetch(node);
      this.observe();
      again = ready.append !== undefined || ready.committed !== undefined || ready.fetches.length > 0;
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
    if (node?.up !== true) return;
    node.raft.step(message);
    this.pump(node);
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
      for (const id of this.nodes.keys()) this.tick(id);
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
    this.#fetch(node);
    this.pump(node);
  }

  holdDisk(id: NodeId, held = true): void {
    this.node(id).diskHeld = held;
    if (!held) this.sync(id);
  }

  /**
   * Everything volatile is gone. `written`: the append that was out reached the disk, only nobody was told. `appliedLost`:
   * so many of the last applied entries are not in the state any more. `tail`: so many entries are in memory afterwards.
   */
  crash(id: NodeId, { written = false, appliedLost = 0, tail = Infinity } = {}): void {
    const node = this.node(id);
    if (written && node.writing !== undefined) this.#toDisk(node, node.writing);
    node.applied.length = Math.max(0, node.applied.length - appliedLost);
    for (const read of this.reads.values())
      if (read.node === id && (read.state === 'asked' || read.state === 'confirmed')) read.state = 'lost';
    Object.assign(node, { up: false, writing: undefined, fetches: [], waiting: new Map<Index, Term>() });
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
    const { ids = ['a', 'b', 'c'], learners = [], raft } = this.#setup;
    const members = ids.map((id) => {
      const addresses = { raft: `${id}:1`, rpc: `${id}:2`, http: `${id}:3` };
      return { id, incarnation: `${id}-1`, ...addresses, voter: !learners.includes(id) };
    });
    const random = (): number => this.nodes.get(node.id)?.luck ?? this.random();
    return new Raft(
      { ...OPTIONS, ...raft, id: node.id, random },
      {
        hardState: disk.hardState,
        log: {
          base: ORIGIN,
          termRuns: runsOf(disk.entries),
          lastIndex: disk.entries.length,
          tail: disk.entries.slice(Math.max(0, disk.entries.length - tail)),
          applied: applied.length,
        },
        configuration: configuration('test', members),
      },
    );
  }

  #send(node: Node, message: Message): void {
    invariant(message.from === node.id, `node ${node.id} sends as ${message.from}`);
    this.#checkPromise(node, message);
    this.sent.push(message);
    if (!this.lose(message) && this.nodes.has(message.to)) this.network.push(message);
  }

  /** Persist before answer: what a message promises is on the sender's disk when it leaves. */
  #checkPromise({ disk, raft }: Node, message: Message): void {
    const { term, vote } = disk.hardState;
    const why = `${message.type} of ${message.from} in term ${message.term} left before it was durable`;
    if (message.type === 'requestVoteResponse' && message.granted)
      invariant(term > message.term || (term === message.term && vote === message.to), why);
    if (message.type === 'requestVote')
      invariant(term > message.term || (term === message.term && vote === message.from), why);
    if (message.type !== 'appendEntriesResponse' || !message.success || message.term !== raft.state.term)
      return;
    invariant(term === message.term, why);
    const held = disk.entries[message.index - 1]?.term ?? 0;
    invariant(message.index <= disk.entries.length && held === raft.state.log.termAt(message.index), why);
  }

  #toDisk({ disk }: Node, append: Append): void {
    const first = append.entries[0]?.index;
    if (first !== undefined) {
      invariant(first <= disk.entries.length + 1, `the append at ${first} leaves a gap on disk`);
      disk.entries = [...disk.entries.slice(0, first - 1), ...append.entries];
    }
    if (append.hardState !== undefined) {
      invariant(append.hardState.term >= disk.hardState.term, 'the term on disk goes back');
      disk.hardState = append.hardState;
    }
  }

  #write(node: Node): void {
    const append = node.writing;
    if (append === undefined) return;
    node.writing = undefined;
    this.#toDisk(node, append);
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
    const batch = entries ?? node.disk.entries.slice(from - 1, Math.min(to, from + 3));
    for (const [at, entry] of batch.entries()) {
      invariant(entry.index === from + at, `node ${node.id} skips entry ${from + at}`);
      const durable = node.disk.entries[entry.index - 1]?.term === entry.term;
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

  #fetch(node: Node): void {
    for (const fetch of node.fetches.splice(0)) {
      invariant(fetch.through <= node.disk.entries.length, `node ${node.id} fetches what its disk lacks`);
      const entries: Entry[] = [];
      let size = 0;
      for (const entry of node.disk.entries.slice(fetch.from - 1, fetch.through)) {
        size += entryBytes(entry);
        if (size > fetch.bytesMax && entries.length > 0) break;
        entries.push(entry);
      }
      node.raft.fetched(fetch, entries);
    }
  }
}
