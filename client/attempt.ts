/** One attempt of a call: one request to one node. */

import { HEADERS } from '../api/types.js';
import { badResponse, interpret, type Answer, type Failure, type Result } from './failure.js';
import type { Nodes, Route } from './nodes.js';
import type { RetryPolicy } from './options.js';
import type { Transport } from './transport.js';

/** What a call asks of the cluster. */
export interface Operation<T> {
  /** It changes entries: it is sent under a session, and where no answer comes, its outcome is in doubt. */
  readonly isWrite: boolean;
  readonly route: Route;
  /** Ask this node first. */
  readonly preferred?: string | undefined;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  /** The status of success. Default: 200. */
  readonly status?: 201;
  /** What the call resolves to. A throw means that the answer is not what it should be. */
  readonly read: (answer: Answer, origin: string) => T;
}

/** The way to the nodes, shared by all calls of one client. */
export interface Channel {
  readonly nodes: Nodes;
  readonly transport: Transport;
  readonly retry: RetryPolicy;
}

export interface Bounds {
  readonly remainingMs: number;
  readonly signal: AbortSignal;
}

/** A failed attempt. */
export interface Failed {
  /** The node that was asked; undefined when it did not come to that. */
  readonly origin: string | undefined;
  readonly failure: Failure;
}

export type Attempted<T> = { readonly value: T } | Failed;

/** Asks this node once; a write with the `KV-Session` that it has now. Never rejects. */
export async function attempt<T>(
  { nodes, transport, retry }: Channel,
  operation: Operation<T>,
  origin: string,
  { remainingMs, signal }: Bounds,
  session?: string,
): Promise<Attempted<T>> {
  const { isWrite, method, path, body, status, read } = operation;
  const exchange = await transport.exchange({
    method,
    url: origin + path,
    headers: session === undefined ? {} : { [HEADERS.session]: session },
    body,
    signal,
    remainingMs,
    phaseMs: Math.min(retry.attemptTimeoutMs, remainingMs),
  });
  const result = interpret(origin, { isWrite, status: status ?? 200 }, exchange);
  // Being stopped by the caller says nothing about the node.
  if (!('failure' in result && signal.aborted)) note(nodes, origin, result);
  if ('failure' in result) return { origin, failure: result.failure };
  try {
    return { value: read(result.answer, origin) };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return {
      origin,
      failure: badResponse(isWrite, `the answer of ${origin} is of no use: ${detail}`, error),
    };
  }
}

function note(nodes: Nodes, origin: string, result: Result): void {
  const failure = 'failure' in result ? result.failure : undefined;
  const nobody = failure?.code === 'no-leader' ? null : undefined;
  if (failure?.nodeFailed === true) nodes.failed(origin);
  else nodes.answered(origin, result.leader ?? nobody);
}
