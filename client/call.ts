/** One call of the client: attempts on one node after the other until an answer, a final failure, or the deadline. */

import type { Outcome } from '../api/errors.js';
import { onAbort } from './abort.js';
import { createError, type KVError } from './errors.js';
import { badResponse, interpret, type Answer, type Failure, type Result } from './failure.js';
import type { Nodes, Route } from './nodes.js';
import type { AbortSignalLike, RetryPolicy } from './options.js';
import { backoffMs, mayRepeat, type Repeatable } from './retry.js';
import type { Transport } from './transport.js';

export interface Operation<T> extends Repeatable {
  readonly route: Route;
  /** Ask this node first. */
  readonly preferred?: string | undefined;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  /** What the call resolves to. A throw means that the answer is not what it should be. */
  readonly read: (answer: Answer, origin: string) => T;
}

export interface Limits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignalLike | undefined;
}

/** What all calls of one client share. */
export interface Context {
  readonly nodes: Nodes;
  readonly transport: Transport;
  readonly retry: RetryPolicy;
  readonly closed: AbortSignal;
}

const now = () => performance.now();

/** Carries out the operation. Rejects with a `KVError` only. */
export async function call<T>(context: Context, operation: Operation<T>, limits: Limits): Promise<T> {
  const stop = new AbortController();
  const ignored = [context.closed, limits.signal].map((signal) =>
    signal === undefined ? undefined : onAbort(signal, () => stop.abort()),
  );
  try {
    return await attempts(context, operation, limits, stop.signal);
  } finally {
    for (const ignore of ignored) ignore?.();
  }
}

async function attempts<T>(
  context: Context,
  operation: Operation<T>,
  limits: Limits,
  stop: AbortSignal,
): Promise<T> {
  const { nodes, retry } = context;
  const started = now();
  const deadline = started + limits.timeoutMs;
  /** Of each node that refused: when it wants to be asked again. */
  const readyTimes = new Map<string, number>();
  const wish = (avoided?: string) => ({
    route: operation.route,
    preferred: operation.preferred,
    avoided,
    readyAt: (origin: string) => readyTimes.get(origin) ?? 0,
  });
  const isStopped = () => stop.aborted;
  let outcome: Outcome = 'not-applied';
  let avoided: string | undefined;
  for (let count = 1, hops = 0; ; count += 1) {
    if (isStopped()) throw stopped(context, limits, outcome);
    const origin = nodes.pick(wish(avoided));
    const result = await attempt(context, operation, origin, deadline - now(), stop);
    if ('value' in result) return result.value;
    const { failure } = result;
    if (failure.outcome === 'unknown') outcome = 'unknown';
    if (isStopped()) throw stopped(context, limits, outcome);
    const giveUp = () => rejection(failure, outcome, count, now() - started);
    if (!mayRepeat(operation, failure) || count >= retry.attemptsMax) throw giveUp();
    // Being sent on to the leader is no failure; but two nodes that name each other must not make this spin.
    hops = failure.redirected === true ? hops + 1 : 0;
    const backoff = hops === 1 ? 0 : backoffMs(retry, count, Math.random);
    const wait = failure.retryAfterMs ?? 0;
    const busy = failure.code === 'overloaded' || failure.code === 'rate-limited';
    avoided = busy ? undefined : origin;
    readyTimes.set(origin, now() + wait);
    // A node without a leader speaks for itself. Too much to do is the leader's word, whichever node passed it on.
    const resume = busy ? now() + wait : Math.max(now(), nodes.earliest(wish()));
    if (resume + backoff >= deadline) throw giveUp();
    await sleep(resume + backoff - now(), stop);
  }
}

async function attempt<T>(
  { nodes, transport, retry }: Context,
  operation: Operation<T>,
  origin: string,
  remainingMs: number,
  signal: AbortSignal,
): Promise<{ readonly value: T } | { readonly failure: Failure }> {
  const { isWrite, retryUncertain } = operation;
  const boundMs = Math.min(retry.attemptTimeoutMs, remainingMs);
  const exchange = await transport.exchange({
    method: operation.method,
    url: origin + operation.path,
    body: operation.body,
    signal,
    remainingMs,
    connectMs: boundMs,
    // A write that can't be repeated has nothing to gain from giving up early.
    answerMs: isWrite && !retryUncertain ? remainingMs : boundMs,
  });
  const result = interpret(origin, isWrite, exchange);
  // Being stopped by the caller says nothing about the node.
  if (!('failure' in result && signal.aborted)) note(nodes, origin, result);
  if ('failure' in result) return result;
  try {
    return { value: operation.read(result.answer, origin) };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { failure: badResponse(isWrite, `the answer of ${origin} is of no use: ${detail}`, error) };
  }
}

function note(nodes: Nodes, origin: string, result: Result): void {
  const failure = 'failure' in result ? result.failure : undefined;
  const nobody = failure?.code === 'no-leader' ? null : undefined;
  if (failure?.nodeFailed === true) nodes.failed(origin);
  else nodes.answered(origin, result.leader ?? nobody);
}

function rejection(failure: Failure, outcome: Outcome, count: number, elapsedMs: number): KVError {
  const tries = count === 1 ? '' : `, after ${count} attempts in ${Math.round(elapsedMs)} ms`;
  const doubt = outcome === 'unknown' ? '; it is unknown whether the write was applied' : '';
  return createError({ ...failure, outcome, message: failure.message + tries + doubt });
}

function stopped(context: Context, limits: Limits, outcome: Outcome): KVError {
  const doubt = outcome === 'unknown' ? '; it is unknown whether the write was applied' : '';
  return context.closed.aborted
    ? createError({ code: 'closed', message: `the client is closed${doubt}`, retryable: false, outcome })
    : createError({
        code: 'aborted',
        message: `the call was aborted${doubt}`,
        retryable: false,
        outcome,
        cause: limits.signal?.reason,
      });
}

/** Resolves after so many milliseconds, or as soon as the signal is aborted. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
