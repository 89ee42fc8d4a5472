/**
 * Calls that share round trips. While fewer than so many requests are out, what was called in one turn of the event
 * loop is sent at once: a single call as itself, several as one `POST /pipeline`. What is called meanwhile waits for
 * an answer, and then travels together. A call in a batch fails, is stopped and is repeated on its own.
 */

import { PATHS } from '../api/paths.js';
import type { Consistency } from '../api/types.js';
import { attempt, note, valueOf, type Channel } from './attempt.js';
import { interpret, interpretResult, overdue, type Answer, type Failure } from './failure.js';
import type { Turn } from './key-order.js';
import type { Wish } from './nodes.js';
import type { Attempted, Bounds, Operation, Piped } from './operation.js';

/** Operations of one batch: enough that its round trip costs each of them next to nothing. */
const BATCH_OPS_MAX = 256;

/** Of one batch, about: so much is no burden to either side, and a larger value goes by itself. */
const BATCH_BYTES_MAX = 256 << 10;

/** What one call gives to be sent. */
export interface Submission<T> {
  readonly operation: Operation<T>;
  readonly piped: Piped;
  /** Of the calls on its key; undefined where order says nothing. */
  readonly turn: Turn | undefined;
  readonly wish: Wish;
  readonly bounds: Bounds;
  /** The `KV-Session` at the time of sending. */
  readonly session: () => string | undefined;
}

export interface Lane {
  /** Sends it, alone or with others. Never rejects. */
  submit<T>(submission: Submission<T>): Promise<Attempted<T>>;
  /** Calls have left their places: others may go now. */
  moved(): void;
}

interface Entry {
  readonly piped: Piped;
  readonly turn: Turn | undefined;
  readonly wish: Wish;
  readonly isWrite: boolean;
  readonly session: () => string | undefined;
  isSettled(): boolean;
  /** It goes in this batch; `onSettled` is called when nobody waits for it any more. */
  travel(origin: string, onSettled: () => void): void;
  /** It goes by itself. Resolves when it is over. */
  alone(origin: string): Promise<void>;
  succeed(origin: string, answer: Answer): void;
  fail(origin: string, failure: Failure): void;
}

interface Batch {
  readonly origin: string;
  /** Of its reads; undefined where there are none. */
  readonly consistency: Consistency | undefined;
  readonly entries: readonly Entry[];
}

const now = () => performance.now();

/** A lane with at most so many requests out at a time. */
export function createLane(channel: Channel, requestsMax: number): Lane {
  let queue: Entry[] = [];
  let requests = 0;
  let isScheduled = false;

  /** Behind the calls that the same turn of the event loop still makes. */
  function schedule(): void {
    if (isScheduled || requests >= requestsMax || queue.length === 0) return;
    isScheduled = true;
    // From a microtask, the next tick comes when no microtask is left: some calls take more of them to get here.
    queueMicrotask(() => process.nextTick(flush));
  }

  function flush(): void {
    isScheduled = false;
    while (requests < requestsMax) {
      const batch = take();
      if (batch === undefined) return;
      start(batch);
    }
  }

  function start(batch: Batch): void {
    requests += 1;
    for (const { turn } of batch.entries) turn?.began();
    void send(channel, batch).then(() => {
      for (const { turn } of batch.entries) turn?.ended();
      // Whoever was answered calls again before that, and shares the next round trip.
      setImmediate(() => {
        requests -= 1;
        schedule();
      });
    });
  }

  /** The oldest call that may go, and all that may go along. */
  function take(): Batch | undefined {
    // Calls that are repeated come back behind younger ones.
    queue.sort((a, b) => (a.turn?.order ?? 0) - (b.turn?.order ?? 0));
    const entries: Entry[] = [];
    const left: Entry[] = [];
    const taken = new Map<string, number>();
    let bytes = 0;
    let origin: string | undefined;
    let consistency: Consistency | undefined;
    for (const entry of queue) {
      if (entry.isSettled()) continue;
      const { piped, turn, wish } = entry;
      const earlier = taken.get(piped.key) ?? 0;
      const mayGo = turn === undefined || turn.before() === earlier;
      const fits =
        entries.length === 0 ||
        (entries.length < BATCH_OPS_MAX &&
          bytes + piped.bytes <= BATCH_BYTES_MAX &&
          (piped.consistency ?? consistency) === (consistency ?? piped.consistency) &&
          suits(wish, origin));
      if (!mayGo || !fits) {
        left.push(entry);
        continue;
      }
      origin ??= channel.nodes.pick(wish);
      consistency ??= piped.consistency;
      entries.push(entry);
      bytes += piped.bytes;
      taken.set(piped.key, earlier + 1);
    }
    queue = left;
    return origin === undefined ? undefined : { origin, consistency, entries };
  }

  return {
    moved: schedule,
    submit: (submission) =>
      new Promise((resolve) => {
        queue.push(entryOf(channel, submission, resolve));
        schedule();
      }),
  };
}

function suits({ avoided, readyAt }: Wish, origin: string | undefined): boolean {
  return origin !== undefined && origin !== avoided && readyAt(origin) <= now();
}

/** Sends the batch and tells each of its calls what became of it. */
async function send(channel: Channel, { origin, consistency, entries }: Batch): Promise<void> {
  const [first] = entries;
  if (first === undefined) return;
  if (entries.length === 1) return first.alone(origin);
  const { transport, retry, nodes } = channel;
  const stop = new AbortController();
  let waiting = entries.length;
  const settled = () => {
    waiting -= 1;
    if (waiting === 0) stop.abort();
  };
  for (const entry of entries) entry.travel(origin, settled);
  const ops = entries.map(({ piped, session }) => {
    const tag = session();
    return tag === undefined ? piped.op : { ...piped.op, session: tag };
  });
  const exchange = await transport.exchange({
    method: 'POST',
    url: origin + pathOf(consistency),
    headers: {},
    body: { ops },
    signal: stop.signal,
    // Each call watches over its own time.
    remainingMs: retry.attemptTimeoutMs,
    phaseMs: retry.attemptTimeoutMs,
  });
  const result = interpret(origin, { isWrite: true, statuses: [200] }, exchange);
  if (waiting === 0) return;
  if ('failure' in result) {
    note(nodes, origin, result);
    for (const entry of entries) entry.fail(origin, result.failure);
    return;
  }
  const results = resultsOf(origin, entries, result.answer);
  const failed = results.find(
    (one) => 'failure' in one && (one.failure.nodeFailed || one.failure.code === 'no-leader'),
  );
  const { leader, membersIndex } = result;
  note(nodes, origin, { ...(failed ?? result), leader, membersIndex });
  for (const [at, one] of results.entries()) {
    if ('failure' in one) entries[at]?.fail(origin, one.failure);
    else entries[at]?.succeed(origin, one.answer);
  }
}

type One = { readonly answer: Answer } | { readonly failure: Failure };

function resultsOf(origin: string, entries: readonly Entry[], answer: Answer): readonly One[] {
  const body = answer.kind === 'ok' ? answer.body['results'] : undefined;
  const items: readonly unknown[] = Array.isArray(body) ? body : [];
  const failedKeys = new Set<string>();
  return entries.map(({ isWrite, piped: { key } }, at): One => {
    const one = interpretResult(origin, isWrite, items[at]);
    if (!('failure' in one)) return one;
    const { failure } = one;
    // One behind it on its key is refused with it, for the sake of the order; and the values of one answer are bounded
    // together. By itself it may well succeed.
    const isOfCompany = failedKeys.has(key) || (!isWrite && failure.code === 'too-large');
    const isRetryable = failure.retryable || (isOfCompany && failure.outcome === 'not-applied');
    failedKeys.add(key);
    return { failure: { ...failure, retryable: isRetryable } };
  });
}

function pathOf(consistency: Consistency | undefined): string {
  return consistency === undefined || consistency === 'linearizable'
    ? PATHS.pipeline
    : `${PATHS.pipeline}?${new URLSearchParams({ consistency }).toString()}`;
}

function entryOf<T>(
  channel: Channel,
  { operation, piped, turn, wish, bounds, session }: Submission<T>,
  resolve: (attempted: Attempted<T>) => void,
): Entry {
  const { isWrite } = operation;
  const { signal, remainingMs } = bounds;
  const deadlineMs = now() + remainingMs;
  let isSettled = false;
  let sentTo: string | undefined;
  let onSettled: () => void = () => undefined;

  const unwatch = () => {
    clearTimeout(timer);
    signal.removeEventListener('abort', giveUp);
  };
  const settle = (attempted: Attempted<T>) => {
    if (isSettled) return;
    isSettled = true;
    unwatch();
    resolve(attempted);
    onSettled();
  };
  const giveUp = () => settle({ origin: sentTo, failure: overdue(isWrite, sentTo, remainingMs) });
  const timer = setTimeout(giveUp, remainingMs);
  signal.addEventListener('abort', giveUp);
  if (signal.aborted) giveUp();

  return {
    piped,
    turn,
    wish,
    isWrite,
    session,
    isSettled: () => isSettled,
    travel(origin, listener) {
      sentTo = origin;
      onSettled = listener;
    },
    async alone(origin) {
      unwatch();
      const left = { remainingMs: Math.max(0, deadlineMs - now()), signal };
      settle(await attempt(channel, operation, origin, left, session()));
    },
    succeed: (origin, answer) => settle(valueOf(operation, answer, origin)),
    fail: (origin, failure) =>
      settle({ origin, failure: isWrite ? failure : { ...failure, outcome: 'not-applied' } }),
  };
}
