/**
 * Checks of whole states: of one node, and of all nodes of a cluster over time (Figure 3: Election Safety, Leader
 * Append-Only, Log Matching, Leader Completeness, State Machine Safety). For tests; every run of the core under test
 * goes through it after every step.
 */

import type { NodeId } from '../membership/configuration.js';
import { voters } from '../membership/configuration.js';
import { majority } from '../membership/quorum.js';
import { invariant } from './assert.js';
import type { Entry, Index, Term } from './entry.js';
import type { RaftState } from './state.js';

/** What must hold in one node at any moment. */
export function checkNode(state: Readonly<RaftState>): void {
  const { log, id } = state;
  const where = `node ${id}, term ${state.term}`;
  invariant(log.base.index <= log.applied, `${where}: the log starts behind what is applied`);
  invariant(log.applied <= log.applicable, `${where}: applied ${log.applied} beyond ${log.applicable}`);
  invariant(log.commit <= log.lastIndex, `${where}: commit beyond the log's end`);
  invariant(log.durable <= state.handedOut, `${where}: durable ${log.durable} beyond what was handed out`);
  invariant(state.handedOut <= log.lastIndex, `${where}: handed out beyond the log's end`);
  invariant(state.term >= log.lastTerm, `${where}: the last entry is of a later term`);
  invariant(log.uncommittedBytes >= 0, `${where}: uncommitted bytes below zero`);
  log.termRuns.forEach((run, at) => {
    const before = log.termRuns[at - 1] ?? log.base;
    invariant(run.index > before.index && run.term > before.term, `${where}: terms are out of order`);
  });
  const { current } = state;
  if (current.role === 'candidate') invariant(state.vote === id, `${where}: a candidate voted for another`);
  if (current.role !== 'leader') return;
  invariant(state.vote === id, `${where}: a leader voted for another`);
  invariant(log.termAt(current.firstIndex) === state.term, `${where}: a leader without its no-op`);
  for (const [peer, progress] of current.progress) {
    const whose = `${where}: progress of ${peer}`;
    invariant(progress.match < progress.next, `${whose}: match ${progress.match}, next ${progress.next}`);
    invariant(progress.next <= log.lastIndex + 1, `${whose}: next is beyond the log's end`);
    invariant(progress.inflightAppends <= state.options.window.appendsMax, `${whose}: window overrun`);
    invariant(
      progress.mode === 'replicate' || progress.inflightAppends === 0,
      `${whose}: probing with a window`,
    );
  }
}

/** A node as the cluster checker sees it. */
export interface Observed {
  readonly state: Readonly<RaftState>;
  /** What the node's own disk would give back after a crash now. */
  readonly disk: {
    readonly term: Term;
    readonly vote: NodeId | undefined;
    termAt(index: Index): Term | undefined;
  };
}

/** Watches a whole cluster; call `observe` after every step, and `applied` for every entry that a node applies. */
export class ClusterInvariants {
  readonly #leaders = new Map<Term, NodeId>();
  readonly #votes = new Map<string, NodeId>();
  readonly #committed: (Entry | undefined)[] = [];
  readonly #seen = new Map<NodeId, { term: Term; commit: Index; applied: Index }>();

  /** `restarted`: nodes that lost their volatile state in this step; commit and applied may start over, terms not. */
  observe(nodes: readonly Observed[], restarted: ReadonlySet<NodeId> = new Set()): void {
    for (const node of nodes) {
      checkNode(node.state);
      this.#checkElection(node);
      this.#checkProgress(node, restarted.has(node.state.id));
      this.#checkCommitted(node, nodes);
    }
    this.#checkLogMatching(nodes);
  }

  /** State Machine Safety (§5.4.3): no two nodes apply different entries at one index, and none skips one. */
  applied(id: NodeId, entry: Entry): void {
    const known = this.#committed[entry.index];
    if (known === undefined) {
      this.#committed[entry.index] = entry;
      return;
    }
    invariant(known.term === entry.term, `node ${id} applies another entry ${entry.index}`);
    invariant(
      Buffer.compare(known.data, entry.data) === 0,
      `node ${id} applies other data at ${entry.index}`,
    );
  }

  /** Election Safety (§5.2): one leader a term; one durable vote a node and term, never taken back. */
  #checkElection({ state, disk }: Observed): void {
    if (state.current.role === 'leader') {
      const known = this.#leaders.get(state.term);
      invariant(
        known === undefined || known === state.id,
        `two leaders in term ${state.term}: ${known} and ${state.id}`,
      );
      if (known === undefined) this.#checkCompleteness(state);
      this.#leaders.set(state.term, state.id);
    }
    if (disk.vote === undefined) return;
    const key = `${state.id}/${disk.term}`;
    const vote = this.#votes.get(key);
    invariant(vote === undefined || vote === disk.vote, `node ${state.id} voted twice in term ${disk.term}`);
    this.#votes.set(key, disk.vote);
  }

  /** Leader Completeness (§5.4.3): a new leader's log holds everything that was ever applied anywhere. */
  #checkCompleteness(state: Readonly<RaftState>): void {
    this.#committed.forEach((entry) => {
      if (entry === undefined || entry.index <= state.log.base.index) return;
      const term = state.log.termAt(entry.index);
      invariant(
        term === entry.term,
        `leader ${state.id} of term ${state.term} lacks committed entry ${entry.index}`,
      );
    });
  }

  #checkProgress({ state }: Observed, restarted: boolean): void {
    const seen = this.#seen.get(state.id);
    const { term } = state;
    const { commit, applied } = state.log;
    if (seen !== undefined && !restarted) {
      invariant(term >= seen.term, `node ${state.id}: the term went back`);
      invariant(commit >= seen.commit, `node ${state.id}: the commit index went back`);
      invariant(applied >= seen.applied, `node ${state.id}: applied went back`);
    }
    this.#seen.set(state.id, { term, commit, applied });
  }

  /** Committed means durable on a majority: on their disks, not in their memories. */
  #checkCommitted({ state }: Observed, nodes: readonly Observed[]): void {
    const { commit } = state.log;
    const term = state.log.termAt(commit);
    if (commit === 0 || term === undefined) return;
    const ids = voters(state.configuration);
    const holders = nodes.filter((node) => ids.includes(node.state.id) && node.disk.termAt(commit) === term);
    invariant(
      holders.length >= majority(ids.length),
      `entry ${commit} is committed on ${holders.length} disks only`,
    );
  }

  /** Log Matching (§5.3): logs that agree on one entry agree on all before it. */
  #checkLogMatching(nodes: readonly Observed[]): void {
    nodes.forEach((a, at) => {
      for (const b of nodes.slice(at + 1)) checkMatching(a.state, b.state);
    });
  }
}

function checkMatching(a: Readonly<RaftState>, b: Readonly<RaftState>): void {
  const first = Math.max(a.log.base.index, b.log.base.index);
  let agree = false;
  for (let index = Math.min(a.log.lastIndex, b.log.lastIndex); index >= first; index -= 1) {
    const same = a.log.termAt(index) === b.log.termAt(index);
    invariant(same || !agree, `logs of ${a.id} and ${b.id} agree behind ${index} but not there`);
    agree ||= same;
  }
}
