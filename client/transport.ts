/** One request and its answer over HTTP. It repeats nothing and follows nothing: that is decided a layer up. */

import type { ClientRequest, IncomingHttpHeaders } from 'node:http';
import { Agent } from 'node:http';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import { got, type PlainResponse } from 'got';

/** Connections to one node at most; further requests of this client wait for one of them. */
const CONNECTIONS_MAX = 128;

/** Watches of this client at most on one node; further ones wait. */
const STREAMS_MAX = 1024;

/**
 * An idle connection is dropped after this: sooner than servers drop theirs (5 s in Node.js), since a request that
 * meets a connection the server is just closing has an unknown outcome.
 */
const IDLE_MS_MAX = 4_000;

export interface Request {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  /** Beside those of every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** The whole exchange takes at most so long, the wait for a free connection included. */
  readonly remainingMs: number;
  /** Connecting takes at most so long, and so does the answer from the moment a connection is there. */
  readonly phaseMs: number;
  /** Stops the exchange. */
  readonly signal: AbortSignal;
}

export type Exchange =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: Uint8Array;
    }
  | {
      readonly kind: 'failed';
      /** False when not one byte of the request can have left: nothing was connected. */
      readonly sent: boolean;
      /** The bound in milliseconds that ran out, when that is why. */
      readonly timedOutMs: number | undefined;
      readonly cause: unknown;
    };

/** A request whose answer has no end. */
export interface StreamRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Connecting takes at most so long, and so does the head of the answer from the moment a connection is there. */
  readonly phaseMs: number;
  /** Stops it at any time. */
  readonly signal: AbortSignal;
}

/** A stream of bytes, with 200; any other answer as a whole. */
export type StreamExchange =
  | Exchange
  | {
      readonly kind: 'streaming';
      readonly headers: IncomingHttpHeaders;
      readonly chunks: AsyncIterable<Uint8Array>;
    };

export interface Transport {
  exchange(request: Request): Promise<Exchange>;
  stream(request: StreamRequest): Promise<StreamExchange>;
  /** Drops every connection. */
  destroy(): void;
}

export function createTransport(): Transport {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX, timeout: IDLE_MS_MAX });
  // Apart from the others: they hold a connection each for as long as they last.
  const streaming = new Agent({ maxSockets: STREAMS_MAX });
  const http = got.extend({
    agent: { http: agent },
    // Both would act without knowing whether a write may be repeated.
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    responseType: 'buffer',
    headers: { 'user-agent': 'quorumkv-client' },
  });
  return {
    destroy: () => {
      agent.destroy();
      streaming.destroy();
    },
    stream: (request) => openStream(http, streaming, request),
    async exchange(request) {
      const bounds = watch(request);
      try {
        const pending = http(request.url, {
          method: request.method,
          headers: request.headers,
          signal: bounds.signal,
          ...(request.body === undefined ? {} : { json: request.body }),
        });
        void pending.on('request', (sending: ClientRequest) => sending.once('socket', bounds.onSocket));
        const { statusCode, headers, rawBody } = await pending;
        return { kind: 'answered', status: statusCode, headers, body: rawBody };
      } catch (error) {
        return {
          kind: 'failed',
          sent: bounds.sent(),
          timedOutMs: bounds.timedOutMs(),
          cause: causeOf(error),
        };
      } finally {
        bounds.end();
      }
    },
  };
}

async function openStream(
  http: typeof got,
  agent: Agent,
  { url, headers, phaseMs, signal }: StreamRequest,
): Promise<StreamExchange> {
  const bounds = watch({ remainingMs: 2 * phaseMs, phaseMs, signal });
  const source = http.stream(url, { headers, signal: bounds.signal, agent: { http: agent } });
  // Whoever reads finds the error; one that comes when nobody reads any more would end the process.
  source.on('error', () => undefined);
  void source.on('request', (sending: ClientRequest) => sending.once('socket', bounds.onSocket));
  try {
    const [response] = (await once(source, 'response')) as [PlainResponse];
    if (response.statusCode === 200) {
      bounds.relax();
      return { kind: 'streaming', headers: response.headers, chunks: source };
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of source as AsyncIterable<Uint8Array>) chunks.push(chunk);
    bounds.end();
    return {
      kind: 'answered',
      status: response.statusCode,
      headers: response.headers,
      body: Buffer.concat(chunks),
    };
  } catch (error) {
    bounds.end();
    return {
      kind: 'failed',
      sent: bounds.sent(),
      timedOutMs: bounds.timedOutMs(),
      cause: causeOf(error),
    };
  }
}

/** The time bounds of one exchange, and whether it came so far that bytes of it may have left. */
function watch(request: Pick<Request, 'remainingMs' | 'phaseMs' | 'signal'>) {
  const controller = new AbortController();
  const stop = () => controller.abort();
  let sent = false;
  let timedOutMs: number | undefined;
  const after = (ms: number) =>
    setTimeout(() => {
      timedOutMs = ms;
      stop();
    }, ms);
  const total = after(request.remainingMs);
  let phase: NodeJS.Timeout | undefined;
  const connected = () => {
    sent = true;
    clearTimeout(phase);
    phase = after(request.phaseMs);
  };
  if (request.signal.aborted) stop();
  request.signal.addEventListener('abort', stop);
  return {
    signal: controller.signal,
    sent: () => sent,
    timedOutMs: () => timedOutMs,
    /** Node.js holds a request back until its connection is up, so nothing leaves before `connect`. */
    onSocket: (socket: Socket) => {
      if (controller.signal.aborted) return;
      if (!socket.connecting) {
        connected();
        return;
      }
      phase = after(request.phaseMs);
      socket.once('connect', connected);
    },
    /** There is no bound on what follows but the signal. */
    relax() {
      clearTimeout(total);
      clearTimeout(phase);
    },
    end() {
      clearTimeout(total);
      clearTimeout(phase);
      request.signal.removeEventListener('abort', stop);
    },
  };
}

// got's own errors hold on to the request, its options and buffers; the error of the system below says it all.
function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? error.cause : error;
}
