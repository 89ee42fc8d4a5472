/** The calling side of a connection: gives calls their ids, and answers to those who wait for them. */

import { JSONRPCErrorException } from 'json-rpc-2.0';
import type { JSONRPCResponse } from 'json-rpc-2.0';
import { isRecord } from './dispatch.js';
import { ChannelError, RPC_CODES } from './errors.js';

export interface Caller {
  /** As `Channel.request`. */
  request(method: string, params: object, timeoutMs: number): Promise<unknown>;
  /** Takes an answer; one that nobody waits for is late, and ignored. */
  receive(response: JSONRPCResponse): void;
  /** Rejects all that wait, as `lost`; further calls are `never-sent`. */
  close(): void;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** `write` queues one message, or says why it can't. `remote` is for messages. */
export function createCaller(
  write: (text: string) => string | undefined,
  remote: string,
  pendingCallsMax: number,
): Caller {
  let open = true;
  let ids = 0;
  /** By their ids, which are never used twice. Bound: `pendingCallsMax`. */
  const pending = new Map<number, Waiting>();

  function take(id: unknown): Waiting | undefined {
    const found = typeof id === 'number' ? pending.get(id) : undefined;
    if (found === undefined) return undefined;
    pending.delete(Number(id));
    clearTimeout(found.timer);
    return found;
  }

  return {
    request(method, params, timeoutMs) {
      if (!open) return neverSent(`${remote}: the connection is closed`);
      if (pending.size >= pendingCallsMax)
        return neverSent(`${remote}: ${pending.size} calls wait for their answer`);
      ids += 1;
      const id = ids;
      const fault = write(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
      if (fault !== undefined) return neverSent(`${remote}: ${fault}`);
      return new Promise((resolve, reject) => {
        const late = (): void =>
          take(id)?.reject(new ChannelError('timed-out', `${remote}: no answer in time`));
        pending.set(id, { resolve, reject, timer: setTimeout(late, timeoutMs) });
      });
    },
    receive(response) {
      const waiting = take(response.id);
      if (waiting === undefined) return;
      if (response.error === undefined) waiting.resolve(response.result);
      else waiting.reject(toError(response.error));
    },
    close() {
      open = false;
      for (const id of [...pending.keys()])
        take(id)?.reject(new ChannelError('lost', `${remote}: the connection was lost`));
    },
  };
}

function neverSent(why: string): Promise<never> {
  return Promise.reject(new ChannelError('never-sent', why));
}

/** What comes from outside is believed only as far as it has been looked at. */
function toError(error: unknown): Error {
  const { code, message, data } = isRecord(error) ? error : {};
  return new JSONRPCErrorException(
    typeof message === 'string' ? message : 'an error without a message',
    typeof code === 'number' ? code : RPC_CODES.internalError,
    data,
  );
}
