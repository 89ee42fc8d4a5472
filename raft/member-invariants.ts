/** What must hold of the members, in one node and between nodes (§6, thesis §4.1 to §4.3). For tests, as `invariants.ts`. */

import { isJoint } from '../membership/change.js';
import type { Configuration, NodeId } from '../membership/configuration.js';
import { electorate, encodeConfiguration, memberOf, voters } from '../membership/configuration.js';
import { majority } from '../membership/quorum.js';
import { invariant } from './assert.js';
import type { ConfigurationAt, Index } from './entry.js';
import type { RaftState } from './state.js';

export class MemberInvariants {
  /** That are committed: at each index the same everywhere. */
  readonly #committed = new Map<Index, string>();
  readonly #indexes: Index[] = [];
  /** The latest one of each node, and the one that it knows to be committed, when they were last looked at. */
  readonly #seen = new Map<NodeId, { readonly latest: ConfigurationAt; readonly commit: Index }>();

  readonly #texts = new WeakMap<Configuration, string>();

  forget(id: NodeId): void {
    this.#seen.delete(id);
  }

  observe(state: Readonly<RaftState>): void {
    const { id, log, configurations, configuration } = state;
    const latest = configurations.at(-1);
    invariant(latest !== undefined, () => `node ${id} knows no members`);
    const seen = this.#seen.get(id);
    if (seen?.latest === latest && seen.commit === log.commit) return;
    this.#seen.set(id, { latest, commit: log.commit });
    invariant(
      configuration === latest.configuration,
      () => `node ${id} goes by members that are not its latest`,
    );
    invariant(
      latest.index <= Math.max(log.lastIndex, log.base.index),
      () => `node ${id} goes by members of an entry that its log lost`,
    );
    configurations.forEach((one, at) => checkStep(id, configurations[at - 1], one));
    if (state.current.role === 'leader' && seen !== undefined && seen.latest !== latest) checkLed(state);
    this.#checkCommitted(state);
  }

  /** Most are looked at more than once, and none ever changes. */
  #textOf(configuration: Configuration): string {
    const known = this.#texts.get(configuration);
    if (known !== undefined) return known;
    const text = encodeConfiguration(configuration).toString();
    this.#texts.set(configuration, text);
    return text;
  }

  /** What is known to be committed is the same to everybody, and nobody misses one. */
  #checkCommitted({ id, log, configurations }: Readonly<RaftState>): void {
    const known = configurations.findLast(({ index }) => index <= log.commit);
    // A newcomer is told who takes it in before its log holds anything.
    if (known === undefined || known.index === 0) return;
    const text = this.#textOf(known.configuration);
    const agreed = this.#committed.get(known.index);
    if (agreed === undefined) {
      this.#committed.set(known.index, text);
      this.#indexes.push(known.index);
      this.#indexes.sort((a, b) => a - b);
    }
    invariant(
      (agreed ?? text) === text,
      () => `node ${id} has other members at ${known.index} than another node`,
    );
    const last = this.#indexes.findLast((index) => index <= log.commit);
    invariant(
      last === known.index,
      () => `node ${id}: the members changed at ${last}, it knows ${known.index} only`,
    );
  }
}

/** Voters change by way of a joint configuration, which is left for the one that it leads to (§6). */
function checkStep(
  id: NodeId,
  from: ConfigurationAt | undefined,
  { index, configuration: to }: ConfigurationAt,
): void {
  // Before a newcomer's log is its own, or a snapshot in its place.
  if (from === undefined || from.index === 0) return;
  const { configuration: before } = from;
  const where = `node ${id}, members of entry ${index}`;
  if (isJoint(before)) {
    invariant(!isJoint(to), () => `${where}: a joint configuration follows another one`);
    invariant(
      isSame(voters(before), voters(to)),
      () => `${where}: the joint configuration led to other voters`,
    );
  } else if (isJoint(to))
    invariant(isSame(voters(before), to.outgoing ?? []), () => `${where}: others voted before`);
  else
    invariant(
      isSame(voters(before), voters(to)),
      () => `${where}: the voters changed without a joint configuration`,
    );
}

/** A leader changes the members only once it knows that the change before is committed (thesis §4.1). */
function checkLed({ id, log, configurations }: Readonly<RaftState>): void {
  const before = configurations.at(-2);
  invariant(
    before === undefined || before.index <= log.commit,
    () => `leader ${id} changes the members before entry ${before?.index} is committed`,
  );
}

/** Whether those who pass `test` are a majority of each group of voters (§6). */
export function decides(
  configuration: Configuration,
  test: (id: NodeId, incarnation: string | undefined) => boolean,
): boolean {
  return electorate(configuration).every((ids) => {
    let passed = 0;
    for (const id of ids) if (test(id, memberOf(configuration, id)?.incarnation)) passed += 1;
    return passed >= majority(ids.length);
  });
}

function isSame(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}
