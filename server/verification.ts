/**
 * Whether the states of the nodes are one and the same. From time to time the leader proposes a mark; each voter, once it has applied it,
 * proposes what its chain (`kv/chain.ts`) was there. So all of them see the same attestations in the same order, and
 * judge for themselves: one that differs from a majority stops, to be made anew; where no majority agrees, all of them stop
 * (`docs/decisions/0029`).
 */

import { encodeCommand } from '../kv/codec.js';
import type { Chain } from '../kv/chain.js';
import { CHAIN_ROW, chainText, decodeChain } from '../kv/chain.js';
import type { AttestCommand } from '../kv/command.js';
import type { NodeId } from '../membership/configuration.js';
import { StorageError } from '../persistence/errors.js';
import type { StateMark } from '../persistence/state-mark.js';
import type { StateStore } from '../persistence/state-store.js';
import type { Index } from '../raft/entry.js';
import type { AppliedEntry } from './applier.js';
import type { Node } from './node.js';
import type { Clock } from './ports.js';

/** Between two marks, where something was written. */
export const MARK_EVERY_MS = 10_000;
/** Marks that attestations are awaited for; older ones are judged no more. */
const MARKS_MAX = 8;

export interface VerificationParts {
  readonly node: Node;
  readonly clock: Pick<Clock, 'every'>;
  readonly store: Pick<StateStore, 'getMany'>;
  /** Has the command decided, wherever the leader is; failures are of no interest. */
  readonly attest: (command: AttestCommand) => void;
  readonly events: {
    /** Other nodes are another than the majority, which this one belongs to. */
    differ(nodes: readonly NodeId[], index: Index): void;
    /** This node's state must not be used any more: the process ends. */
    unusable(mark: StateMark & { readonly kind: 'diverged' | 'disputed' }): void;
  };
  readonly markEveryMs?: number;
}

interface Mark {
  readonly index: Index;
  readonly own: Chain;
  readonly attested: Map<NodeId, Chain>;
  settled: boolean;
}

export class Verification {
  readonly #parts: VerificationParts;
  /** What was judged before this start is not judged again, when the log brings it once more. */
  readonly #from: Index;
  #marks: Mark[] = [];
  #proposing = false;

  constructor(parts: VerificationParts) {
    this.#parts = parts;
    this.#from = parts.node.state.log.lastIndex;
  }

  /** The leader looks from now on; the result ends it. */
  start(): () => void {
    const { clock, markEveryMs = MARK_EVERY_MS } = this.#parts;
    return clock.every(markEveryMs, () => this.#look());
  }

  applied(applied: readonly AppliedEntry[]): void {
    for (const { entry, results } of applied) {
      // Neither shares its entry with another command.
      const [result] = results;
      if (result?.status === 'marked') this.#marked(entry.index, result.chain);
      else if (result?.status === 'attested') this.#attested(result);
    }
  }

  #look(): void {
    const { node, store } = this.#parts;
    if (node.isStopped || this.#proposing || node.standing.role !== 'leader') return;
    if (this.#voters().length < 2) return;
    this.#proposing = true;
    store.getMany([CHAIN_ROW], ([record]) => {
      const unchanged = this.#marks.at(-1)?.own === chainText(decodeChain(record));
      if (unchanged || node.isStopped) this.#proposing = false;
      else void node.propose(encodeCommand({ op: 'mark' })).finally(() => (this.#proposing = false));
    });
  }

  #marked(index: Index, own: Chain): void {
    if (index <= this.#from) return;
    const { node, attest } = this.#parts;
    this.#marks = [...this.#marks, { index, own, attested: new Map(), settled: false }].slice(-MARKS_MAX);
    const { id } = node.state;
    if (this.#voters().includes(id)) attest({ op: 'attest', node: id, index, chain: own });
  }

  #attested({ node, index, chain }: Omit<AttestCommand, 'op'>): void {
    const mark = this.#marks.find((one) => one.index === index);
    if (mark === undefined) return;
    mark.attested.set(node, chain);
    this.#judge(mark);
  }

  #judge(mark: Mark): void {
    const voters = this.#voters();
    const majority = Math.floor(voters.length / 2) + 1;
    const counts = new Map<Chain, number>();
    for (const [id, chain] of mark.attested) {
      if (voters.includes(id)) counts.set(chain, (counts.get(chain) ?? 0) + 1);
    }
    const most = Math.max(0, ...counts.values());
    const waiting = voters.filter((id) => !mark.attested.has(id)).length;
    const agreed = [...counts].find(([, count]) => count >= majority)?.[0];
    const { events } = this.#parts;
    if (agreed === undefined) {
      if (most + waiting >= majority) return;
      const states = [...mark.attested].map(([id, chain]) => `${id} ${chain}`).join(', ');
      const what = `the states of the nodes differ at index ${mark.index}, and no majority says which is right (${states})`;
      events.unusable({ kind: 'disputed', what });
    } else if (agreed !== mark.own) {
      const what = `the state of this node differs from that of the majority at index ${mark.index} (${mark.own}, not ${agreed})`;
      events.unusable({ kind: 'diverged', what });
    } else if (!mark.settled) {
      const others = [...mark.attested].flatMap(([id, chain]) => (chain === agreed ? [] : [id]));
      if (others.length > 0) events.differ(others, mark.index);
      mark.settled = waiting === 0;
    }
  }

  #voters(): readonly NodeId[] {
    return this.#parts.node.configuration.members.filter(({ voter }) => voter).map(({ id }) => id);
  }
}

/** What the process ends with. */
export function unusableState({ kind, what }: Pick<StateMark, 'kind' | 'what'>): StorageError {
  const rest =
    kind === 'disputed'
      ? 'the node stops, and so do the others; an operator has to choose'
      : 'the node stops; its next start gets the state from the leader';
  return new StorageError('damaged', `${what}: ${rest}`, undefined, 'state');
}
