/** One attempt of a call: one request to one node. */

import { HEADERS } from '../api/types.js';
import { badResponse, interpret, type Answer, type Result } from './failure.js';
import type { Nodes } from './nodes.js';
import type { Attempted, Bounds, Operation } from './operation.js';
import type { RetryPolicy } from './options.js';
import type { Transport } from './transport.js';

/** The way to the nodes, shared by all calls of one client. */
export interface Channel {
  readonly nodes: Nodes;
  readonly transport: Transport;
  readonly retry: RetryPolicy;
}

const SUCCESS = [200];

/** Asks this node once; a write with the `KV-Session` that it has now. Never rejects. */
export async function attempt<T>(
  { nodes, transport, retry }: Channel,
  operation: Operation<T>,
  origin: string,
  { remainingMs, signal }: Bounds,
  session?: string,
): Promise<Attempted<T>> {
  const { isWrite, method, path, body, statuses = SUCCESS } = operation;
  const exchange = await transport.exchange({
    method,
    url: origin + (typeof path === 'string' ? path : path()),
    headers: session === undefined ? {} : { [HEADERS.session]: session },
    body: body === undefined ? undefined : () => JSON.stringify(body),
    signal,
    remainingMs,
    phaseMs: Math.min(retry.attemptTimeoutMs, remainingMs),
  });
  const result = interpret(origin, { isWrite, statuses }, exchange);
  // Being stopped by the caller says nothing about the node.
  if (!('failure' in result && signal.aborted)) note(nodes, origin, result);
  if ('failure' in result) return { origin, failure: result.failure };
  return valueOf(operation, result.answer, origin);
}

/** What the call resolves to; a failure when the answer is not what it should be. */
export function valueOf<T>({ isWrite, read }: Operation<T>, answer: Answer, origin: string): Attempted<T> {
  try {
    return { value: read(answer, origin) };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return {
      origin,
      failure: badResponse(isWrite, `the answer of ${origin} is of no use: ${detail}`, error),
    };
  }
}

/** Remembers what the result says of the node and of the cluster. */
export function note(nodes: Nodes, origin: string, result: Result): void {
  const failure = 'failure' in result ? result.failure : undefined;
  const nobody = failure?.code === 'no-leader' ? null : undefined;
  const { leader = nobody, membersIndex } = result;
  if (failure?.nodeFailed === true) nodes.failed(origin, { leader, membersIndex });
  else nodes.answered(origin, { leader, membersIndex });
}
