/**
 * A small model of Raft that walks along a trace, by the rules of the TLA+ specification that traces are written for: a step
 * that it can't take, or a state that is not its own, is an error. It shares no code with the core.
 */

export interface Line {
  readonly tag: string;
  readonly event: Event;
}

interface Event {
  readonly name: string;
  readonly nid: string;
  readonly state: { readonly term: number; readonly vote: string; readonly commit: number };
  readonly role: string;
  readonly log: number;
  readonly conf: readonly [readonly string[], readonly string[]];
  readonly msg?: Msg;
}

interface Msg {
  readonly type: string;
  readonly term: number;
  readonly from: string;
  readonly to: string;
  readonly entries: number;
  readonly logTerm: number;
  readonly index: number;
  readonly commit: number;
  readonly reject: boolean;
}

/** A message of the model: what the trace says of it, and the terms of its entries. */
interface Sent {
  readonly msg: Omit<Msg, 'vote' | 'rejectHint'>;
  readonly terms: readonly number[];
}

interface Durable {
  readonly term: number;
  readonly vote: string;
  readonly log: readonly number[];
}

interface NodeModel {
  term: number;
  vote: string;
  role: string;
  commit: number;
  /** The term of each entry. */
  log: number[];
  readonly granted: Set<string>;
  readonly match: Map<string, number>;
  /** Sent, and not before the next `Ready` on its way. */
  pending: Sent[];
  durable: Durable;
  /** Set by a receipt: the next line of this node says that it became a follower, and then the message is handled. */
  follows: (() => void) | undefined;
}

const NOBODY = '0';

export interface Report {
  readonly lines: number;
  readonly names: ReadonlyMap<string, number>;
}

/** @throws Error that names the first line that does not follow from those before */
export function checkTrace(lines: readonly Line[]): Report {
  const model = new Model();
  lines.forEach((line, at) => {
    try {
      if (line.tag !== 'trace') throw new Error(`its tag is ${line.tag}`);
      model.take(line.event);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`line ${at + 1}: ${why}\n${JSON.stringify(line)}`, { cause: error });
    }
  });
  return { lines: lines.length, names: model.names };
}

function must(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}

class Model {
  readonly names = new Map<string, number>();
  readonly #nodes = new Map<string, NodeModel>();
  readonly #network = new Map<string, Sent[]>();
  readonly #leaders = new Map<number, string>();
  #voters: readonly string[] = [];

  take(event: Event): void {
    const { name, nid, conf } = event;
    this.names.set(name, (this.names.get(name) ?? 0) + 1);
    if (this.#voters.length === 0) [this.#voters] = conf;
    must(JSON.stringify(conf) === JSON.stringify([this.#voters, []]), 'the configuration is another one');
    if (name === 'InitState') {
      this.#init(event);
      return;
    }
    const node = this.#node(nid);
    const { follows } = node;
    must(follows === undefined || name === 'BecomeFollower', 'it should become a follower first');
    if (name === 'Replicate') {
      must(node.role === 'StateLeader', 'only a leader replicates');
      node.log.push(node.term);
      return;
    }
    if (name === 'Ready') {
      ready(node, event);
      for (const sent of node.pending.splice(0)) this.#inFlight(sent).push(sent);
      return;
    }
    if (name.startsWith('Receive')) {
      compare(node, event);
      this.#receive(node, event);
      return;
    }
    if (name.startsWith('Send')) this.#send(node, event);
    else if (name === 'BecomeFollower') node.role = 'StateFollower';
    else if (name === 'BecomeCandidate') becomeCandidate(node, nid);
    else if (name === 'BecomeLeader') this.#becomeLeader(node, nid);
    else if (name === 'Commit') this.#commit(node);
    else throw new Error(`there is no event ${name}`);
    compare(node, event);
    node.follows = undefined;
    follows?.();
  }

  #node(id: string): NodeModel {
    const node = this.#nodes.get(id);
    must(node !== undefined, `node ${id} has not started`);
    return node;
  }

  #init(event: Event): void {
    const { state, log, nid } = event;
    const before = this.#nodes.get(nid);
    must(event.role === 'StateFollower', 'a node starts as a follower');
    if (before === undefined) {
      must(
        log === 1 && state.term === 1 && state.commit === 1,
        'a run starts with one committed entry of term 1',
      );
    } else {
      const { durable } = before;
      must(state.term >= durable.term, 'the durable term is lost');
      must(
        state.term > durable.term || state.vote === durable.vote || durable.vote === NOBODY,
        'a vote is lost',
      );
      must(state.commit <= before.commit, 'it starts with a commit index it never had');
    }
    const recovered = before === undefined ? [1] : recoveredLog(before, log);
    must(state.commit <= log, 'the commit index is beyond the log');
    this.#nodes.set(nid, {
      ...state,
      role: event.role,
      log: recovered,
      granted: new Set(),
      match: new Map(),
      pending: [],
      durable: { ...state, log: recovered },
      follows: undefined,
    });
  }

  #becomeLeader(node: NodeModel, id: string): void {
    must(node.role === 'StateCandidate', 'only a candidate becomes the leader');
    must(
      this.#isQuorum((voter) => node.granted.has(voter)),
      'no majority has voted for it',
    );
    const other = this.#leaders.get(node.term);
    must(other === undefined, `${other} has led this term`);
    this.#leaders.set(node.term, id);
    node.role = 'StateLeader';
    node.match.clear();
    node.match.set(id, node.log.length);
  }

  #commit(node: NodeModel): void {
    must(node.role === 'StateLeader', 'only a leader commits');
    let agreed = node.log.length;
    while (agreed > 0 && !this.#isQuorum((voter) => (node.match.get(voter) ?? 0) >= agreed)) agreed -= 1;
    if (node.log[agreed - 1] === node.term) node.commit = Math.max(node.commit, agreed);
  }

  #isQuorum(has: (voter: string) => boolean): boolean {
    return this.#voters.filter(has).length * 2 > this.#voters.length;
  }

  #send(node: NodeModel, { msg, nid, name }: Event): void {
    must(msg !== undefined && msg.from === nid, 'it sends as somebody else');
    must(name === `Send${kindOf(msg)}`, 'the name is not that of the message');
    const own = msg.to === nid;
    if (name.endsWith('Response') && !own) {
      const isSame = (sent: Sent): boolean => keyOf(sent.msg) === keyOf(msg);
      const owed = node.pending.some(isSame) || this.#inFlight({ msg, terms: [] }).length > 0;
      // Refusals of votes have reasons that this model does not know, and are not received then.
      must(owed || (msg.reject && msg.type === 'MsgVoteResp'), 'nobody is owed that answer');
      promised(node, msg);
      return;
    }
    must(msg.term === node.term, 'it sends in another term than its own');
    let terms: readonly number[] = [];
    if (msg.type === 'MsgVote' || msg.type === 'MsgVoteResp') {
      must(node.role === 'StateCandidate', 'only a candidate asks for votes');
      must(
        own || (msg.index === node.log.length && msg.logTerm === (node.log.at(-1) ?? 0)),
        'that is not the end of its log',
      );
    } else {
      must(node.role === 'StateLeader', 'only a leader sends that');
      const last = msg.index + msg.entries;
      const match = node.match.get(msg.to) ?? 0;
      if (msg.type === 'MsgAppResp')
        must(msg.index === node.log.length, 'its own answer is for its whole log');
      else if (msg.type === 'MsgSnap') {
        // It stands for all entries up to there, whatever the receiver is known to have.
        must(msg.index === 0 && msg.logTerm === 0, 'a snapshot is of all from the beginning');
        must(msg.entries <= node.commit, 'a snapshot covers what is not committed');
        terms = node.log.slice(0, last);
      } else if (msg.type === 'MsgHeartbeat')
        must(msg.commit === Math.min(node.commit, match), 'it commits what is not known to match');
      else {
        must(msg.index >= match && last <= node.log.length, 'it sends other entries than it should');
        must(msg.logTerm === (node.log[msg.index - 1] ?? 0), 'the previous entry has another term');
        must(msg.commit === Math.min(node.commit, last), 'it commits beyond what it sends');
        terms = node.log.slice(msg.index, last);
      }
    }
    node.pending.push({ msg, terms });
  }

  #inFlight({ msg }: Sent): Sent[] {
    const key = keyOf(msg);
    const sent = this.#network.get(key) ?? [];
    this.#network.set(key, sent);
    return sent;
  }

  #receive(node: NodeModel, { msg, nid, name }: Event): void {
    must(msg !== undefined && msg.to === nid, 'it receives what is for somebody else');
    must(name === `Receive${kindOf(msg)}`, 'the name is not that of the message');
    const sent = this.#inFlight({ msg, terms: [] }).shift();
    must(sent !== undefined, 'nobody has sent that');
    const isAppend = isAppendRequest(msg);
    if (msg.term > node.term) {
      enterTerm(node, msg.term);
      node.role = 'StateFollower';
      node.follows = () => this.#handle(node, sent);
    } else if (isAppend && msg.term === node.term && node.role === 'StateCandidate') {
      node.role = 'StateFollower';
      node.follows = () => this.#handle(node, sent);
    } else this.#handle(node, sent);
  }

  #handle(node: NodeModel, sent: Sent): void {
    const { msg } = sent;
    const { from, term, reject } = msg;
    if (msg.type === 'MsgVote') handleVote(node, msg);
    else if (isAppendRequest(msg)) handleAppend(node, sent);
    else if (term < node.term || reject) return;
    else if (msg.type === 'MsgVoteResp') node.granted.add(from);
    else if (msg.type === 'MsgAppResp') node.match.set(from, Math.max(node.match.get(from) ?? 0, msg.index));
  }
}

function compare(node: NodeModel, { state, role, log }: Event): void {
  const { term, vote, commit } = node;
  const own = JSON.stringify([term, vote, commit, node.role, node.log.length]);
  const said = JSON.stringify([state.term, state.vote, state.commit, role, log]);
  must(own === said, `the state is ${own} (term, vote, commit, role, log), the trace says ${said}`);
}

function enterTerm(node: NodeModel, term: number): void {
  node.term = term;
  node.vote = NOBODY;
}

function becomeCandidate(node: NodeModel, id: string): void {
  must(node.role !== 'StateLeader', 'a leader does not campaign');
  enterTerm(node, node.term + 1);
  node.vote = id;
  node.role = 'StateCandidate';
  node.granted.clear();
}

function ready(node: NodeModel, { state, log }: Event): void {
  const { durable } = node;
  must(state.term >= durable.term && state.term <= node.term, 'the durable term goes back or ahead');
  const kept = state.term > durable.term || durable.vote === NOBODY || durable.vote === state.vote;
  must(kept, 'a durable vote is another one');
  must(
    state.term < node.term || state.vote === NOBODY || state.vote === node.vote,
    'a vote is durable that was not given',
  );
  must(log <= node.log.length && state.commit <= Math.min(node.commit, log), 'what is durable is not there');
  node.durable = { term: state.term, vote: state.vote, log: node.log.slice(0, log) };
}

/** What an answer promises is durable when it leaves. */
function promised({ durable, log, term }: NodeModel, msg: Msg): void {
  if (msg.reject) return;
  must(durable.term >= msg.term || msg.type === 'MsgHeartbeatResp', 'its term is not durable');
  if (msg.type === 'MsgVoteResp')
    must(durable.term > msg.term || durable.vote === msg.to, 'the vote is not durable');
  if (msg.type !== 'MsgAppResp' || msg.term !== term) return;
  const held = durable.log.length >= msg.index && durable.log[msg.index - 1] === log[msg.index - 1];
  must(held, 'the entries are not durable');
}

/** A write that was under way when the node died may have reached the disk or not. */
function recoveredLog({ durable, log }: NodeModel, length: number): number[] {
  const shared = durable.log.findIndex((term, at) => log[at] !== term);
  const overwritten = shared >= 0 || log.length < durable.log.length;
  must(length >= durable.log.length || overwritten, 'the durable log is lost');
  must(length <= Math.max(log.length, durable.log.length), 'the log is longer than it ever was');
  return length > durable.log.length || !overwritten ? log.slice(0, length) : durable.log.slice(0, length);
}

function handleVote(node: NodeModel, msg: Sent['msg']): void {
  const lastTerm = node.log.at(-1) ?? 0;
  const logOk = msg.logTerm > lastTerm || (msg.logTerm === lastTerm && msg.index >= node.log.length);
  const granted = msg.term === node.term && logOk && (node.vote === NOBODY || node.vote === msg.from);
  if (granted) node.vote = msg.from;
  answer(node, msg, { type: 'MsgVoteResp', reject: !granted });
}

function handleAppend(node: NodeModel, { msg, terms }: Sent): void {
  const { index: prev, type } = msg;
  if (msg.term < node.term) {
    answer(node, msg, { type: 'MsgAppResp', reject: true });
    return;
  }
  must(node.role === 'StateFollower', 'two leaders in one term');
  if (type === 'MsgHeartbeat') {
    node.commit = Math.max(node.commit, msg.commit);
    answer(node, msg, { type: 'MsgHeartbeatResp' });
  } else if (type === 'MsgSnap') {
    // Beyond what is committed it takes the log's place, unless the log has it already (§7).
    const covered = terms.length;
    if (covered > node.commit) {
      if (node.log[covered - 1] !== terms.at(-1)) node.log = [...terms];
      node.commit = covered;
    }
    answer(node, msg, { type: 'MsgAppResp', index: node.commit });
  } else if (prev > 0 && node.log[prev - 1] !== msg.logTerm)
    answer(node, msg, { type: 'MsgAppResp', reject: true });
  else if (prev < node.commit) answer(node, msg, { type: 'MsgAppResp', index: node.commit });
  else {
    const fresh = terms.findIndex((term, at) => node.log[prev + at] !== term);
    if (fresh >= 0) {
      must(prev + fresh >= node.commit, 'a committed entry is removed');
      node.log = [...node.log.slice(0, prev + fresh), ...terms.slice(fresh)];
    }
    node.commit = Math.max(node.commit, Math.min(msg.commit, prev + terms.length));
    answer(node, msg, { type: 'MsgAppResp', index: prev + terms.length });
  }
}

function isAppendRequest({ type }: Pick<Msg, 'type'>): boolean {
  return type === 'MsgApp' || type === 'MsgHeartbeat' || type === 'MsgSnap';
}

function answer(
  node: NodeModel,
  { from, to }: Sent['msg'],
  said: Partial<Msg> & { readonly type: string },
): void {
  const rest = { entries: 0, logTerm: 0, index: 0, commit: 0, reject: false };
  node.pending.push({ msg: { ...rest, term: node.term, from: to, to: from, ...said }, terms: [] });
}

function kindOf({ type }: Msg): string {
  const kind = type.startsWith('MsgVote') ? 'RequestVote' : 'AppendEntries';
  return `${kind}${type.endsWith('Resp') ? 'Response' : 'Request'}`;
}

/** What the specification compares: of a refusal not where it is. */
function keyOf({ type, term, from, to, entries, logTerm, index, commit, reject }: Sent['msg']): string {
  return JSON.stringify(
    reject ? [type, term, from, to] : [type, term, from, to, entries, logTerm, index, commit],
  );
}
