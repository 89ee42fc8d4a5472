/** Watches: a stream of events that goes on over the loss of nodes, from the event where it broke off. */

import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { PATHS } from '../api/paths.js';
import { progressOf } from '../api/watch-progress.js';
import { note } from './attempt.js';
import { onAbort } from './abort.js';
import { stopped } from './call.js';
import { createError, invalidArgument } from './errors.js';
import { badResponse, interpret, membersIndexOf, type Failure } from './failure.js';
import { isRecord } from './json.js';
import { checkOptions, refuseUnknown, type WatchOptions } from './options.js';
import { bytesOf, checkRevision, fullKey, innerKey, textOf } from './request.js';
import { backoffMs } from './retry.js';
import type { WatchEvent } from './surface.js';
import type { StreamExchange } from './transport.js';
import type { View } from './view.js';
import { sleep } from './wait.js';

/** A connection that is silent for so long is dead: the server sends a comment every 15 s. */
const SILENCE_MS_MAX = 45_000;

/** Of one event: more than the largest value, escaped. */
const EVENT_CHARS_MAX = 64 << 20;

/** What is watched: one key, or all that begin with a prefix (all there are, when it is empty). */
export type Watched = { readonly key: string } | { readonly prefix: string };

/** Where the next connection begins. */
interface Position {
  /** The first revision that is wanted. */
  readonly from: bigint;
  /** The last event that was handed out; or the place behind everything that is known to hold none. */
  last: { readonly revision: bigint; readonly n: number } | undefined;
}

interface Course {
  readonly query: URLSearchParams;
  readonly position: Position;
  readonly signal: AbortSignal;
  /** Failures since the last event or connection. */
  failures: number;
  /** Refusals that came before any connection end the watch at this time. */
  giveUpMs: number;
  avoided: string | undefined;
}

/** Begins at once with finding out where "now" is; connects when the first event is asked for. */
export function watch<V>(
  view: View<V>,
  what: Watched,
  options: WatchOptions = {},
): AsyncGenerator<WatchEvent<V>, void, undefined> {
  checkOptions('watch', options);
  checkRevision(options.fromRevision, 'fromRevision');
  const query = queryOf(view.prefix, what);
  const begin = beginning(view, query, options);
  // Whoever asks for the first event gets the error.
  begin.catch(() => undefined);
  return events(view, query, begin, options);
}

async function* events<V>(
  view: View<V>,
  query: URLSearchParams,
  begin: Promise<bigint>,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<V>, void, undefined> {
  const stop = new AbortController();
  const isStopped = () => stop.signal.aborted;
  const limits = { timeoutMs: view.settings.timeoutMs, signal: options.signal, closed: view.closed };
  const ignored = [...view.closed, options.signal].map((signal) =>
    signal === undefined ? undefined : onAbort(signal, () => stop.abort()),
  );
  try {
    const position: Position = { from: await begin, last: undefined };
    const course: Course = {
      query,
      position,
      signal: stop.signal,
      failures: 0,
      giveUpMs: performance.now() + limits.timeoutMs,
      avoided: undefined,
    };
    for (;;) {
      const failure = yield* connection(view, course);
      if (isStopped()) throw stopped(limits, 'not-applied');
      if (!failure.retryable || performance.now() > course.giveUpMs) throw createError(failure);
      course.failures += 1;
      const pauseMs = backoffMs(view.settings.retry, course.failures, Math.random);
      await sleep(Math.max(pauseMs, failure.retryAfterMs ?? 0), stop.signal);
      if (isStopped()) throw stopped(limits, 'not-applied');
    }
  } finally {
    stop.abort();
    for (const ignore of ignored) ignore?.();
  }
}

/** The events of one connection; returns why it ended. */
async function* connection<V>(
  view: View<V>,
  course: Course,
): AsyncGenerator<WatchEvent<V>, Failure, undefined> {
  const { nodes, transport, retry } = view.context;
  const { avoided, position } = course;
  const origin = nodes.pick({ route: 'any', avoided, readyAt: () => 0 });
  const { path, headers } = requestOf(course);
  const silence = new Silence(course.signal);
  const failed = (exchange: Exclude<StreamExchange, { kind: 'streaming' }>): Failure => {
    const result = interpret(origin, { isWrite: false, statuses: [] }, exchange);
    if (!course.signal.aborted) note(nodes, origin, result);
    return 'failure' in result
      ? result.failure
      : badResponse(false, `${origin} answers a watch with something else`);
  };
  try {
    const exchange = await transport.stream({
      url: origin + path,
      headers,
      signal: silence.signal,
      phaseMs: retry.attemptTimeoutMs,
    });
    course.avoided = origin;
    if (exchange.kind !== 'streaming') return failed(exchange);
    nodes.answered(origin, { leader: undefined, membersIndex: membersIndexOf(exchange.headers) });
    course.avoided = undefined;
    course.giveUpMs = Number.POSITIVE_INFINITY;
    const { messages, feed } = reader();
    try {
      for await (const chunk of exchange.chunks) {
        silence.heard();
        feed(chunk);
        for (const message of messages.splice(0)) {
          if ('told' in message) {
            advance(position, { revision: BigInt(message.told), n: 0 });
            continue;
          }
          const event = eventOf(view, position, message, origin);
          if (event === undefined) continue;
          course.failures = 0;
          yield event;
        }
        // While the events were worked off, nothing was read.
        silence.heard();
      }
    } catch (error) {
      if (error instanceof UselessEvent) return badResponse(false, error.message, error.cause);
      course.avoided = origin;
      return failed({ kind: 'failed', sent: true, timedOutMs: silence.brokenMs, cause: error });
    }
    return { ...badResponse(false, `${origin} ended the watch`), code: 'unavailable', retryable: true };
  } finally {
    silence.end();
  }
}

/** Aborts a connection that says nothing for too long. */
class Silence {
  readonly #controller = new AbortController();
  readonly #ignore: () => void;
  #timer: NodeJS.Timeout;
  /** The bound that ran out, when that is why it ended. */
  brokenMs: number | undefined;

  constructor(signal: AbortSignal) {
    this.#ignore = onAbort(signal, () => this.#controller.abort());
    this.#timer = this.#start();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#start();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#ignore();
    this.#controller.abort();
  }

  #start(): NodeJS.Timeout {
    return setTimeout(() => {
      this.brokenMs = SILENCE_MS_MAX;
      this.#controller.abort();
    }, SILENCE_MS_MAX);
  }
}

/** An event that is not one of this protocol. */
class UselessEvent extends Error {}

/** Of all before this revision, nothing is missing. */
interface Progress {
  readonly told: string;
}

/** Without it a quiet watch would ask for what fell out of the history long ago. */
function advance(position: Position, at: NonNullable<Position['last']>): void {
  if (isNew(position, at)) position.last = at;
}

function reader() {
  const messages: (EventSourceMessage | Progress)[] = [];
  const decoder = new TextDecoder();
  const parser = createParser({
    maxBufferSize: EVENT_CHARS_MAX,
    onEvent: (message) => messages.push(message),
    onComment: (comment) => {
      const told = progressOf(comment);
      if (told !== undefined) messages.push({ told });
    },
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') throw new UselessEvent(error.message);
    },
  });
  return { messages, feed: (chunk: Uint8Array) => parser.feed(decoder.decode(chunk, { stream: true })) };
}

/** The event of a message; undefined when it is none of a key, or was there already. */
function eventOf<V>(
  view: View<V>,
  position: Position,
  { event, id, data }: EventSourceMessage,
  origin: string,
): WatchEvent<V> | undefined {
  const [, revision = '', number = ''] = /^(\d+)\.(\d+)$/.exec(id ?? '') ?? [];
  const at = { revision: BigInt(revision === '' ? 0 : revision), n: Number(number) };
  // Cut off for being slow: it says where to go on, and the stream ends.
  if (event === 'cut-off') advance(position, at);
  if (event !== 'put' && event !== 'delete') return undefined;
  try {
    if (revision === '') throw new Error('its id is missing');
    if (!isNew(position, at)) return undefined;
    const body: unknown = JSON.parse(data);
    if (!isRecord(body)) throw new Error('its data is no object');
    const { of, reason } = body;
    const key = innerKey(view.prefix, body['key']);
    const change = { key, revision, n: at.n, of: typeof of === 'number' ? of : 1 };
    const result: WatchEvent<V> =
      event === 'put'
        ? { type: 'put', ...change, value: view.codec.decode(bytesOf(body)) }
        : { type: 'delete', ...change, ...(reason === 'expired' ? { reason } : {}) };
    position.last = at;
    return result;
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new UselessEvent(`an event of ${origin} is of no use: ${detail}`, { cause: error });
  }
}

function isNew({ from, last }: Position, at: { readonly revision: bigint; readonly n: number }): boolean {
  if (last === undefined) return at.revision >= from;
  return at.revision > last.revision || (at.revision === last.revision && at.n > last.n);
}

function requestOf({ query, position: { from, last } }: Course) {
  const asked = new URLSearchParams(query);
  if (last === undefined) asked.set('fromRevision', String(from));
  const headers: Record<string, string> =
    last === undefined ? {} : { 'last-event-id': `${last.revision}.${last.n}` };
  return { path: `${PATHS.watch}?${asked.toString()}`, headers };
}

function queryOf(namespace: string, what: Watched): URLSearchParams {
  refuseUnknown(what, ['key', 'prefix'], '');
  const { key, prefix }: { key?: unknown; prefix?: unknown } = what;
  if ((key === undefined) === (prefix === undefined)) {
    throw invalidArgument('key', 'a watch is of { key } or of { prefix }');
  }
  if (key !== undefined) return new URLSearchParams({ key: fullKey(namespace, key) });
  if (prefix === '') return new URLSearchParams({ prefix: namespace });
  return new URLSearchParams({ prefix: fullKey(namespace, prefix, 'prefix') });
}

/** The revision that comes next. It is read rather than left to the first node that answers, which may be behind. */
async function beginning<V>(
  view: View<V>,
  query: URLSearchParams,
  { fromRevision, signal }: WatchOptions,
): Promise<bigint> {
  if (fromRevision !== undefined) return BigInt(fromRevision);
  const page = new URLSearchParams({ limit: '1', keysOnly: 'true' });
  page.set('prefix', query.get('prefix') ?? query.get('key') ?? '');
  if (page.get('prefix') === '') page.delete('prefix');
  const path = `${PATHS.kv}?${page.toString()}`;
  const read = (answer: Parameters<typeof textOf>[0]) => textOf(answer, 'revision');
  const now = await view.call({ isWrite: false, method: 'GET', route: 'leader', path, read }, { signal });
  return BigInt(now) + 1n;
}
