/**
 * Scenarios as text: a command a line, and below it, indented, what it leads to, compared exactly. An indented "?" is filled in when the
 * scenarios are updated; a command with nothing below it may lead to anything. `scenarios/README.md` lists the commands.
 */

import type { NodeId } from '../../membership/configuration.js';
import type { Message } from '../../raft/messages.js';
import { Stage } from './scenario-stage.js';
import { appliedText, entriesText, logOf, messageText, progressText } from './scenario-text.js';

type Command = (stage: Stage, words: string[]) => void;

function number(word: string | undefined): number {
  const value = Number(word);
  if (word === undefined || !Number.isInteger(value))
    throw new Error(`${word ?? 'nothing'} is not a whole number`);
  return value;
}

function need(word: string | undefined, what: string): string {
  if (word === undefined) throw new Error(`${what} is missing`);
  return word;
}

/** "n1 n2", or "all". */
function someOf(stage: Stage, words: readonly string[]): readonly NodeId[] {
  if (words.length === 0 || words[0] === 'all') return stage.ids;
  for (const id of words) stage.cluster.node(id);
  return words;
}

/** "n1>n2 appendEntries", "n1>", ">n2", "heartbeat", or nothing: all messages. */
function filterOf(words: readonly string[]): (message: Message) => boolean {
  const link = words.find((word) => word.includes('>'));
  const types = words.filter((word) => word !== link);
  const [from = '', to = ''] = link?.split('>') ?? [];
  return (message) =>
    (from === '' || message.from === from) &&
    (to === '' || message.to === to) &&
    (types.length === 0 || types.includes(message.type));
}

const SETUP: Readonly<Record<string, Command>> = {
  nodes: ({ setup }, [count]) => {
    setup.ids = Array.from({ length: number(count) }, (_, at) => `n${at + 1}`);
    for (const id of setup.ids) {
      // As a cluster begins: one committed entry of term 1.
      setup.logs[id] = [1];
      setup.commits[id] = 1;
    }
  },
  learner: ({ setup }, [id]) => void setup.learners.push(need(id, 'the node')),
  spare: ({ setup }, ids) => void setup.spares.push(...ids),
  terms: ({ setup }, [id, ...terms]) => void (setup.logs[need(id, 'the node')] = terms.map(number)),
  committed: ({ setup }, [id, index]) => void (setup.commits[need(id, 'the node')] = number(index)),
  term: ({ setup }, [id, term]) => void (setup.terms[need(id, 'the node')] = number(term)),
  window: ({ setup }, [appends, bytes]) =>
    void (setup.raft = { ...setup.raft, window: { appendsMax: number(appends), bytesMax: number(bytes) } }),
  option: ({ setup }, [name, value]) =>
    void (setup.raft = { ...setup.raft, [need(name, 'the option')]: number(value) }),
};

const TIME: Readonly<Record<string, Command>> = {
  tick: (stage, words) => {
    const last = words.at(-1);
    const count = last !== undefined && /^\d+$/.test(last) ? number(words.pop()) : 1;
    for (let ticks = 0; ticks < count; ticks += 1) for (const id of someOf(stage, words)) stage.tick(id);
  },
  pass: (stage, [count]) => {
    for (let ticks = 0; ticks < number(count); ticks += 1) {
      for (const id of stage.ids) stage.tick(id);
      stage.deliver((message) => !stage.cluster.hold(message), { andMore: true });
    }
  },
  timeout: (stage, [id, ticks]) => stage.timeout(need(id, 'the node'), number(ticks)),
  campaign: (stage, [id]) => {
    stage.timeout(need(id, 'the node'), 1);
    stage.tick(need(id, 'the node'));
  },
  elect: (stage, [id]) => {
    stage.timeout(need(id, 'the node'), 1);
    stage.tick(need(id, 'the node'));
    stage.deliver((message) => !stage.cluster.hold(message), { andMore: true });
    if (stage.cluster.leader?.id !== id) throw new Error(`${id ?? ''} is not elected`);
  },
};

const NETWORK: Readonly<Record<string, Command>> = {
  deliver: (stage, words) => {
    const { network, hold } = stage.cluster;
    const [which = ''] = words;
    const one = which === 'first' || which === 'last';
    const matches = filterOf(one ? words.slice(1) : words);
    const wanted = (message: Message): boolean => matches(message) && !hold(message);
    const [chosen] = network.filter(wanted).slice(which === 'last' ? -1 : 0);
    stage.deliver(one ? (message) => message === chosen : wanted, { andMore: words.length === 0 });
  },
  send: ({ cluster }, words) => void cluster.network.push(requestOf(words)),
  duplicate: (stage, words) => stage.deliver(filterOf(words), { keep: true }),
  drop: ({ cluster }, words) => {
    const unwanted = filterOf(words);
    cluster.network.splice(0, Infinity, ...cluster.network.filter((message) => !unwanted(message)));
  },
  lose: ({ cluster }, words) => void (cluster.lose = words[0] === 'nothing' ? () => false : filterOf(words)),
  hold: ({ cluster }, words) => void (cluster.hold = words[0] === 'nothing' ? () => false : filterOf(words)),
  partition: (stage, words) =>
    stage.partition(
      words
        .join(' ')
        .split('|')
        .map((group) => group.trim().split(' ')),
    ),
  cut: (stage, [link]) => stage.cut(...linkOf(link)),
  heal: (stage) => stage.heal(),
  unreachable: (stage, [link]) => {
    const [from, to] = linkOf(link);
    stage.do((cluster) => {
      cluster.node(from).raft.unreachable(to);
      cluster.pump(cluster.node(from));
    });
  },
};

/** "n1>n2 requestVote term 3 last 4@2": a request that a test makes up. */
function requestOf([link, type, , term, , last, transfer]: readonly string[]): Message {
  const [from, to] = linkOf(link);
  const [lastIndex, lastTerm] = need(last, 'the end of the log').split('@').map(number);
  const request = { from, to, term: number(term), lastIndex: lastIndex ?? 0, lastTerm: lastTerm ?? 0 };
  if (type === 'preVote') return { type, ...request };
  if (type === 'requestVote') return { type, ...request, transfer: transfer === 'transfer' };
  throw new Error(`${type ?? 'nothing'} is not a request for votes`);
}

function linkOf(link: string | undefined): [NodeId, NodeId] {
  const [from, to] = link?.split('>') ?? [];
  return [need(from, 'the sender'), need(to, 'the receiver')];
}

const NODES: Readonly<Record<string, Command>> = {
  propose: (stage, [id, ...commands]) => {
    let answer: unknown;
    stage.do((cluster) => (answer = cluster.propose(need(id, 'the node'), ...commands)));
    if (typeof answer === 'string') stage.tell(answer);
  },
  read: (stage, [id, , name]) => {
    const answer = stage.read(need(id, 'the node'), need(name, 'the name'), false);
    if (answer !== 'taken') stage.tell(answer);
  },
  lease: (stage, [id, , name]) => {
    const answer = stage.read(need(id, 'the node'), need(name, 'the name'), true);
    if (answer !== 'taken') stage.tell(answer);
  },
  transfer: (stage, [from, , to]) => {
    let answer = '';
    stage.do((cluster) => {
      const node = cluster.node(need(from, 'the leader'));
      answer = node.raft.transfer(need(to, 'the target'));
      cluster.pump(node);
    });
    if (answer !== 'taken') stage.tell(answer);
  },
  snapshot: (stage, [id, , through]) =>
    stage.do((cluster) =>
      cluster.snapshot(need(id, 'the node'), through === undefined ? undefined : number(through)),
    ),
  again: (stage, [id]) => stage.do((cluster) => cluster.sendAgain(need(id, 'the leader'))),
  add: (stage, [leader, id]) =>
    stage.ask((cluster) => cluster.add(need(leader, 'the leader'), need(id, 'the node'))),
  promote: (stage, [leader, id]) =>
    stage.ask((cluster) =>
      cluster.change(need(leader, 'the leader'), { type: 'promote', id: need(id, 'the node') }),
    ),
  remove: (stage, [leader, id]) =>
    stage.ask((cluster) =>
      cluster.change(need(leader, 'the leader'), { type: 'remove', id: need(id, 'the node') }),
    ),
  wipe: (stage, [id]) => stage.wipe(need(id, 'the node')),
  stall: ({ cluster }, [id]) => cluster.holdDisk(need(id, 'the node')),
  durable: (stage, [id]) => stage.do((cluster) => cluster.sync(need(id, 'the node'))),
  unstall: (stage, [id]) => stage.do((cluster) => cluster.holdDisk(need(id, 'the node'), false)),
  crash: (stage, [id, how]) =>
    stage.crash(need(id, 'the node'), { written: how === 'written', stateLost: how === 'stateless' }),
  restart: (stage, [id]) => stage.restart(need(id, 'the node')),
};

function stateText({ cluster }: Stage, id: NodeId): string {
  const { raft, up } = cluster.node(id);
  const { term, vote, log, current } = raft.state;
  const rest = `vote ${vote ?? 'none'} knows ${raft.leader ?? 'none'} last ${log.lastIndex} commit ${log.commit}`;
  return `${id} ${up ? current.role : 'down'} term ${term} ${rest}`;
}

function membersText({ cluster }: Stage, id: NodeId): string {
  const { configuration, log, configurations } = cluster.state(id);
  const names = configuration.members.map(({ id: name, voter }) => (voter ? name : `(${name})`)).join(' ');
  const outgoing = configuration.outgoing === undefined ? '' : ` from ${configuration.outgoing.join(' ')}`;
  const isCommitted = (configurations.at(-1)?.index ?? 0) <= log.commit;
  return `${id} ${names}${outgoing}${isCommitted ? '' : ', not committed'}`;
}

const LOOKS: Readonly<Record<string, Command>> = {
  state: (stage, words) => stage.tell(...someOf(stage, words).map((id) => stateText(stage, id))),
  log: (stage, words) =>
    stage.tell(...someOf(stage, words).map((id) => `${id} ${entriesText(logOf(stage.cluster.state(id)))}`)),
  applied: (stage, words) =>
    stage.tell(...someOf(stage, words).map((id) => `${id} ${appliedText(stage.cluster.node(id).applied)}`)),
  members: (stage, words) => stage.tell(...someOf(stage, words).map((id) => membersText(stage, id))),
  progress: (stage, [id]) => stage.tell(...progressText(stage.cluster.state(need(id, 'the leader')))),
  inflight: (stage) => stage.tell(...stage.cluster.network.map(messageText)),
  expect: (stage, words) => {
    const wanted = words.join(' ');
    const lines = evidence(stage, words);
    if (!lines.some((line) => has(line, wanted)))
      throw new Error(`"${wanted}" is expected; there is\n${lines.join('\n')}`);
  },
};

/** What an expectation is looked up in, each in the words that it is written in. */
function evidence(stage: Stage, [first = '', second = '']: readonly string[]): string[] {
  const { cluster } = stage;
  if (first === 'sent') return stage.justSent.map((line) => `sent ${line}`);
  if (first === 'log') return [`log ${second} ${entriesText(logOf(cluster.state(second)))}`];
  if (first === 'applied') return [`applied ${second} ${appliedText(cluster.node(second).applied)}`];
  if (first === 'read') return [stage.readState(second)];
  return [stateText(stage, first)];
}

/** Whether the words stand in the line, in this order; others may be between them, except in logs and what was applied. */
function has(line: string, wanted: string): boolean {
  if (/^(log|applied) /.test(wanted)) return line === wanted;
  const words = line.split(' ');
  let from = 0;
  return wanted.split(' ').every((word) => {
    const at = words.indexOf(word, from);
    from = at + 1;
    return at >= 0;
  });
}

const COMMANDS: ReadonlyMap<string, Command> = new Map(
  [SETUP, TIME, NETWORK, NODES, LOOKS].flatMap((commands) => Object.entries(commands)),
);

export interface Played {
  /** The scenario with what really happened in place of what was expected. */
  readonly text: string;
  readonly commands: number;
  /** Commands that something is expected of. */
  readonly checks: number;
}

const INDENT = '  ';

/** @throws Error that names the line */
export function play(script: string): Played {
  const stage = new Stage();
  const lines = script.split('\n');
  const out: string[] = [];
  let commands = 0;
  let checks = 0;
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    out.push(line);
    if (line.trim() === '' || line.startsWith('#')) continue;
    if (line.startsWith(INDENT)) throw new Error(`line ${at + 1}: nothing above leads to this`);
    commands += 1;
    run(stage, line, at + 1);
    let end = at + 1;
    while (lines[end]?.startsWith(INDENT) === true) end += 1;
    if (end > at + 1) {
      const told = stage.told();
      out.push(...(told.length === 0 ? ['nothing'] : told).map((text) => INDENT + text));
    }
    if (end > at + 1 || line.startsWith('expect ')) checks += 1;
    at = end - 1;
  }
  return { text: out.join('\n'), commands, checks };
}

function run(stage: Stage, line: string, number: number): void {
  const [name = '', ...words] = line.trim().split(/ +/);
  const command = COMMANDS.get(name);
  if (command === undefined) throw new Error(`line ${number}: there is no command "${name}"`);
  stage.begin(name in LOOKS);
  try {
    command(stage, words);
  } catch (error) {
    const told = stage.told().join('\n');
    throw new Error(
      `line ${number}: ${line}\n${told}\n${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}
