/** One request and its answer over HTTP. It repeats nothing and follows nothing: that is decided a layer up. */

import type { ClientRequest, IncomingHttpHeaders } from 'node:http';
import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { once } from 'node:events';
import { got, type HttpsOptions, type PlainResponse } from 'got';
import { checkToken, type AbortSignalLike, type AuthOptions, type TlsOptions } from './options.js';

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
  /** JSON; what it throws fails the exchange. */
  readonly body?: (() => string) | undefined;
  /** The whole exchange takes at most so long, the wait for a free connection included. */
  readonly remainingMs: number;
  /** Connecting takes at most so long, and so does the answer from the moment a connection is there. */
  readonly phaseMs: number;
  /** Stops the exchange. */
  readonly signal: AbortSignalLike;
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
    }
  /** `auth.token` gave none, so that nothing was sent. */
  | { readonly kind: 'tokenless'; readonly cause: unknown };

/** A request whose answer has no end. */
export interface StreamRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Connecting takes at most so long, and so does the head of the answer from the moment a connection is there. */
  readonly phaseMs: number;
  /** Stops it at any time. */
  readonly signal: AbortSignalLike;
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

/** What the transport goes by of the client's options. */
export interface TransportOptions {
  readonly auth: AuthOptions | undefined;
  readonly tls: TlsOptions | undefined;
}

export function createTransport({ auth, tls }: TransportOptions): Transport {
  const agents = agentsOf({ keepAlive: true, maxSockets: CONNECTIONS_MAX, timeout: IDLE_MS_MAX });
  // Apart from the others: they hold a connection each for as long as they last.
  const streaming = agentsOf({ maxSockets: STREAMS_MAX });
  const http = got.extend({
    agent: agents,
    ...(tls !== undefined && { https: httpsOf(tls) }),
    // Both would act without knowing whether a write may be repeated.
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    responseType: 'buffer',
    headers: { 'user-agent': 'quorumkv-client' },
  });
  return {
    destroy: () => {
      for (const { http: plain, https } of [agents, streaming]) {
        plain.destroy();
        https.destroy();
      }
    },
    async stream(request) {
      const shown = auth === undefined ? NOTHING : await credentialsOf(auth);
      if ('cause' in shown) return { kind: 'tokenless', cause: shown.cause };
      return openStream(http, streaming, { ...request, headers: { ...request.headers, ...shown.headers } });
    },
    async exchange(request) {
      const bounds = watch(request);
      try {
        const shown = auth === undefined ? NOTHING : await credentialsOf(auth);
        if ('cause' in shown) return { kind: 'tokenless', cause: shown.cause };
        const { method, body } = request;
        const pending = http(request.url, {
          method,
          headers: {
            ...request.headers,
            ...shown.headers,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          },
          signal: bounds.signal,
          // Of a string got would make these bytes twice: to send them, and to count them.
          ...(body === undefined ? {} : { body: Buffer.from(body()) }),
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

type Shown = { readonly headers: Readonly<Record<string, string>> } | { readonly cause: unknown };

const NOTHING: Shown = { headers: {} };

async function credentialsOf({ token }: AuthOptions): Promise<Shown> {
  try {
    const given = typeof token === 'string' ? token : checkToken(await token());
    return { headers: { authorization: `Bearer ${given}` } };
  } catch (cause) {
    return { cause };
  }
}

interface Agents {
  readonly http: Agent;
  readonly https: TlsAgent;
}

function agentsOf(options: ConstructorParameters<typeof Agent>[0]): Agents {
  return { http: new Agent(options), https: new TlsAgent(options) };
}

/** In got's names. */
function httpsOf({ ca, cert, key, passphrase, rejectUnauthorized = true }: TlsOptions): HttpsOptions {
  return {
    rejectUnauthorized,
    ...(ca !== undefined && { certificateAuthority: listOf(ca).map(pem) }),
    ...(cert !== undefined && { certificate: pem(cert) }),
    ...(key !== undefined && { key: pem(key) }),
    ...(passphrase !== undefined && { passphrase }),
  };
}

function listOf<T extends string | Uint8Array>(one: T | readonly T[]): readonly T[] {
  return typeof one === 'string' || one instanceof Uint8Array ? [one] : one;
}

function pem(text: string | Uint8Array): string {
  return typeof text === 'string' ? text : new TextDecoder().decode(text);
}

async function openStream(
  http: typeof got,
  agent: Agents,
  { url, headers, phaseMs, signal }: StreamRequest,
): Promise<StreamExchange> {
  const bounds = watch({ remainingMs: 2 * phaseMs, phaseMs, signal });
  const source = http.stream(url, { headers, signal: bounds.signal, agent });
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
      // Over TLS, not before both have agreed.
      socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', connected);
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
