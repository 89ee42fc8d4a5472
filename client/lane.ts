/**
 * Calls that share round trips. While fewer than so many requests are out, what was called in one turn of the event
 * loop is sent at once: a single call as itself, several as one `POST /pipeline`. What is called meanwhile waits for
 * an answer, and then travels together. A call in a batch fails, is stopped and is repeated on its own.
 */

import { PATHS } from '../api/paths.js';
import type { Consistency } from '../api/types.js';
import { note, type Channel } from './attempt.js';
import { Deadlines } from './deadlines.js';
import { interpret, interpretResult, type Answer, type Failure } from './failure.js';
import type { Wish } from './nodes.js';
import type { Attempted } from './operation.js';
import { Passenger, type Submission } from './passenger.js';

/** Operations of one batch: enough that its round trip costs each of them next to nothing. */
const BATCH_OPS_MAX = 256;

/** Of one batch, about: so much is no burden to either side, and a larger value goes by itself. */
const BATCH_BYTES_MAX = 256 << 10;

export interface Lane {
  /** Sends it, alone or with others. Never rejects. */
  submit<T>(submission: Submission<T>): Promise<Attempted<T>>;
  /** Calls have left their places: others may go now. */
  moved(): void;
}

/** A passenger, whatever it brings back. */
type Entry = Omit<Passenger<unknown>, 'overdue'>;

interface Batch {
  readonly origin: string;
  /** Of its reads; undefined where there are none. */
  readonly consistency: Consistency | undefined;
  readonly entries: readonly Entry[];
}

/** A lane with at most so many requests out at a time. */
export function createLane(channel: Channel, requestsMax: number): Lane {
  const surroundings = { channel, deadlines: new Deadlines() };
  let queue: Entry[] = [];
  /** Whether it is in the order of the calls: those that are repeated come back behind younger ones. */
  let isInOrder = true;
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
      if (!isInOrder) queue.sort((a, b) => orderOf(a) - orderOf(b));
      isInOrder = true;
      const { batch, left } = board(channel, queue);
      queue = left;
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

  return {
    moved: schedule,
    submit: (submission) =>
      new Promise((resolve) => {
        const entry = new Passenger(submission, surroundings, resolve);
        const last = queue.at(-1);
        if (last !== undefined && orderOf(last) > orderOf(entry)) isInOrder = false;
        queue.push(entry);
        schedule();
      }),
  };
}

/** The oldest call that may go, and all that may go along; and who is left. */
function board(
  { nodes }: Channel,
  queue: readonly Entry[],
): { readonly batch: Batch | undefined; readonly left: Entry[] } {
  const nowMs = performance.now();
  const entries: Entry[] = [];
  const left: Entry[] = [];
  let bytes = 0;
  let origin: string | undefined;
  let consistency: Consistency | undefined;
  for (const entry of queue) {
    if (entry.isSettled) continue;
    const { piped, turn, wish } = entry;
    const mayGo = turn?.mayBoard() ?? true;
    const fits =
      entries.length === 0 ||
      (entries.length < BATCH_OPS_MAX &&
        bytes + piped.bytes <= BATCH_BYTES_MAX &&
        (piped.consistency ?? consistency) === (consistency ?? piped.consistency) &&
        suits(wish, origin, nowMs));
    if (!mayGo || !fits) {
      left.push(entry);
      continue;
    }
    origin ??= nodes.pick(wish);
    consistency ??= piped.consistency;
    entries.push(entry);
    bytes += piped.bytes;
    turn?.board();
  }
  return { batch: origin === undefined ? undefined : { origin, consistency, entries }, left };
}

function orderOf({ turn }: Pick<Entry, 'turn'>): number {
  return turn?.order ?? 0;
}

function suits({ avoided, readyAt }: Wish, origin: string | undefined, nowMs: number): boolean {
  return origin !== undefined && origin !== avoided && readyAt(origin) <= nowMs;
}

/** Sends the batch and tells each of its calls what became of it. */
async function send(channel: Channel, { origin, consistency, entries }: Batch): Promise<void> {
  const [first] = entries;
  if (first === undefined) return;
  if (entries.length === 1) return first.alone(origin);
  const { transport, retry, nodes } = channel;
  const stop = new AbortController();
  let waiting = entries.length;
  let isOver = false;
  const settled = () => {
    waiting -= 1;
    if (waiting === 0 && !isOver) stop.abort();
  };
  for (const entry of entries) entry.travel(origin, settled);
  const ops = entries.map((entry) => entry.text());
  const exchange = await transport.exchange({
    method: 'POST',
    url: origin + pathOf(consistency),
    headers: {},
    body: () => `{"ops":[${ops.join(',')}]}`,
    signal: stop.signal,
    // Each call watches over its own time.
    remainingMs: retry.attemptTimeoutMs,
    phaseMs: retry.attemptTimeoutMs,
  });
  isOver = true;
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
