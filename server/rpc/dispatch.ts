/**
 * JSON-RPC 2.0 behind any carrier: takes what was parsed, gives back what is to be answered. The protocol is the
 * package `json-rpc-2.0`; what it lets through (requests that are no objects, params that are no structure, a batch
 * without end, a batch's only answer without its brackets) is caught here.
 */

import {
  createJSONRPCErrorResponse,
  createJSONRPCSuccessResponse,
  isJSONRPCID,
  JSONRPCErrorException,
  JSONRPCServer,
} from 'json-rpc-2.0';
import type { JSONRPCErrorResponse, JSONRPCID, JSONRPCRequest, JSONRPCResponse } from 'json-rpc-2.0';
import { ServiceError } from '../service.js';
import type { Channel } from './channel.js';
import { RPC_CODES, serviceErrorToRpc } from './errors.js';
import type { Logger } from './logger.js';

/** How a call came in. */
export interface CallContext {
  /** The persistent connection; absent for `POST /rpc`. */
  readonly channel?: Channel;
}

/** Answers with its result, or throws `RpcError` or `ServiceError`. Any other error is answered as -32603, unexplained. */
export type Method = (params: unknown, context: CallContext) => unknown;

/** Methods by their names on the wire. */
export type Methods = Readonly<Record<string, Method>>;

/** Calls in one batch, at most. */
export const BATCH_MAX = 100;

export interface Dispatcher {
  /** The answer to a request or a batch, as JSON; undefined when nothing is to be answered. Never rejects. */
  handle(payload: unknown, context: CallContext): Promise<string | undefined>;
}

/** The answer to what is no request (section 5.1). */
export function invalidRequest(detail: string, id: JSONRPCID = null): JSONRPCErrorResponse {
  return createJSONRPCErrorResponse(id, RPC_CODES.invalidRequest, 'Invalid Request', { detail });
}

/** The answer to what is not JSON. */
export function parseError(detail: string): JSONRPCErrorResponse {
  return createJSONRPCErrorResponse(null, RPC_CODES.parseError, 'Parse error', { detail });
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isRequest(value: unknown): value is JSONRPCRequest {
  return requestFault(value) === undefined;
}

function requestFault(value: unknown): string | undefined {
  if (!isRecord(value)) return 'a request is an object';
  const { jsonrpc, method, params, id } = value;
  if (jsonrpc !== '2.0') return 'jsonrpc must be "2.0"';
  if (typeof method !== 'string') return 'method must be a string';
  if (params !== undefined && (typeof params !== 'object' || params === null)) {
    return 'params must be an object or an array';
  }
  if (id !== undefined && !isJSONRPCID(id)) return 'id must be a string, a number or null';
  if (value['result'] !== undefined || value['error'] !== undefined) {
    return 'a request has neither result nor error';
  }
  return undefined;
}

function batchFault(batch: readonly unknown[]): string | undefined {
  if (batch.length === 0) return 'a batch must not be empty';
  if (batch.length <= BATCH_MAX) return undefined;
  return `a batch holds at most ${BATCH_MAX} calls, this one has ${batch.length}`;
}

function idOf(value: unknown): JSONRPCID {
  return isRecord(value) && isJSONRPCID(value['id']) ? value['id'] : null;
}

function toErrorResponse(id: JSONRPCID, error: unknown): JSONRPCErrorResponse {
  const known = error instanceof ServiceError ? serviceErrorToRpc(error) : error;
  if (known instanceof JSONRPCErrorException) {
    return createJSONRPCErrorResponse(id, known.code, known.message, known.data);
  }
  // What went wrong inside is for the log, not for the caller.
  return createJSONRPCErrorResponse(id, RPC_CODES.internalError, 'Internal error');
}

function isExpected(error: unknown): boolean {
  return error instanceof ServiceError || error instanceof JSONRPCErrorException;
}

/** Serves `methods`; unexpected errors of a method go to `logger`. */
export function createDispatcher(methods: Methods, logger: Logger): Dispatcher {
  const server = new JSONRPCServer<CallContext>({
    errorListener: (message, error) => {
      if (isExpected(error)) return;
      logger.error({ err: error }, message);
    },
  });
  server.mapErrorToJSONRPCErrorResponse = toErrorResponse;
  for (const [name, method] of Object.entries(methods)) server.addMethod(name, method);

  async function single(request: unknown, context: CallContext): Promise<JSONRPCResponse | undefined> {
    if (!isRequest(request)) return invalidRequest(requestFault(request) ?? '', idOf(request));
    const { id, method } = request;
    const params: unknown = request.params;
    const known = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (known === undefined || id === undefined) return (await server.receive(request, context)) ?? undefined;
    // What nearly all calls are; the package would take ten promises for it.
    try {
      const result = await known(params, context);
      return createJSONRPCSuccessResponse(id, result === undefined ? null : result);
    } catch (error) {
      if (!isExpected(error)) logger.error({ err: error }, `the method ${method} failed`);
      return toErrorResponse(id, error);
    }
  }

  /** A result that is no JSON (a bigint, a cycle) is a mistake of its method, and answered as one. */
  function encode(response: JSONRPCResponse): string {
    try {
      return JSON.stringify(response);
    } catch (error) {
      logger.error({ err: error }, 'a method gave a result that is not JSON');
      return JSON.stringify(toErrorResponse(response.id, error));
    }
  }

  return {
    async handle(payload, context) {
      if (!Array.isArray(payload)) {
        const response = await single(payload, context);
        return response === undefined ? undefined : encode(response);
      }
      const fault = batchFault(payload);
      if (fault !== undefined) return encode(invalidRequest(fault));
      const responses = await Promise.all(payload.map((request) => single(request, context)));
      const answered = responses.filter((response) => response !== undefined);
      return answered.length === 0 ? undefined : `[${answered.map(encode).join(',')}]`;
    },
  };
}
