/** One call of the client: attempts on one node after the other until an answer, a final failure, or the deadline. */

import type { Outcome } from '../api/errors.js';
import { onAbort } from './abort.js';
import { attempt, type Channel } from './attempt.js';
import { createError, type KVError } from './errors.js';
import type { Failure } from './failure.js';
import type { KeyOrder, Turn } from './key-order.js';
import type { Lane } from './lane.js';
import type { MemberSearch } from './members.js';
import type { Route, Wish } from './nodes.js';
import type { Attempted, Bounds, Failed, Operation } from './operation.js';
import type { AbortSignalLike, RetryPolicy } from './options.js';
import { backoffMs } from './retry.js';
import type { Sessions, Ticket } from './session.js';
import { Stop } from './stop.js';
import { sleep } from './wait.js';

export interface Limits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignalLike | undefined;
  /** Aborted when the client, or the namespace that was called, is closed. */
  readonly closed: readonly AbortSignal[];
}

/** What all calls of one client share. */
export interface Context extends Channel {
  readonly members: MemberSearch;
  readonly sessions: Sessions;
  /** The order of calls that are answered by the leader. Any node's word on old state has no order. */
  readonly order: KeyOrder;
  readonly lanes: Readonly<Record<Route, Lane>>;
  /** Calls under way. Invariant: at most `CALLS_MAX`. */
  calls: number;
}

/** Sessions that one call begins anew with, at most: one that had expired is usual, a second one is not. */
const RENEWALS_MAX = 3;

/** How a call stands. */
interface Course {
  readonly startedMs: number;
  readonly deadlineMs: number;
  readonly stop: Stop;
  /** Of each node that refused: when it wants to be asked again. Undefined: none has. */
  readyTimes: Map<string, number> | undefined;
  /** The node of the last attempt, when the next one belongs to another. */
  avoided: string | undefined;
  attempts: number;
  /** Redirections in a row. */
  hops: number;
  renewals: number;
  /** `unknown` as soon as that of an attempt was. */
  outcome: Outcome;
  /** A write's number. Invariant: the same for all attempts, once one of them was uncertain. */
  ticket: Ticket | undefined;
  /** Its place among the calls on its key, where it may share round trips. */
  readonly turn: Turn | undefined;
}

/** Calls under way at a time, of one client; further ones are refused. */
const CALLS_MAX = 65_536;

/** Timers of Node.js may fire a millisecond early. What is then left of a call's time is no time for another attempt. */
const TIMER_MS = 2;

const now = () => performance.now();

/** Carries out the operation. Rejects with a `KVError` only, also for what `begin` throws, once it has begun. */
export async function call<T>(
  context: Context,
  begin: () => { readonly operation: Operation<T>; readonly limits: Limits },
): Promise<T> {
  const { operation, limits } = begin();
  if (context.calls >= CALLS_MAX) throw overloaded();
  const stop = new Stop();
  const abort = () => stop.abort();
  const ignored = limits.closed.map((signal) => onAbort(signal, abort));
  if (limits.signal !== undefined) ignored.push(onAbort(limits.signal, abort));
  const startedMs = now();
  const course: Course = {
    startedMs,
    deadlineMs: startedMs + limits.timeoutMs,
    stop,
    readyTimes: undefined,
    avoided: undefined,
    attempts: 0,
    hops: 0,
    renewals: 0,
    outcome: 'not-applied',
    ticket: undefined,
    turn: isOrdered(operation) ? context.order.enter(operation.piped.key) : undefined,
  };
  context.calls += 1;
  try {
    return await attempts(context, operation, course, limits);
  } finally {
    // Whatever became of it: no attempt is under way, and none will follow.
    context.calls -= 1;
    course.ticket?.release();
    course.turn?.leave();
    for (const ignore of ignored) ignore();
  }
}

async function attempts<T>(
  context: Context,
  operation: Operation<T>,
  course: Course,
  limits: Limits,
): Promise<T> {
  const isStopped = () => course.stop.aborted;
  for (;;) {
    if (isStopped()) throw stopped(limits, course.outcome);
    course.attempts += 1;
    const result = await next(context, operation, course);
    if ('value' in result) return result.value;
    const { failure } = result;
    if (failure.outcome === 'unknown') course.outcome = 'unknown';
    if (isStopped()) throw stopped(limits, course.outcome);
    const resumeMs = resumption(context, operation, course, result);
    if (resumeMs === undefined || resumeMs + TIMER_MS >= course.deadlineMs) throw rejection(failure, course);
    await sleep(resumeMs - now(), course.stop);
  }
}

function next<T>(context: Context, operation: Operation<T>, course: Course): Promise<Attempted<T>> {
  const needsTicket = operation.isWrite && operation.isUnguarded !== true && course.ticket === undefined;
  if (needsTicket) course.ticket = context.sessions.take();
  return needsTicket && course.ticket === undefined
    ? acquire(context, operation, course)
    : send(context, operation, course);
}

/** Sends the write once it has a number. */
async function acquire<T>(context: Context, operation: Operation<T>, course: Course): Promise<Attempted<T>> {
  const acquired = await context.sessions.acquire(wishOf(operation, course), boundsOf(course));
  if ('failure' in acquired) return acquired;
  course.ticket = acquired;
  return send(context, operation, course);
}

function send<T>(context: Context, operation: Operation<T>, course: Course): Promise<Attempted<T>> {
  const { deadlineMs, stop: signal, turn, ticket } = course;
  const { piped, route } = operation;
  const wish = wishOf(operation, course);
  if (piped !== undefined) {
    return context.lanes[route].submit({ operation, piped, turn, wish, deadlineMs, signal, ticket });
  }
  return attempt(context, operation, context.nodes.pick(wish), boundsOf(course), ticket?.header());
}

function boundsOf({ deadlineMs, stop }: Course): Bounds {
  return { remainingMs: Math.max(0, deadlineMs - now()), signal: stop };
}

type Ordered<T> = Operation<T> & { readonly piped: NonNullable<Operation<T>['piped']> };

function isOrdered<T>(operation: Operation<T>): operation is Ordered<T> {
  return operation.piped !== undefined && operation.route === 'leader';
}

const AT_ONCE = () => 0;

function wishOf({ route, preferred }: Operation<unknown>, { avoided, readyTimes }: Course): Wish {
  const readyAt = readyTimes === undefined ? AT_ONCE : (origin: string) => readyTimes.get(origin) ?? 0;
  return { route, preferred, avoided, readyAt };
}

/** When the next attempt is due; undefined when the failure is final. */
function resumption(
  { nodes, retry }: Context,
  operation: Operation<unknown>,
  course: Course,
  { origin, failure }: Failed,
): number | undefined {
  if (failure.code === 'session-expired' || failure.code === 'session-conflict') {
    return renewal(retry, course, failure);
  }
  if (operation.isUnguarded === true && course.outcome === 'unknown') return undefined;
  if (!failure.retryable || course.attempts - course.renewals >= retry.attemptsMax) return undefined;
  // Being sent on to the leader is no failure; but two nodes that name each other must not make this spin.
  course.hops = failure.redirected === true ? course.hops + 1 : 0;
  const backoff = course.hops === 1 ? 0 : backoffMs(retry, course.attempts, Math.random);
  const readyMs = now() + (failure.retryAfterMs ?? 0);
  const busy = failure.code === 'overloaded' || failure.code === 'rate-limited';
  course.avoided = busy ? undefined : origin;
  if (origin !== undefined) (course.readyTimes ??= new Map()).set(origin, readyMs);
  // A node without a leader speaks for itself. Too much to do is the leader's word, whichever node passed it on.
  const resumeMs = busy ? readyMs : Math.max(now(), nodes.earliest(wishOf(operation, course)));
  return resumeMs + backoff;
}

/**
 * The session has ended. Under another one the server could not know the write again, so it is only sent again where
 * none of its attempts can have been applied.
 */
function renewal(retry: RetryPolicy, course: Course, failure: Failure): number | undefined {
  course.ticket?.ended();
  if (failure.code === 'session-conflict' || course.outcome === 'unknown') return undefined;
  if (course.renewals >= RENEWALS_MAX) return undefined;
  course.ticket?.release();
  course.ticket = undefined;
  course.renewals += 1;
  return now() + (course.renewals === 1 ? 0 : backoffMs(retry, course.attempts, Math.random));
}

function rejection(failure: Failure, { attempts: count, startedMs, ...course }: Course): KVError {
  // The result of the write itself, kept by its session: no attempt has had, or will have, another one.
  const isResult = failure.code === 'revision-mismatch' && failure.outcome === 'not-applied';
  const outcome = isResult ? 'not-applied' : course.outcome;
  const tries = count === 1 ? '' : `, after ${count} attempts in ${Math.round(now() - startedMs)} ms`;
  return createError({ ...failure, outcome, message: failure.message + tries + doubtOf(outcome) });
}

function overloaded(): KVError {
  return createError({
    code: 'overloaded',
    message: `this client has ${CALLS_MAX} calls under way; wait for some of them`,
    retryable: true,
    outcome: 'not-applied',
  });
}

/** Of a call that its own signal, or the end of the client, has stopped. */
export function stopped(limits: Limits, outcome: Outcome): KVError {
  const doubt = doubtOf(outcome);
  return limits.closed.some(({ aborted }) => aborted)
    ? createError({ code: 'closed', message: `the client is closed${doubt}`, retryable: false, outcome })
    : createError({
        code: 'aborted',
        message: `the call was aborted${doubt}`,
        retryable: false,
        outcome,
        cause: limits.signal?.reason,
      });
}

function doubtOf(outcome: Outcome): string {
  return outcome === 'unknown' ? '; it is unknown whether the write was applied' : '';
}
