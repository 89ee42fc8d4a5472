/** Calls that came in and wait for the core's answer, each under a number that the answer will carry. */

import type { Response } from '../../raft/messages.js';
import { ServiceError } from '../service.js';
import type { CallContext } from './dispatch.js';
import type { Channel } from './channel.js';
import { RPC_CODES, RpcError } from './errors.js';
import { encodeResponse } from './raft-wire.js';

interface Waiting {
  readonly resolve: (result: object) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
  readonly channel: Channel | undefined;
}

export interface InboundCalls {
  /** A number for a call, and what will be answered to it. Throws `overloaded` when too many wait. */
  open(context: CallContext): { readonly call: number; readonly result: Promise<object> };
  /** Answers the call that `message` carries; false when it is gone. */
  answer(message: Response): boolean;
  /** Drops what came in by `channel`: its answers have nowhere to go. */
  drop(channel: Channel): void;
  /** Drops everything. */
  close(): void;
}

/** At most `callsMax` wait, each for `deadlineMs` at most; then it is answered -32006. */
export function createInboundCalls(callsMax: number, deadlineMs: number): InboundCalls {
  const waiting = new Map<number, Waiting>();
  let calls = 0;

  function take(call: number): Waiting | undefined {
    const found = waiting.get(call);
    if (found === undefined) return undefined;
    waiting.delete(call);
    clearTimeout(found.timer);
    return found;
  }

  function fail(call: number, why: string): void {
    take(call)?.reject(new RpcError(`no answer: ${why}`, RPC_CODES.noAnswer));
  }

  return {
    open({ channel }) {
      if (waiting.size >= callsMax) {
        throw new ServiceError('overloaded', `${waiting.size} consensus calls wait for their answer`);
      }
      calls += 1;
      const call = calls;
      const result = new Promise<object>((resolve, reject) => {
        const timer = setTimeout(() => fail(call, `none within ${deadlineMs} ms`), deadlineMs);
        waiting.set(call, { resolve, reject, timer, channel });
      });
      return { call, result };
    },
    answer(message) {
      if (message.call === undefined) return false;
      const found = take(message.call);
      found?.resolve(encodeResponse(message));
      return found !== undefined;
    },
    drop(channel) {
      for (const [call, { channel: of }] of waiting) {
        if (of === channel) fail(call, 'the connection closed');
      }
    },
    close() {
      for (const call of waiting.keys()) fail(call, 'the node is shutting down');
    },
  };
}
