/** A node:http server with bounds on what a client may hold: connections, headers, and the time that either takes. */

import {
  type RequestListener,
  type Server,
  type ServerResponse,
  STATUS_CODES,
  createServer,
} from 'node:http';
import type { Duplex } from 'node:stream';

import type { Logger } from 'pino';

import { ERRORS, type ErrorCode } from '../../api/errors.js';
import { HEADERS } from '../../api/types.js';
import type { Config } from '../../configs/config.js';
import type { Service } from '../service.js';
import { leaderHeader } from './leader-header.js';
import { PROBLEM_TYPE, problemOf } from './problem.js';
import { RequestError } from './request-error.js';
import { requestIds } from './request-id.js';

export interface HttpServerOptions {
  readonly listener: RequestListener;
  readonly limits: Pick<
    Config['http'],
    'requestTimeoutMs' | 'headersTimeoutMs' | 'keepAliveTimeoutMs' | 'connectionsMax'
  >;
  /** Names the leader and the revision in the answers to what is no HTTP, too. */
  readonly service: Pick<Service, 'leader' | 'revision'>;
  readonly logger: Logger;
}

const HEADER_BYTES_MAX = 16 * 1024;

/** Between the answer to a malformed request and the end of its connection, so that the answer is read before a reset. */
const LINGER_MS = 200;

/** The server, not listening yet. */
export function createHttpServer({ listener, limits, service, logger }: HttpServerOptions): Server {
  const { requestTimeoutMs, keepAliveTimeoutMs, connectionsMax } = limits;
  const headersTimeoutMs = Math.min(limits.headersTimeoutMs, requestTimeoutMs);
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    requestTimeout: requestTimeoutMs,
    headersTimeout: headersTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.max(20, Math.min(1000, Math.floor(headersTimeoutMs / 4))),
    // The application answers a missing Host itself, as a problem like any other.
    requireHostHeader: false,
  });
  server.maxConnections = connectionsMax;
  // A client that doesn't read its answer holds it in memory. Longer than any answer may be waited for.
  server.timeout = 2 * requestTimeoutMs;

  const connections = new WeakMap<Duplex, Connection>();
  server.on('request', (request, response) => {
    const connection = connections.get(request.socket);
    if (connection === undefined) {
      connections.set(request.socket, { response, isPipelined: false });
      return;
    }
    if (!connection.response.writableEnded) connection.isPipelined = true;
    connection.response = response;
  });
  server.on('request', listener);

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
  return server;
}

/**
 * Stops taking connections, lets the requests in flight be answered for up to `graceMs`, then breaks what is left.
 * Resolves when every connection is closed.
 */
export function stopHttpServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const poll = setInterval(() => server.closeIdleConnections(), 20);
    const deadline = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearInterval(poll);
      clearTimeout(deadline);
      resolve();
    });
    server.closeIdleConnections();
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
