/**
 * Checks of whole states: of one node, and of all nodes of a cluster over time (Figure 3: Election Safety, Leader
 * Append-Only, Log Matching, Leader Completeness, State Machine Safety). For tests; every run of the core under test
 * goes through it after every step.
 */

import type { Configuration, NodeId } from '../membership/configuration.js';
import { invariant } from './assert.js';
import type { Entry, Index, Position, Term } from './entry.js';
import { MemberInvariants, decides } from './member-invariants.js';
import type { RaftState } from './state.js';

/** What must hold in one node at any moment. */
export function checkNode(state: Readonly<RaftState>): void {
  const { log, id } = state;
  const where = (): string => `node ${id}, term ${state.term}`;
  invariant(log.base.index <= log.commit, () => `${where()}: the log starts behind what is committed`);
  if (log.lacksState)
    invariant(state.current.role !== 'leader', () => `${where()}: it leads without a state`);
  invariant(
    log.applied <= log.applicable,
    () => `${where()}: applied ${log.applied} beyond ${log.applicable}`,
  );
  invariant(log.commit <= log.lastIndex, () => `${where()}: commit beyond the log's end`);
  invariant(
    log.durable <= state.handedOut,
    () => `${where()}: durable ${log.durable} beyond what was handed out`,
  );
  invariant(state.handedOut <= log.lastIndex, () => `${where()}: handed out beyond the log's end`);
  invariant(state.term >= log.lastTerm, () => `${where()}: the last entry is of a later term`);
  invariant(log.uncommittedBytes >= 0, () => `${where()}: uncommitted bytes below zero`);
  log.termRuns.forEach((run, at) => {
    const before = log.termRuns[at - 1];
    // Behind a snapshot the first run may go on in the term that the snapshot ended in.
    const rises = before === undefined ? run.term >= log.base.term : run.term > before.term;
    invariant(rises && run.index > (before ?? log.base).index, () => `${where()}: terms are out of order`);
  });
  const { current } = state;
  if (current.role === 'candidate')
    invariant(state.vote === id, () => `${where()}: a candidate voted for another`);
  if (current.role !== 'leader') return;
  invariant(state.vote === id, () => `${where()}: a leader voted for another`);
  const opening = current.firstIndex > log.base.index ? log.termAt(current.firstIndex) : state.term;
  invariant(opening === state.term, () => `${where()}: a leader without its no-op`);
  for (const [peer, progress] of current.progress) {
    const whose = (): string => `${where()}: progress of ${peer}`;
    invariant(
      progress.match < progress.next,
      () => `${whose()}: match ${progress.match}, next ${progress.next}`,
    );
    invariant(progress.next <= log.lastIndex + 1, () => `${whose()}: next is beyond the log's end`);
    invariant(
      progress.inflightAppends <= state.options.window.appendsMax,
      () => `${whose()}: window overrun`,
    );
    invariant(
      progress.mode === 'replicate' || progress.inflightAppends === 0,
      () => `${whose()}: probing with a window`,
    );
  }
}

/** A node as the cluster checker sees it. */
export interface Observed {
  readonly state: Readonly<RaftState>;
  /** Of its disk, see `Member.incarnation`. */
  readonly incarnation: string;
  /** What the node's own disk would give back after a crash now. */
  readonly disk: {
    readonly term: Term;
    readonly vote: NodeId | undefined;
    /** A snapshot on it covers everything up to here. */
    readonly base: Index;
    /** It held the log up to here, has lost the end, and knows that. */
    readonly lostEnd: Index;
    termAt(index: Index): Term | undefined;
  };
}

interface Seen {
  readonly diskTerm: Term;
  readonly term: Term;
  readonly commit: Index;
  readonly applied: Index;
  /** The end of the log of a leader. */
  readonly ledTo: Position | undefined;
  readonly configuration: Configuration;
}

/** Watches a whole cluster; call `observe` after every step, and `applied` for every entry that a node applies. */
export class ClusterInvariants {
  readonly #leaders = new Map<Term, NodeId>();
  /** By node, incarnation and term: what a disk that was replaced has promised, its member has. */
  readonly #votes = new Map<string, NodeId>();
  /** The term on each disk, by node and incarnation. */
  readonly #diskTerms = new Map<string, Term>();
  /** Of the votes, each node's that was looked at last. */
  readonly #voted = new Map<NodeId, { readonly term: Term; readonly vote: NodeId }>();
  readonly #committed: (Entry | undefined)[] = [];
  /** By index: a term by which the entry was committed; the lowest that is known. */
  readonly #committedBy: (Term | undefined)[] = [];
  /** How the logs ended when they were last compared: most steps change none. */
  readonly #ends: { readonly lastIndex: Index; readonly lastTerm: Term; readonly runs: number }[] = [];
  readonly #seen = new Map<NodeId, Seen>();
  readonly #members = new MemberInvariants();

  /**
   * `nodes`: disks that were replaced stay among them, as they were: what was committed on them was committed.
   *
   * `restarted`: nodes that lost their volatile state in this step; commit, applied and a term that was not durable
   * yet may go back there, what is on disk may not.
   */
  observe(
    nodes: readonly Observed[],
    restarted: ReadonlySet<NodeId> = new Set(),
    /** Those to which anything happened since the last call. */
    changed: readonly Observed[] = nodes,
  ): void {
    for (const node of changed) {
      checkNode(node.state);
      this.#members.observe(node.state);
      this.#noteVote(node);
    }
    for (const node of changed) {
      this.#checkElection(node);
      this.#checkCommitted(node, nodes);
      this.#checkAdvance(node, restarted.has(node.state.id));
    }
    this.#checkLogMatching(nodes);
  }

  /** The node's disk is another one, and empty: what it promised before was another member's, of another incarnation. */
  forget(id: NodeId): void {
    this.#seen.delete(id);
    this.#voted.delete(id);
    this.#members.forget(id);
  }

  /**
   * State Machine Safety (§5.4.3): no two nodes apply different entries at one index, and none skips one. `term` is that of
   * the node: it was told by a leader of that term or of an earlier one that the entry is committed.
   */
  applied(id: NodeId, entry: Entry, term: Term): void {
    this.#committedBy[entry.index] = Math.min(this.#committedBy[entry.index] ?? Infinity, term);
    const known = this.#committed[entry.index];
    if (known === undefined) {
      this.#committed[entry.index] = entry;
      return;
    }
    invariant(known.term === entry.term, () => `node ${id} applies another entry ${entry.index}`);
    invariant(
      Buffer.compare(known.data, entry.data) === 0,
      () => `node ${id} applies other data at ${entry.index}`,
    );
  }

  /** Election Safety (§5.2): one durable vote a node and term, never taken back. */
  #noteVote({ state, incarnation, disk }: Observed): void {
    const member = `${state.id}/${incarnation}`;
    if (this.#diskTerms.get(member) !== disk.term) this.#diskTerms.set(member, disk.term);
    if (disk.vote === undefined) return;
    const noted = this.#voted.get(state.id);
    if (noted?.term === disk.term && noted.vote === disk.vote) return;
    this.#voted.set(state.id, { term: disk.term, vote: disk.vote });
    const key = `${member}/${disk.term}`;
    const vote = this.#votes.get(key);
    invariant(
      vote === undefined || vote === disk.vote,
      () => `node ${state.id} voted twice in term ${disk.term}`,
    );
    this.#votes.set(key, disk.vote);
  }

  /** Election Safety (§5.2): one leader a term, that majorities of the voters it knows have voted for (§6). */
  #checkElection({ state }: Observed): void {
    const { id, term, current } = state;
    if (current.role !== 'leader') return;
    const known = this.#leaders.get(term);
    invariant(known === undefined || known === id, () => `two leaders in term ${term}: ${known} and ${id}`);
    if (known !== undefined) return;
    this.#leaders.set(term, id);
    // A vote may leave once its voter's disk holds a later term instead: then it can't be given to another any more.
    const voted = (voter: NodeId, incarnation: string | undefined): boolean => {
      const member = `${voter}/${incarnation ?? ''}`;
      const vote = this.#votes.get(`${member}/${term}`);
      return vote === undefined ? (this.#diskTerms.get(member) ?? 0) > term : vote === id;
    };
    invariant(
      decides(latestOf(state), voted),
      () => `leader ${id} of term ${term} was not elected by majorities of the voters`,
    );
    this.#checkCompleteness(state);
  }

  /**
   * Leader Completeness (§5.4.3): a new leader's log holds everything that was committed in earlier terms. Not what came later: a
   * candidate that stood still may count its votes when its term is long over.
   */
  #checkCompleteness(state: Readonly<RaftState>): void {
    this.#committed.forEach((entry) => {
      if (entry === undefined || entry.index <= state.log.base.index) return;
      if ((this.#committedBy[entry.index] ?? Infinity) >= state.term) return;
      const term = state.log.termAt(entry.index);
      invariant(
        term === entry.term,
        () => `leader ${state.id} of term ${state.term} lacks committed entry ${entry.index}`,
      );
    });
  }

  /** Nothing goes back; a leader never overwrites or removes its own entries (Leader Append-Only, §5.3). */
  #checkAdvance({ state, disk }: Observed, restarted: boolean): void {
    const { id, term, log, current } = state;
    const seen = this.#seen.get(id);
    if (seen !== undefined) {
      invariant(disk.term >= seen.diskTerm, () => `node ${id}: the term on disk went back`);
      if (!restarted) {
        invariant(term >= seen.term, () => `node ${id}: the term went back`);
        invariant(log.commit >= seen.commit, () => `node ${id}: the commit index went back`);
        invariant(log.applied >= seen.applied, () => `node ${id}: applied went back`);
        const stillLeads = seen.ledTo !== undefined && current.role === 'leader' && term === seen.term;
        // By Log Matching the last entry stands for all before it.
        invariant(
          !stillLeads || log.holds(seen.ledTo),
          () => `leader ${id} of term ${term} changed its own log`,
        );
        invariant(
          !stillLeads || log.commit === seen.commit || log.termAt(log.commit) === term,
          () => `leader ${id} of term ${term} commits entry ${log.commit} of an earlier term (§5.4.2)`,
        );
      }
    }
    const ledTo = current.role === 'leader' ? { index: log.lastIndex, term: log.lastTerm } : undefined;
    const { configuration } = state;
    const { commit, applied } = log;
    this.#seen.set(id, { diskTerm: disk.term, term, commit, applied, ledTo, configuration });
  }

  /**
   * Committed means durable on a majority: on their disks, not in their memories. A disk that has lost it counts while its node
   * knows that: it votes for nobody who lacks it.
   */
  #checkCommitted({ state }: Observed, nodes: readonly Observed[]): void {
    const { commit } = state.log;
    const term = state.log.termAt(commit);
    if (commit === 0 || term === undefined) return;
    const covers = (id: NodeId, incarnation: string | undefined): boolean =>
      nodes.some(
        (node) =>
          node.state.id === id && node.incarnation === incarnation && isCovered(node.disk, commit, term),
      );
    const isDecided = ({ configuration }: { readonly configuration: Configuration }): boolean =>
      decides(configuration, covers);
    // It was committed under the configuration of some leader, which this node may not have heard of yet.
    const holds =
      state.configurations.some(isDecided) ||
      nodes.some((node) => node.state !== state && node.state.configurations.some(isDecided));
    invariant(holds, () => {
      const covering = nodes.filter(({ disk }) => isCovered(disk, commit, term));
      return `entry ${commit} is committed on the disks of ${covering.map((node) => node.state.id).join(', ')} only`;
    });
    const seen = this.#seen.get(state.id);
    if (state.current.role !== 'leader' || seen?.ledTo === undefined || seen.term !== state.term) return;
    if (commit === seen.commit) return;
    // The leader itself goes by the latest members in its log (§6); with the entry, it may have committed their joint configuration, and left it.
    const own = [latestOf(state), seen.configuration];
    invariant(
      own.some((configuration) => decides(configuration, covers)),
      () => `leader ${state.id} commits entry ${commit} without a majority of each group of its voters`,
    );
  }

  /** Log Matching (§5.3): logs that agree on one entry agree on all before it. */
  #checkLogMatching(nodes: readonly Observed[]): void {
    const changed = nodes.map(({ state: { log } }, at) => {
      const { lastIndex, lastTerm, termRuns } = log;
      const end = this.#ends[at];
      if (end?.lastIndex === lastIndex && end.lastTerm === lastTerm && end.runs === termRuns.length)
        return false;
      this.#ends[at] = { lastIndex, lastTerm, runs: termRuns.length };
      return true;
    });
    this.#ends.length = nodes.length;
    if (!changed.includes(true)) return;
    nodes.forEach((a, at) => {
      for (let other = at + 1; other < nodes.length; other += 1) {
        const b = nodes[other];
        if (b !== undefined && (changed[at] === true || changed[other] === true))
          checkMatching(a.state, b.state);
      }
    });
  }
}

/** By the entry itself, by a snapshot, or by what its node knows to have lost. */
function isCovered(disk: Observed['disk'], index: Index, term: Term): boolean {
  return disk.base >= index || disk.lostEnd >= index || disk.termAt(index) === term;
}

/** Of its log, whatever it makes of it. */
function latestOf({ configurations, configuration }: Readonly<RaftState>): Configuration {
  return configurations.at(-1)?.configuration ?? configuration;
}

function checkMatching(a: Readonly<RaftState>, b: Readonly<RaftState>): void {
  const first = Math.max(a.log.base.index, b.log.base.index);
  const starts = [...a.log.termRuns, ...b.log.termRuns].map((run) => run.index).sort((x, y) => y - x);
  let agree = false;
  let end = Math.min(a.log.lastIndex, b.log.lastIndex);
  // Between the starts of two runs neither log changes its term, so one look at each stretch will do.
  for (const start of [...starts, first]) {
    if (end < first) return;
    if (start > end) continue;
    const same = a.log.termAt(end) === b.log.termAt(end);
    invariant(same || !agree, () => `logs of ${a.id} and ${b.id} agree behind ${end} but not there`);
    agree ||= same;
    end = start - 1;
  }
}
