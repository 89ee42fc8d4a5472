/** The calling side of a connection: gives calls their ids, and answers to those who wait for them. */

import { createJSONRPCRequest, JSONRPCClient, JSONRPCErrorException } from 'json-rpc-2.0';
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

/** What went wrong with a call before it was on its way. */
interface Slot {
  fault?: ChannelError;
}

const LOST = 'the connection was lost';

/** Told from what the other side sends by its identity. */
const TIMED_OUT = Object.freeze({ code: RPC_CODES.noAnswer, message: 'no answer in time' });

/** `write` queues one message, or says why it can't. `remote` is for messages. */
export function createCaller(
  write: (text: string) => string | undefined,
  remote: string,
  pendingCallsMax: number,
): Caller {
  let open = true;
  let ids = 0;
  let pending = 0;

  const client = new JSONRPCClient<Slot>((payload: unknown, slot) => {
    const fault = write(JSON.stringify(payload));
    if (fault === undefined) return;
    slot.fault = new ChannelError('never-sent', `${remote}: ${fault}`);
    throw slot.fault;
  });

  return {
    async request(method, params, timeoutMs) {
      if (!open) throw new ChannelError('never-sent', `${remote}: the connection is closed`);
      if (pending >= pendingCallsMax) {
        throw new ChannelError('never-sent', `${remote}: ${pending} calls wait for their answer`);
      }
      pending += 1;
      ids += 1;
      const id = ids;
      const slot: Slot = {};
      const timer = setTimeout(() => client.receive({ jsonrpc: '2.0', id, error: TIMED_OUT }), timeoutMs);
      try {
        const response = await client.requestAdvanced(createJSONRPCRequest(id, method, params), slot);
        return resultOf(response, slot, remote);
      } finally {
        clearTimeout(timer);
        pending -= 1;
      }
    },
    receive: (response) => client.receive(response),
    close() {
      open = false;
      client.rejectAllPendingRequests(LOST);
    },
  };
}

function resultOf(response: JSONRPCResponse, slot: Slot, remote: string): unknown {
  if (response.error === undefined) return response.result;
  if (slot.fault !== undefined) throw slot.fault;
  if (response.error === TIMED_OUT) throw new ChannelError('timed-out', `${remote}: no answer in time`);
  // What comes from outside is believed only as far as it has been looked at.
  const error: unknown = response.error;
  const { code, message, data } = isRecord(error) ? error : {};
  if (code === 0 && message === LOST) throw new ChannelError('lost', `${remote}: ${LOST}`);
  throw new JSONRPCErrorException(
    typeof message === 'string' ? message : 'an error without a message',
    typeof code === 'number' ? code : RPC_CODES.internalError,
    data,
  );
}
