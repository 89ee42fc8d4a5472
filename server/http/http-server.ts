/** A node:http server with bounds on what a client may hold: connections, headers, and the time that either takes. */

import {
  type RequestListener,
  type Server,
  type ServerResponse,
  STATUS_CODES,
  createServer,
} from 'node:http';
import { type Server as TlsServer, createServer as createTlsServer } from 'node:https';
import { Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';

import type { Logger } from 'pino';

import { ERRORS, type ErrorCode } from '../../api/errors.js';
import { HEADERS } from '../../api/types.js';
import type { Config } from '../../configs/config.js';
import type { NodeTls } from '../credentials.js';
import type { Service } from '../service.js';
import { leaderHeader } from './leader-header.js';
import { PROBLEM_TYPE, problemOf } from './problem.js';
import { RequestError } from './request-error.js';
import { requestIds } from './request-id.js';

/** What a server is made of. */
export interface HttpServerOptions {
  readonly listener: RequestListener;
  readonly limits: Pick<
    Config['http'],
    'requestTimeoutMs' | 'headersTimeoutMs' | 'keepAliveTimeoutMs' | 'connectionsMax'
  >;
  /** Undefined: it speaks plainly. */
  readonly tls?: NodeTls | undefined;
  /** Names the leader and the revision in the answers to what is no HTTP, too. */
  readonly service: Pick<Service, 'leader' | 'revision'>;
  readonly logger: Logger;
}

const HEADER_BYTES_MAX = 16 * 1024;

/** Between the answer to a malformed request and the end of its connection, so that the answer is read before a reset. */
const LINGER_MS = 200;

/** While stopping, a connection is idle once this has passed without a request: busy clients are told to leave instead. */
const SETTLE_MS = 300;

/** A server that isn't listening yet, and the way to stop it. */
export interface HttpServer {
  readonly server: Server | TlsServer;
  /**
   * Stops taking connections, lets the requests in flight be answered for up to `graceMs`, then breaks what is left.
   * Resolves when no client is connected any more; connections that were upgraded are their owner's to close.
   */
  readonly stop: (graceMs: number) => Promise<void>;
}

/** Builds a server around a listener of `createHttpApp` or `createRpcApp`. */
export function createHttpServer({ listener, limits, tls, service, logger }: HttpServerOptions): HttpServer {
  const server = boundedServer(limits, tls);
  const connections = new Map<Duplex, Connection>();
  const forget = (socket: Duplex): void => void socket.on('close', () => connections.delete(socket));
  // The sockets that requests come by.
  server.on(tls === undefined ? 'connection' : 'secureConnection', forget);
  server.on('tlsClientError', (error) => logger.debug({ err: error }, 'a connection did not agree on TLS'));
  server.on('request', (request, response) => {
    // The server is stopping: the client is to send its next request elsewhere.
    if (!server.listening) response.setHeader('Connection', 'close');
    note(connections, request.socket, response);
    listener(request, response);
  });

  const rawAnswer = rawAnswers(service);
  const answered = new WeakSet<Duplex>();
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (answered.has(socket)) return;
    answered.add(socket);
    logger.debug({ err: error }, 'a connection sent no valid HTTP');
    if (error.code === 'ECONNRESET' || !socket.writable || isAwaited(connections.get(socket))) {
      socket.destroy();
      return;
    }
    socket.end(rawAnswer(refusalOf(error.code)));
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  });
  return { server, stop: (graceMs) => stop(server, connections, graceMs) };
}

function note(connections: Map<Duplex, Connection>, socket: Duplex, response: ServerResponse): void {
  const connection = connections.get(socket);
  if (connection === undefined) {
    connections.set(socket, { response, isPipelined: false });
    return;
  }
  if (!connection.response.writableEnded) connection.isPipelined = true;
  connection.response = response;
}

function boundedServer(limits: HttpServerOptions['limits'], tls: NodeTls | undefined): Server | TlsServer {
  const { requestTimeoutMs, keepAliveTimeoutMs, connectionsMax } = limits;
  const headersTimeoutMs = Math.min(limits.headersTimeoutMs, requestTimeoutMs);
  const bounds = {
    maxHeaderSize: HEADER_BYTES_MAX,
    requestTimeout: requestTimeoutMs,
    headersTimeout: headersTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.max(20, Math.min(1000, Math.floor(headersTimeoutMs / 4))),
    // The application answers a missing Host itself, as a problem like any other.
    requireHostHeader: false,
  };
  const server =
    tls === undefined
      ? createServer(bounds)
      : createTlsServer({
          ...bounds,
          ...tls,
          handshakeTimeout: headersTimeoutMs,
          // Only nodes are asked for what it shows, and only by the routes for them: clients have none.
          requestCert: tls.ca !== undefined,
          rejectUnauthorized: false,
        });
  server.maxConnections = connectionsMax;
  // A client that doesn't read its answer holds it in memory. Longer than any answer may be waited for.
  server.timeout = 2 * requestTimeoutMs;
  return server;
}

function stop(
  server: Server | TlsServer,
  connections: ReadonlyMap<Duplex, Connection>,
  graceMs: number,
): Promise<void> {
  const startMs = performance.now();
  // Not the http server's own close: it breaks idle connections at once, whose next request may be on its way.
  NetServer.prototype.close.call(server);
  for (const { response } of connections.values()) {
    if (!response.headersSent) response.setHeader('Connection', 'close');
  }
  return new Promise((resolve) => {
    const poll = setInterval(() => {
      const elapsedMs = performance.now() - startMs;
      if (elapsedMs >= SETTLE_MS) server.closeIdleConnections();
      if (elapsedMs >= graceMs) server.closeAllConnections();
      if (elapsedMs < Math.min(SETTLE_MS, graceMs) || connections.size > 0) return;
      clearInterval(poll);
      resolve();
    }, 20);
  });
}

interface Connection {
  /** Of the newest request. */
  response: ServerResponse;
  /** A request came before the answer to an earlier one, at least once. */
  isPipelined: boolean;
}

/**
 * True when an answer may still be due to a request that arrived whole. A refusal written now would be taken for that
 * answer, and would say `not-applied` of a write that may be applied.
 */
function isAwaited(connection: Connection | undefined): boolean {
  if (connection === undefined) return false;
  const { response, isPipelined } = connection;
  if (isPipelined) return true;
  return !response.writableEnded && (response.req.complete || response.headersSent);
}

function refusalOf(code: string | undefined): RequestError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new RequestError(
        'headers-too-large',
        `headers must not be longer than ${HEADER_BYTES_MAX} bytes`,
      );
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new RequestError('too-large', 'the extensions of the chunks are too long');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new RequestError('request-timeout', 'the request was not complete in time');
    case 'HPE_INVALID_URL':
      return new RequestError(
        'bad-request',
        'the path may hold ASCII only; the rest must be percent-escaped',
        {
          field: 'path',
        },
      );
    default:
      return new RequestError('bad-request', `this is not valid HTTP (${code ?? 'unknown'})`);
  }
}

function rawAnswers(service: HttpServerOptions['service']): (refusal: RequestError) => string {
  const requestId = requestIds();
  const leader = leaderHeader(service);
  return (refusal) => {
    const id = requestId(undefined);
    const body = JSON.stringify(problemOf(refusal, id, service.leader()).problem);
    const leaderText = leader();
    return [
      statusLine(refusal.code),
      'Connection: close',
      `Content-Type: ${PROBLEM_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      `${HEADERS.requestId}: ${id}`,
      `${HEADERS.revision}: ${service.revision()}`,
      ...(leaderText === undefined ? [] : [`${HEADERS.leader}: ${leaderText}`]),
      '',
      body,
    ].join('\r\n');
  };
}

function statusLine(code: ErrorCode): string {
  const { status } = ERRORS[code];
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`;
}
