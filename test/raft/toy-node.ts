/** A node of a toy cluster: a real core, a toy disk, and a state machine that only remembers. */

import type { NodeId } from '../../membership/configuration.js';
import { configuration, decodeConfiguration, isDeparted, memberOf } from '../../membership/configuration.js';
import { invariant } from '../../raft/assert.js';
import type { ConfigurationAt, Entry, HardState, Index, Position, Snapshot, Term } from '../../raft/entry.js';
import { ORIGIN, entryBytes } from '../../raft/entry.js';
import type { Observed } from '../../raft/invariants.js';
import type { Message } from '../../raft/messages.js';
import type { Raft } from '../../raft/raft.js';
import type { Append, Fetch } from '../../raft/ready.js';
import type { RaftOptions } from '../../raft/state.js';

export interface Read {
  readonly node: NodeId;
  /** The highest index that was committed anywhere when the read was asked. */
  readonly floor: Index;
  state: 'asked' | 'confirmed' | 'answered' | 'failed' | 'lost';
  index: Index;
}

export interface ToyDisk {
  /** Where every log began once: nothing, and the first members. */
  readonly first: Snapshot;
  hardState: HardState;
  /** The log begins behind it. */
  base: Snapshot;
  /** Those behind the base. */
  entries: Entry[];
  /** The newest one. */
  snapshot: ToySnapshot | undefined;
  /** It reached so far once, and has lost the end. */
  lostEnd: Position | undefined;
}

/** The state machine is what was applied, in order. */
export interface ToySnapshot extends Snapshot {
  readonly applied: readonly Entry[];
}

export function entryOf({ base, entries }: ToyDisk, index: Index): Entry | undefined {
  return index <= base.index ? undefined : entries[index - base.index - 1];
}

export function lastOf({ base, entries }: ToyDisk): Index {
  return base.index + entries.length;
}

/** A disk that nothing was ever written to. */
export function emptyDisk(first: Snapshot): ToyDisk {
  const hardState = { term: 0, vote: undefined, commit: 0 };
  return { first, hardState, base: first, entries: [], snapshot: undefined, lostEnd: undefined };
}

/** The configurations that a log of these entries behind `base` knows. */
export function configurationsOf(base: Snapshot, entries: readonly Entry[]): ConfigurationAt[] {
  const known = [{ index: base.configurationIndex, configuration: base.configuration }];
  for (const { type, index, data } of entries)
    if (type === 'configuration') known.push({ index, configuration: decodeConfiguration(data) });
  return known;
}

export interface Node {
  readonly id: NodeId;
  /** Of its disk: a wiped one has another. */
  incarnation: string;
  raft: Raft;
  up: boolean;
  disk: ToyDisk;
  /** Handed out, not yet durable. */
  writing: Append | undefined;
  /** Appends, fetches: carried out only on demand. */
  diskHeld: boolean;
  fetches: Fetch[];
  /** What it sends a snapshot for, and which. */
  transfers: Map<NodeId, { readonly term: Term; readonly snapshot: ToySnapshot }>;
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
  /** Nodes that run, and are no members at first. */
  readonly spares?: readonly NodeId[];
  readonly raft?: Partial<RaftOptions>;
  readonly seed?: number;
  /** The terms of the entries that each node starts with. */
  readonly logs?: Readonly<Record<NodeId, readonly Term[]>>;
  /** The term each node starts in; by default that of its last entry. */
  readonly terms?: Readonly<Record<NodeId, Term>>;
  readonly commits?: Readonly<Record<NodeId, Index>>;
}

export function observed({ raft, disk, incarnation }: Node): Observed {
  const { term, vote } = disk.hardState;
  const base = Math.max(disk.base.index, disk.snapshot?.index ?? 0);
  const termAt = (index: Index): Term | undefined => entryOf(disk, index)?.term;
  const lostEnd = raft.state.lostEnd?.index ?? 0;
  return { state: raft.state, incarnation, disk: { term, vote, base, lostEnd, termAt } };
}

/** The last `count` entries are gone. The watermark tells, until the disk holds as much again. */
export function loseEntries(disk: ToyDisk, count: number): void {
  const { term = disk.base.term, index = disk.base.index } = disk.entries.at(-1) ?? {};
  const end = { index, term };
  const { lostEnd } = disk;
  const isStillLost =
    lostEnd !== undefined && (lostEnd.term > term || (lostEnd.term === term && lostEnd.index > index));
  disk.lostEnd = isStillLost ? lostEnd : count > 0 && disk.entries.length > 0 ? end : undefined;
  disk.entries = disk.entries.slice(0, Math.max(0, disk.entries.length - count));
  const last = lastOf(disk);
  disk.hardState = { ...disk.hardState, commit: Math.min(disk.hardState.commit, last) };
}

/** What a start makes of the disk. */
export function recover({ disk, applied }: Pick<Node, 'disk' | 'applied'>): void {
  // A crash took more of the state than the log can make up for: it is made anew from the snapshot (DESIGN, "Rules").
  if (applied.length < disk.base.index) applied.splice(0, Infinity, ...(disk.snapshot?.applied ?? []));
  // A crash came between the state of a snapshot and the log: that is dropped.
  if (applied.length > lastOf(disk) || entryOf(disk, applied.length)?.term !== applied.at(-1)?.term) {
    const { index, term } = applied.at(-1) ?? ORIGIN;
    if (index > disk.base.index) {
      const [latest] = configurationsOf(disk.first, applied).slice(-1);
      invariant(latest !== undefined, 'the members are known');
      const { configuration, index: configurationIndex } = latest;
      Object.assign(disk, { base: { index, term, configuration, configurationIndex }, entries: [] });
    }
  }
}

/** Persist before answer: what a message promises is on the sender's disk when it leaves. */
export function checkPromise({ disk, raft }: Node, message: Message): void {
  const { term, vote } = disk.hardState;
  const why = `${message.type} of ${message.from} in term ${message.term} left before it was durable`;
  if (message.type === 'requestVoteResponse' && message.granted)
    invariant(term > message.term || (term === message.term && vote === message.to), why);
  if (message.type === 'requestVote')
    invariant(term > message.term || (term === message.term && vote === message.from), why);
  if (message.type !== 'appendEntriesResponse' || !message.success || message.term !== raft.state.term)
    return;
  invariant(term === message.term, why);
  // A snapshot covers it, whose state is durable.
  if (message.index <= Math.max(disk.base.index, raft.state.log.base.index)) return;
  const held = entryOf(disk, message.index)?.term ?? 0;
  invariant(message.index <= lastOf(disk) && held === raft.state.log.termAt(message.index), why);
}

/** The append reaches the disk. */
export function toDisk({ disk }: Node, append: Append): void {
  if (append.newBase !== undefined) Object.assign(disk, { base: append.newBase, entries: [] });
  const first = append.entries[0]?.index;
  if (first !== undefined) {
    invariant(first <= lastOf(disk) + 1, `the append at ${first} leaves a gap on disk`);
    disk.entries = [...disk.entries.slice(0, first - disk.base.index - 1), ...append.entries];
  }
  if (append.hardState !== undefined) {
    invariant(append.hardState.term >= disk.hardState.term, 'the term on disk goes back');
    disk.hardState = append.hardState;
  }
}

/** What was to be read comes back from the disk. */
export function answerFetches(node: Node): void {
  for (const fetch of node.fetches.splice(0)) {
    invariant(fetch.through <= lastOf(node.disk), `node ${node.id} fetches what its disk lacks`);
    const { base } = node.disk;
    const entries: Entry[] = [];
    let size = 0;
    // What was compacted meanwhile is asked for in vain.
    const start = fetch.from <= base.index ? Infinity : fetch.from - base.index - 1;
    for (const entry of node.disk.entries.slice(start, fetch.through - base.index)) {
      size += entryBytes(entry);
      if (size > fetch.bytesMax && entries.length > 0) break;
      entries.push(entry);
    }
    node.raft.fetched(fetch, entries);
  }
}

/** What a cluster begins with. */
export function firstOf(ids: readonly NodeId[], learners: readonly NodeId[]): Snapshot {
  const members = ids.map((id) => {
    const addresses = { raft: `${id}:1`, rpc: `${id}:2`, http: `${id}:3` };
    return { id, incarnation: `${id}-1`, ...addresses, voter: !learners.includes(id) };
  });
  return { ...ORIGIN, configuration: configuration('test', members), configurationIndex: 0 };
}

/** What transports check (API, section 5): both ends are the disks that the other one knows, and neither has left. */
export function mayPass(from: Node | undefined, to: Node): boolean {
  return from === undefined || (knows(from, to) && knows(to, from));
}

function knows({ raft }: Node, { id, incarnation }: Node): boolean {
  if (isDeparted(raft.committedConfiguration, id, incarnation)) return false;
  return (memberOf(raft.configuration, id)?.incarnation ?? incarnation) === incarnation;
}

/** A wiped disk: another one, and empty. */
export function replaceDisk(node: Node): void {
  const [name, count] = node.incarnation.split('-');
  node.incarnation = `${name ?? ''}-${Number(count) + 1}`;
  node.disk = emptyDisk(node.disk.first);
  node.applied = [];
}
