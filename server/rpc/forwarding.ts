/** The way to the leader over the control plane: what arrives in one turn of the event loop travels together. */

import type { NodeId } from '../../membership/configuration.js';
import type { LeaderLink } from '../leader-link.js';
import type { ClusterOutcome, ClusterRequest } from '../members/request.js';
import type { ReadIndexOutcome } from '../node.js';
import type { Clock } from '../ports.js';
import { ServiceError } from '../service.js';
import type { ProposalOutcome } from '../waiters.js';
import type { ControlClient } from './control.js';
import { outcomeOf } from './errors.js';
import { CLUSTER_METHODS, readClusterOutcome } from './membership-wire.js';
import {
  CLUSTER_STATUS_METHOD,
  COMMANDS_MAX,
  KV_METHODS,
  readMembers,
  readProposalOutcomes,
  readReadIndexOutcome,
} from './kv-wire.js';

/** One call carries at most so many bytes of commands (or those of one request): far below the bound of a frame. */
const CALL_BYTES_MAX = 4 * 1024 * 1024;

/** The commands of one request, which stay together. */
interface Waiting {
  readonly commands: readonly Buffer[];
  readonly timeoutMs: number;
  readonly settle: (outcomes: readonly ProposalOutcome[]) => void;
}

export function createLeaderLink(control: Pick<ControlClient, 'call'>, clock: Clock): LeaderLink {
  const gathered = new Map<NodeId, Waiting[]>();

  function flush(leader: NodeId): void {
    const waiting = gathered.get(leader) ?? [];
    gathered.delete(leader);
    for (const batch of split(waiting)) void forward(leader, batch);
  }

  async function forward(leader: NodeId, batch: readonly Waiting[]): Promise<void> {
    const timeoutMs = Math.max(1, ...batch.map((waiting) => waiting.timeoutMs));
    const commands = batch.flatMap((waiting) =>
      waiting.commands.map((command) => command.toString('base64')),
    );
    const groups = batch.map((waiting) => waiting.commands.length);
    let outcomes: readonly ProposalOutcome[] | undefined;
    let failed: ProposalOutcome = { status: 'unresolved' };
    try {
      outcomes = readProposalOutcomes(
        await control.call(leader, KV_METHODS.propose, { commands, groups, timeoutMs }, timeoutMs),
        commands.length,
      );
    } catch (error) {
      failed = outcomeAfter(error);
    }
    let at = 0;
    for (const { commands: own, settle } of batch) {
      const from = at;
      at += own.length;
      settle(own.map((_, offset) => elsewhere(outcomes?.[from + offset] ?? failed)));
    }
  }

  return {
    propose: (leader, commands, timeoutMs) =>
      new Promise((settle) => {
        const waiting = gathered.get(leader);
        if (waiting !== undefined) {
          waiting.push({ commands, timeoutMs, settle });
          return;
        }
        gathered.set(leader, [{ commands, timeoutMs, settle }]);
        clock.soon(() => flush(leader));
      }),
    async readIndex(leader, lease, timeoutMs): Promise<ReadIndexOutcome> {
      try {
        const answer = await control.call(
          leader,
          KV_METHODS.readIndex,
          { lease, timeoutMs: Math.max(1, timeoutMs) },
          timeoutMs,
        );
        return elsewhere(readReadIndexOutcome(answer) ?? { status: 'lost' });
      } catch (error) {
        return refusalOf(error) ?? { status: 'lost' };
      }
    },
    change: (leader, request, timeoutMs) => forwardChange(control, leader, request, timeoutMs),
    async members(leader, timeoutMs) {
      try {
        return readMembers(await control.call(leader, CLUSTER_STATUS_METHOD, {}, timeoutMs));
      } catch {
        return undefined;
      }
    },
  };
}

/** Waits for the leader's word; nobody knows what became of it where a call that was sent got no answer. */
async function forwardChange(
  control: Pick<ControlClient, 'call'>,
  leader: NodeId,
  request: ClusterRequest,
  timeoutMs: number,
): Promise<ClusterOutcome> {
  try {
    const params = { request, timeoutMs: Math.max(1, timeoutMs) };
    const answer = await control.call(leader, CLUSTER_METHODS.change, params, timeoutMs);
    return readClusterOutcome(answer) ?? { status: 'unresolved' };
  } catch (error) {
    return { status: outcomeOf(error) === 'unknown' ? 'unresolved' : 'elsewhere' };
  }
}

function split(waiting: readonly Waiting[]): Waiting[][] {
  const batches: Waiting[][] = [];
  let bytes = 0;
  let count = 0;
  for (const one of waiting) {
    const batch = batches.at(-1);
    const oneBytes = one.commands.reduce((sum, command) => sum + command.length, 0);
    bytes += oneBytes;
    count += one.commands.length;
    if (batch === undefined || count > COMMANDS_MAX || bytes > CALL_BYTES_MAX) {
      batches.push([one]);
      bytes = oneBytes;
      count = one.commands.length;
    } else {
      batch.push(one);
    }
  }
  return batches;
}

function outcomeAfter(error: unknown): ProposalOutcome {
  if (outcomeOf(error) === 'unknown') return { status: 'unresolved' };
  return refusalOf(error) ?? { status: 'refused', why: 'not-leader' };
}

/** What the other node said in so many words. */
function refusalOf(error: unknown): (ProposalOutcome & ReadIndexOutcome) | undefined {
  if (!(error instanceof ServiceError)) return undefined;
  if (error.code === 'overloaded') return { status: 'refused', why: 'overloaded' };
  return { status: 'refused', why: 'not-leader' };
}

/** That another node shuts down is no refusal of this one: the next leader will take it. */
function elsewhere<Outcome extends ProposalOutcome | ReadIndexOutcome>(
  outcome: Outcome,
): Outcome | { status: 'refused'; why: 'not-leader' } {
  return outcome.status === 'refused' && outcome.why === 'stopping'
    ? { status: 'refused', why: 'not-leader' }
    : outcome;
}
