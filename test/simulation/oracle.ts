/**
 * What must hold between nodes, beyond the invariants of the core (`raft/invariants.ts`): promises are durable when
 * they leave, reads are fresh, leases are exclusive, nothing is applied twice, and a disk's state is what its log says.
 */

import { commandsOf } from '../../kv/shared.js';
import { invariant } from '../../raft/assert.js';
import type { MemoryStateDisk } from '../../persistence/memory/state-store.js';
import type { Entry, Index, Term } from '../../raft/entry.js';
import type { Message } from '../../raft/messages.js';
import { holdsLease } from '../../raft/reads.js';
import type { RaftState } from '../../raft/state.js';
import type { Node } from '../../server/node.js';
import type { Disk } from './disk.js';
import type { Host } from './host.js';
import type { Rows } from './replay.js';
import { Replay, applyEntry } from './replay.js';

export class Oracle {
  /** The highest index that was ever committed anywhere. */
  committed: Index = 0;
  /** What answers are held against. */
  readonly replay = new Replay();
  /** Where each value was set without a session: clients never use one twice. */
  readonly #setAt = new Map<string, string>();

  /** Everything that was ever applied. */
  readonly #history = new Map<Index, Entry>();

  /** The newest heartbeat round of each leader and term. */
  readonly #rounds = new Map<string, number>();

  /** To be called after every event. */
  observe(hosts: readonly Host[], nowMs: number): void {
    for (const { lastNode } of hosts) {
      if (lastNode !== undefined) this.committed = Math.max(this.committed, lastNode.state.log.commit);
    }
    this.#replayCommitted(hosts, nowMs);
    for (const host of hosts) {
      this.#checkLease(host);
      checkBase(host);
    }
  }

  /** Whoever could answer a read from its lease now would answer with everything that is committed (thesis §6.4.1). */
  #checkLease(host: Host): void {
    const state = host.node?.state;
    if (state?.current.role !== 'leader') return;
    if (!holdsLease({ ...state, clockMs: host.localMs() }, state.current)) return;
    invariant(
      state.log.commit >= this.committed,
      `leader ${host.id} of term ${state.term} holds a lease at ${state.log.commit}, but ${this.committed} is committed`,
    );
  }

  /** An answer names a round that the receiver began in that very term, or none: it confirms reads (thesis §6.4). */
  #checkRound(message: Message): void {
    if (message.type === 'heartbeat') this.#rounds.set(`${message.from}/${message.term}`, message.round);
    if (message.type !== 'heartbeatResponse') return;
    const begun = this.#rounds.get(`${message.to}/${message.term}`) ?? 0;
    invariant(
      message.round <= begun,
      `${message.from} answers round ${message.round}, but ${message.to} began ${begun} in term ${message.term}`,
    );
  }

  /** A message leaves: what it promises is on the disk, or the disk has promised to ignore its term for good. */
  sent(message: Message, { disk }: Host, to: Host | undefined): void {
    this.#checkRound(message);
    const { hardState } = disk.log;
    if (hardState !== undefined && hardState.term > message.term) return;
    const what = `${message.type} of ${message.from} to ${message.to} in term ${message.term}`;
    const termIsDurable = hardState?.term === message.term;
    switch (message.type) {
      case 'requestVote':
        invariant(termIsDurable && hardState.vote === message.from, `${what}: its own vote is not on disk`);
        return;
      case 'requestVoteResponse':
        if (!message.granted) return;
        invariant(termIsDurable && hardState.vote === message.to, `${what}: the vote is not on disk`);
        if (to?.node !== undefined && counts(to.node.state, message.term))
          checkUpToDate(what, disk, to.node.state);
        return;
      case 'appendEntriesResponse': {
        if (!message.success) return;
        const { index } = message;
        const lead = to?.node?.state;
        invariant(
          termIsDurable && (index < disk.log.base.index || disk.termAt(index) !== undefined),
          `${what}: entry ${index} is not on disk`,
        );
        if (lead?.term !== message.term || lead.current.role !== 'leader') return;
        const [held, expected] = [disk.termAt(index), lead.log.termAt(index)];
        // One of them may have a snapshot in its place.
        const same = held === undefined || expected === undefined || held === expected;
        invariant(same, `${what}: entry ${index} on disk is not the leader's`);
        return;
      }
      case 'installSnapshotResponse': {
        const { index } = message;
        const isDurable = index <= disk.log.base.index || disk.termAt(index) !== undefined;
        invariant(index === 0 || (termIsDurable && isDurable), `${what}: it is not at ${index} on disk`);
        return;
      }
      default:
        return;
    }
  }

  /** After a crash, and at the end. */
  checkState(id: string, disk: Disk): void {
    checkReplay(id, disk.state, (index) => {
      // What was applied in the very last moment was not noted yet.
      const entry = this.#history.get(index) ?? disk.entryAt(index);
      invariant(entry !== undefined, `${id} has applied entry ${index}, which nobody knows`);
      return entry;
    });
  }

  /** An entry was applied for the first time: what was said to be lost, and tried again, is not there twice (§5.4.2). */
  applied(entry: Entry): void {
    this.#history.set(entry.index, entry);
    if (entry.type !== 'command') return;
    commandsOf(entry.data).forEach((command, at) => {
      if (command.op !== 'set' || command.session !== undefined) return;
      const value = Buffer.from(command.value).toString();
      const place = `${entry.index}.${at}`;
      const before = this.#setAt.get(value) ?? place;
      invariant(before === place, `${value} is set by command ${before}, and by ${place} again`);
      this.#setAt.set(value, place);
    });
  }

  /** What is committed is durable somewhere, and no log was cut off behind it yet when it is seen to be committed. */
  #replayCommitted(hosts: readonly Host[], nowMs: number): void {
    while (this.replay.index < this.committed) {
      const index = this.replay.index + 1;
      const entry = this.#history.get(index) ?? committedEntry(hosts, index);
      // A log that holds it nowhere is for other checks to find.
      if (entry === undefined) return;
      this.#history.set(index, entry);
      this.replay.apply(entry, nowMs);
    }
  }
}

function committedEntry(hosts: readonly Host[], index: Index): Entry | undefined {
  const knowing = hosts.find(({ lastNode }) => {
    const log = lastNode?.state.log;
    return log !== undefined && log.commit >= index && log.termAt(index) !== undefined;
  });
  const term = knowing?.lastNode?.state.log.termAt(index);
  for (const { disk } of hosts) {
    const entry = disk.entryAt(index);
    if (entry !== undefined && entry.term === term) return entry;
  }
  return undefined;
}

/** The log begins no later than behind what a crash leaves of the state: the rest could not be applied again. */
function checkBase({ id, disk }: Host): void {
  if (disk.hasLost) return;
  const { base } = disk.log;
  invariant(
    base.index <= disk.stateFlushed,
    `the log of ${id} begins behind ${base.index}, and a crash may leave its state at ${disk.stateFlushed}`,
  );
}

/**
 * Whether the node of this state still stands in the election of `term`, or has won it: its log has lost nothing since it asked. One that began
 * again meanwhile counts no vote, and its disk may have lost its end.
 */
function counts({ term, current }: Readonly<RaftState>, ofTerm: Term): boolean {
  return term === ofTerm && (current.role === 'candidate' || current.role === 'leader');
}

/** A vote goes to a log that is at least as up to date as the voter's (§5.4.1). */
function checkUpToDate(what: string, { end: last }: Disk, { log, term }: Readonly<RaftState>): void {
  // Entries of this very term came after the vote, from the one who won without it.
  if (last.term === term) return;
  const better = log.lastTerm > last.term || (log.lastTerm === last.term && log.lastIndex >= last.index);
  invariant(better, `${what}: the candidate lacks entry ${last.index} of term ${last.term}`);
}

/**
 * From now on: that another entry stands in a proposal's place is said only once one is applied there. Until then another log may
 * hold the proposal, and its node be elected and commit it (§5.4.2, Figure 8).
 */
export function watchProposals(node: Node, fail: (error: unknown) => void): void {
  const propose = node.propose.bind(node);
  node.propose = (command) => {
    const settled = propose(command);
    const { lastIndex } = node.state.log;
    void settled.then(({ status }) => {
      if (status === 'displaced' && node.appliedIndex < lastIndex)
        fail(
          new Error(`${node.state.id} calls a proposal displaced before it has applied entry ${lastIndex}`),
        );
    });
    return settled;
  };
}

/** The state is that of the entries up to its applied index, whether they were applied or came in a snapshot. */
function checkReplay(id: string, { rows, applied }: MemoryStateDisk, entryAt: (index: Index) => Entry): void {
  const replayed: Rows = new Map();
  for (let index = 1; index <= applied.index; index += 1) applyEntry(replayed, entryAt(index));
  const same =
    rows.length === replayed.size && rows.every(([row, value]) => replayed.get(row)?.equals(value) === true);
  invariant(same, `the disk of ${id} holds another state than its log makes at ${applied.index}`);
}
