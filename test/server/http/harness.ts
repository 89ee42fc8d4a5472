import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { type AddressInfo, type Socket, connect } from 'node:net';

import type { ExecutionContext } from 'ava';
import { pino } from 'pino';

import type { ErrorCode, Problem } from '../../../api/errors.js';
import { type HttpAppOptions, type HttpConfig, createHttpApp } from '../../../server/http/app.js';
import {
  type HttpServer,
  type HttpServerOptions,
  createHttpServer,
} from '../../../server/http/http-server.js';
import type { RpcRouteOptions } from '../../../server/http/rpc-route.js';
import { type MemoryService, memoryService } from './memory-service.js';

export const VALUE_BYTES_MAX = 1000;

export const CONFIG: HttpConfig = {
  httpAddr: '127.0.0.1:8080',
  rpcAddr: '127.0.0.1:8081',
  advertisedHttpAddr: 'kv.example.org:8080',
  advertisedRpcAddr: 'kv.example.org:8081',
  http: { onFollower: 'forward', cors: [] },
  limits: {
    valueBytes: VALUE_BYTES_MAX,
    pendingRequests: 100,
    dataBytes: 0,
    freeBytes: 0,
    cacheBytes: 0,
    requestsPerSecond: 0,
  },
  auth: { clients: [], peerSecret: '' },
};

export interface Node {
  readonly service: MemoryService;
  readonly server: HttpServer['server'];
  readonly stop: HttpServer['stop'];
  readonly port: number;
  readonly url: string;
  /** What the node has logged, one JSON line each. */
  readonly logged: string[];
}

export interface NodeOptions {
  readonly http?: Partial<HttpConfig['http']>;
  readonly limits?: Partial<HttpServerOptions['limits']>;
  readonly rpc?: RpcRouteOptions;
  readonly auth?: Partial<HttpConfig['auth']>;
  readonly requestsPerSecond?: number;
  readonly metrics?: HttpAppOptions['metrics'];
  /** In place of the application. */
  readonly listener?: RequestListener;
}

/** A server on a port of the kernel's choice, closed when the test ends. */
export async function startNode(t: ExecutionContext, options: NodeOptions = {}): Promise<Node> {
  const service = memoryService();
  const logged: string[] = [];
  const logger = pino({ level: 'debug' }, { write: (line) => void logged.push(line) });
  const { requestsPerSecond = 0 } = options;
  const config = {
    ...CONFIG,
    http: { ...CONFIG.http, ...options.http },
    auth: { ...CONFIG.auth, ...options.auth },
    limits: { ...CONFIG.limits, requestsPerSecond },
  };
  const rpc = options.rpc === undefined ? {} : { rpc: options.rpc };
  const metrics = options.metrics === undefined ? {} : { metrics: options.metrics };
  const { server, stop } = createHttpServer({
    listener: options.listener ?? createHttpApp({ service, config, logger, ...rpc, ...metrics }),
    limits: {
      requestTimeoutMs: 5000,
      headersTimeoutMs: 5000,
      keepAliveTimeoutMs: 5000,
      connectionsMax: 100,
      ...options.limits,
    },
    service,
    logger,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => stop(0));
  const { port } = server.address() as AddressInfo;
  return { service, server, stop, port, url: `http://127.0.0.1:${port}`, logged };
}

export async function problemOf(response: Response): Promise<Problem> {
  return (await response.json()) as Problem;
}

/** Asserts a problem answer and gives it back. */
export async function assertProblem(
  t: ExecutionContext,
  response: Response,
  status: number,
  code: ErrorCode,
  field?: string,
): Promise<Problem> {
  const problem = await problemOf(response);
  t.is(response.status, status, JSON.stringify(problem));
  t.is(response.headers.get('content-type'), 'application/problem+json');
  t.is(problem.code, code, problem.detail);
  t.is(problem.status, status);
  t.is(problem.type, `urn:quorumkv:${code}`);
  t.is(response.headers.get('kv-request-id'), problem.requestId);
  if (field !== undefined) t.is(problem.field, field, problem.detail);
  return problem;
}

export function postJson(url: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  return fetch(url, { method: 'POST', body: JSON.stringify(body), ...init });
}

export interface RawConnection {
  readonly socket: Socket;
  /** All that has come back once the server has closed. */
  readonly all: Promise<string>;
  /** Resolves when what has come back so far matches. Rejects when the connection closes without. */
  until(pattern: RegExp): Promise<string>;
}

/** Bytes as they are, for what `fetch` refuses to send. */
export async function rawConnection(t: ExecutionContext, port: number): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => (text += chunk));
  // A reset ends the connection like any other close.
  socket.on('error', () => undefined);
  const all = new Promise<string>((resolve) => socket.on('close', () => resolve(text)));
  await once(socket, 'connect');
  return {
    socket,
    all,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(text)) resolve(text);
        };
        socket.on('data', look);
        socket.on('close', () => reject(new Error(`closed after: ${text}`)));
        look();
      }),
  };
}

/** Sends `text` and gives back everything until the server closes. */
export async function exchange(t: ExecutionContext, port: number, text: string | Buffer): Promise<string> {
  const connection = await rawConnection(t, port);
  connection.socket.write(text);
  return connection.all;
}
