/**
 * Finds out by itself who the members are, so that a client outlives every node that it was given. Each answer says by
 * `KV-Members` when they have changed; a node that fails, and time, are reasons to look as well.
 */

import { PATHS } from '../api/paths.js';
import { attempt, type Channel } from './attempt.js';
import { isRecord } from './json.js';
import type { Operation } from './operation.js';

/** A look is taken at least this often: an idle client hears of nothing else. */
const EVERY_MS = 10_000;

/** And at most this often, whatever happens. */
const GAP_MS = 500;

/** Nodes asked in one look, until one answers. */
const NODES_MAX = 3;

const MEMBERS: Operation<readonly string[]> = {
  isWrite: false,
  route: 'leader',
  method: 'GET',
  path: PATHS.members,
  read: (answer) => {
    const members: unknown = answer.kind === 'ok' ? answer.body['members'] : undefined;
    if (!Array.isArray(members)) throw new Error('the members are missing');
    return members.flatMap((member: unknown) =>
      isRecord(member) && typeof member['http'] === 'string' ? [member['http']] : [],
    );
  },
};

export interface MemberSearch {
  /** Ends it for good. */
  stop(): void;
}

/** Begins with the first answer that tells of members; until then, nobody but the endpoints could be asked. */
export function searchMembers(channel: Channel): MemberSearch {
  const { nodes } = channel;
  const stopping = new AbortController();
  let interval: NodeJS.Timeout | undefined;
  let gap: NodeJS.Timeout | undefined;
  let lastMs = -Infinity;

  /** False when nobody answered. */
  async function look(): Promise<boolean> {
    lastMs = performance.now();
    // What is told of meanwhile may be missing in the answer.
    const index = nodes.membersIndex() ?? 0;
    let avoided: string | undefined;
    for (let asked = 0; asked < NODES_MAX; asked += 1) {
      const origin = nodes.pick({ route: MEMBERS.route, avoided, readyAt: () => 0 });
      const result = await ask(origin);
      if (stopping.signal.aborted) return false;
      if ('value' in result) {
        // Whether they can be reached from here is found out before a call needs them.
        for (const newcomer of nodes.learned(result.value, index)) void ask(newcomer);
        return true;
      }
      avoided = origin;
    }
    return false;
  }

  function ask(origin: string) {
    const bounds = { remainingMs: channel.retry.attemptTimeoutMs, signal: stopping.signal };
    return attempt(channel, MEMBERS, origin, bounds);
  }

  const search = {
    soon(): void {
      if (stopping.signal.aborted || nodes.membersIndex() === undefined) return;
      interval ??= every(search);
      if (gap !== undefined) return;
      gap = setTimeout(
        () => {
          void look().then((isAnswered) => {
            gap = undefined;
            if (isAnswered && nodes.isOutdated()) search.soon();
          });
        },
        Math.max(0, lastMs + GAP_MS - performance.now()),
      ).unref();
    },
    stop(): void {
      stopping.abort();
      clearInterval(interval);
      clearTimeout(gap);
    },
  };
  nodes.onDoubt = () => search.soon();
  return search;
}

/** A client that nobody holds any more, and nobody closed, must not go on for ever. */
function every(search: { readonly soon: () => void }): NodeJS.Timeout {
  const held = new WeakRef(search);
  const interval = setInterval(() => {
    const alive = held.deref();
    if (alive === undefined) clearInterval(interval);
    else alive.soon();
  }, EVERY_MS).unref();
  return interval;
}
