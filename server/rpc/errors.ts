/** How failures travel: JSON-RPC error objects on the wire, typed errors on either side of it. */

import { JSONRPCErrorException } from 'json-rpc-2.0';
import { z } from 'zod';
import { isErrorCode } from '../../api/errors.js';
import type { Outcome } from '../../api/errors.js';
import { ServiceError } from '../service.js';

/** Codes of JSON-RPC 2.0 (section 5.1), then this product's own, from the range left to implementations. */
export const RPC_CODES = Object.freeze({
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  /** The call names another cluster, or another cluster's id. */
  wrongCluster: -32001,
  /** The call was meant for another node, or for another incarnation of this one. */
  wrongReceiver: -32002,
  /** The committed configuration records the sender as removed or replaced. */
  replacedSender: -32003,
  /** The call does not say who sends it, to whom, or in which cluster. */
  missingIdentity: -32004,
  /** A consensus call on a connection that was not, or could not be, opened by `raft.hello`. */
  handshake: -32005,
  /** The node had no answer to give in time; the call may have been carried out. */
  noAnswer: -32006,
  /** A `ServiceError`; `data` is `{code, outcome, retryAfterSeconds?}`. */
  service: -32010,
});

/** What a method throws to answer with an error of its own. */
export { JSONRPCErrorException as RpcError } from 'json-rpc-2.0';

/** A refusal of the fields that a call came with; `field` is the path to the one at fault. */
export function invalidParams(field: string, message: string): JSONRPCErrorException {
  return new JSONRPCErrorException(
    `Invalid params: ${field === '' ? 'params' : field}: ${message}`,
    RPC_CODES.invalidParams,
    { field },
  );
}

/** The first fault that a schema found, as path and message. */
export function firstFault(error: z.ZodError): { field: string; message: string } {
  const issue = error.issues[0];
  if (issue === undefined) return { field: '', message: 'not valid' };
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  if (unknown !== undefined) {
    return { field: [...issue.path, unknown].join('.'), message: 'is not a field of this call' };
  }
  return { field: issue.path.join('.'), message: issue.message };
}

/**
 * - `never-sent`: not a byte of the call left this node; it was certainly not carried out.
 * - `lost`: the connection closed while the call was under way; it may have been carried out.
 * - `timed-out`: no answer in time; it may have been, or may still be, carried out.
 */
export type ChannelFault = 'never-sent' | 'lost' | 'timed-out';

/** A call that got no answer. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
  readonly fault: ChannelFault;
  constructor(fault: ChannelFault, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.fault = fault;
  }
}

/** The error object that a `ServiceError` travels as. */
export function serviceErrorToRpc(error: ServiceError): JSONRPCErrorException {
  return new JSONRPCErrorException(error.message, RPC_CODES.service, {
    code: error.code,
    outcome: error.outcome,
    ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
  });
}

const serviceData = z.object({
  code: z.string().refine(isErrorCode),
  outcome: z.enum(['not-applied', 'unknown']),
  retryAfterSeconds: z.number().nonnegative().optional(),
});

/** The `ServiceError` that came over the wire; any other error is given back as it is. */
export function rpcToServiceError(error: unknown): unknown {
  if (!(error instanceof JSONRPCErrorException) || error.code !== RPC_CODES.service) return error;
  const data = serviceData.safeParse(error.data);
  if (!data.success) return error;
  const { code, outcome, retryAfterSeconds } = data.data;
  if (!isErrorCode(code)) return error;
  return new ServiceError(code, error.message, {
    outcome,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    cause: error,
  });
}

const STRANGERS: ReadonlySet<number> = new Set([
  RPC_CODES.wrongCluster,
  RPC_CODES.wrongReceiver,
  RPC_CODES.replacedSender,
  RPC_CODES.missingIdentity,
  RPC_CODES.handshake,
]);

/** True when the other side answered that the two nodes do not belong together, or not as they thought. */
export function isStranger(error: unknown): error is JSONRPCErrorException {
  return error instanceof JSONRPCErrorException && STRANGERS.has(error.code);
}

/** True when the other side answered that this node, with this disk, has left the cluster for good. */
export function isDepartedRefusal(error: unknown): boolean {
  if (!(error instanceof JSONRPCErrorException) || error.code !== RPC_CODES.replacedSender) return false;
  return z.object({ departed: z.literal(true) }).safeParse(error.data).success;
}

const REFUSALS: ReadonlySet<number> = new Set([
  RPC_CODES.parseError,
  RPC_CODES.invalidRequest,
  RPC_CODES.methodNotFound,
  RPC_CODES.invalidParams,
  ...STRANGERS,
]);

/** True when the other side answered that it will not deal with such a call; nothing was carried out. */
export function isRefusal(error: unknown): error is JSONRPCErrorException {
  return error instanceof JSONRPCErrorException && REFUSALS.has(error.code);
}

/** What a failed call leaves certain: `not-applied` only where nothing can have been carried out. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof ServiceError) return error.outcome;
  if (error instanceof ChannelError) return error.fault === 'never-sent' ? 'not-applied' : 'unknown';
  return isRefusal(error) ? 'not-applied' : 'unknown';
}
