/** The serving side of the control plane: what other nodes forward to this one. */

import { KEY_BYTES_MAX } from '../../api/limits.js';
import type { ClusterStatusResponse } from '../../api/types.js';
import { CommandFormatError, decodeCommand } from '../../kv/codec.js';
import type { Write } from '../../kv/command.js';
import { deadlineAfter } from '../deadline.js';
import type { Node } from '../node.js';
import type { Clock } from '../ports.js';
import { ServiceError } from '../service.js';
import type { ProposalOutcome } from '../waiters.js';
import type { Methods } from './dispatch.js';
import { invalidParams } from './errors.js';
import type { Roster } from './identity.js';
import { identifiedMethod } from './identity.js';
import { CLUSTER_STATUS_METHOD, KV_METHODS, kvShapes } from './kv-wire.js';

export interface ControlMethodsOptions {
  readonly roster: Roster;
  readonly clock: Clock;
  /** Undefined until this node takes part. */
  readonly node: () => Node | undefined;
  /** As this node sees the cluster by itself. */
  readonly status: () => ClusterStatusResponse;
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
    [KV_METHODS.propose]: identifiedMethod(roster, kvShapes.propose, async ({ commands, timeoutMs }) => {
      const node = takingPart();
      const checked = commands.map((text, at) => checkedCommand(text, `commands.${at}`, valueBytesMax));
      const deadline = deadlineAfter(clock, Math.min(timeoutMs, requestTimeoutMs));
      const outcomes = checked.map(
        async (command): Promise<ProposalOutcome> =>
          (await deadline.race(node.propose(command))) ?? { status: 'unresolved' },
      );
      return Promise.all(outcomes);
    }),
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

/** Whatever other nodes send is looked at before it is proposed: once in the log, every node must be able to apply it. */
function checkedCommand(text: string, field: string, valueBytesMax: number): Buffer {
  const bytes = Buffer.from(text, 'base64');
  try {
    const command = decodeCommand(bytes);
    const fault = 'key' in command ? writeFault(command, valueBytesMax) : undefined;
    if (fault !== undefined) throw invalidParams(field, fault);
  } catch (error) {
    if (error instanceof CommandFormatError) throw invalidParams(field, error.message);
    throw error;
  }
  return bytes;
}

function writeFault(write: Write, valueBytesMax: number): string | undefined {
  const keyBytes = Buffer.byteLength(write.key);
  if (keyBytes === 0 || keyBytes > KEY_BYTES_MAX) return `its key has ${keyBytes} bytes`;
  if (write.op === 'delete' || write.value.length <= valueBytesMax) return undefined;
  return `its value has ${write.value.length} bytes, at most ${valueBytesMax} are allowed`;
}
