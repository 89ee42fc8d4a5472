/** The serving side of the control plane: what other nodes forward to this one. */

import { batchBodyBytesMax } from '../../api/limits.js';
import type { ClusterStatusResponse } from '../../api/types.js';
import { decodeCommand } from '../../kv/codec.js';
import type { Command } from '../../kv/command.js';
import { CommandFormatError } from '../../kv/cursor.js';
import { deadlineAfter } from '../deadline.js';
import type { Node } from '../node.js';
import type { Clock } from '../ports.js';
import { proposeInOrder } from '../proposer.js';
import { ServiceError } from '../service.js';
import type { SpaceGuard } from '../space-guard.js';
import type { ProposalOutcome } from '../waiters.js';
import type { Methods } from './dispatch.js';
import { invalidParams } from './errors.js';
import type { Roster } from './identity.js';
import { identifiedMethod } from './identity.js';
import { CLUSTER_STATUS_METHOD, KV_METHODS, kvShapes, wireOutcome } from './kv-wire.js';

export interface ControlMethodsOptions {
  readonly roster: Roster;
  readonly clock: Clock;
  /** Undefined until this node takes part. */
  readonly node: () => Node | undefined;
  /** As this node sees the cluster by itself. */
  readonly status: () => ClusterStatusResponse;
  /** Absent, or undefined until this node takes part: there is always space. */
  readonly space?: () => Pick<SpaceGuard, 'refuses'> | undefined;
  readonly valueBytesMax: number;
  /** A caller may ask for less, not for more. */
  readonly requestTimeoutMs: number;
}

export function controlMethods(options: ControlMethodsOptions): Methods {
  const { roster, clock, status, valueBytesMax, requestTimeoutMs } = options;

  function takingPart(): Node {
    const node = options.node();
    if (node === undefined) throw new ServiceError('no-leader', 'the node is still starting');
    return node;
  }

  return {
    [KV_METHODS.propose]: identifiedMethod(
      roster,
      kvShapes.propose,
      async ({ commands, groups, timeoutMs }) => {
        const node = takingPart();
        const checked = commands.map((text, at) => checkedCommand(text, `commands.${at}`, valueBytesMax));
        const deadline = deadlineAfter(clock, Math.min(timeoutMs, requestTimeoutMs));
        const outcomes = grouped(checked, groups)
          .flatMap((group) => proposeInOrder(node, options.space?.(), group))
          .map(
            async (proposed): Promise<ProposalOutcome> =>
              (await deadline.race(proposed)) ?? { status: 'unresolved' },
          );
        return (await Promise.all(outcomes)).map(wireOutcome);
      },
    ),
    [KV_METHODS.readIndex]: identifiedMethod(roster, kvShapes.readIndex, async ({ lease, timeoutMs }) => {
      const deadline = deadlineAfter(clock, Math.min(timeoutMs, requestTimeoutMs));
      return (await deadline.race(takingPart().readIndex(lease))) ?? { status: 'lost' };
    }),
    [CLUSTER_STATUS_METHOD]: identifiedMethod(roster, {}, () => {
      takingPart();
      return status();
    }),
  };
}

interface Checked {
  readonly command: Command;
  readonly bytes: Buffer;
}

/** As the requests were that the commands came in. */
function grouped(commands: readonly Checked[], sizes: readonly number[] | undefined): (readonly Checked[])[] {
  if (sizes === undefined) return commands.map((command) => [command]);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total !== commands.length) throw invalidParams('groups', 'is not about as many commands as there are');
  let from = 0;
  return sizes.map((size) => commands.slice(from, (from += size)));
}

/** Whatever other nodes send is looked at before it is proposed: once in the log, every node must be able to apply it. */
function checkedCommand(text: string, field: string, valueBytesMax: number): Checked {
  const bytes = Buffer.from(text, 'base64');
  try {
    const command = decodeCommand(bytes);
    const fault = sizeFault(command, bytes.length, valueBytesMax);
    if (fault !== undefined) throw invalidParams(field, fault);
    return { command, bytes };
  } catch (error) {
    if (error instanceof CommandFormatError) throw invalidParams(field, error.message);
    throw error;
  }
}

function sizeFault(command: Command, commandBytes: number, valueBytesMax: number): string | undefined {
  const ops = command.op === 'txn' ? command.ops : [command];
  const longest = ops.reduce((most, op) => (op.op === 'set' ? Math.max(most, op.value.length) : most), 0);
  if (longest > valueBytesMax) return `its value has ${longest} bytes, at most ${valueBytesMax} are allowed`;
  const bytesMax = batchBodyBytesMax(valueBytesMax);
  return commandBytes > bytesMax
    ? `it has ${commandBytes} bytes, at most ${bytesMax} are allowed`
    : undefined;
}
