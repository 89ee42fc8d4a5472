/**
 * The requests that most of the traffic consists of, answered without Koa: its context, router and bookkeeping cost more than the rest of such a
 * request. What is out of the ordinary about one (another site's page, a missing Host) is left to Koa.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';

import type { Logger } from 'pino';

import { HEADERS } from '../../api/types.js';
import type { ObserveAnswer, ObserveRequest } from '../metrics/http-metrics.js';
import type { Service } from '../service.js';
import type { AccessCheck } from './access.js';
import type { Exchange, HotHandler, RequestState } from './context.js';
import { PROBLEM_TYPE, problemOf } from './problem.js';
import { ClientGone } from './request-error.js';

/** A request that is answered here. */
export interface HotRoute {
  readonly method: string;
  readonly path: string;
  readonly handler: HotHandler;
}

/** What the answers are made of. */
export interface HotOptions {
  readonly hot: readonly HotRoute[];
  /** Undefined: everybody may do everything. */
  readonly check: AccessCheck | undefined;
  readonly service: Pick<Service, 'revision' | 'leader' | 'membersIndex'>;
  readonly requestId: (incoming: string | string[] | undefined) => string;
  readonly leader: () => string | undefined;
  readonly observe: ObserveRequest | undefined;
  readonly logger: Logger;
}

/** A route, and where its requests are counted. */
interface Counted {
  readonly handler: HotHandler;
  readonly observe: ObserveAnswer | undefined;
}

/** Answers a request, or returns false: then nothing of it was touched. */
export function hotAnswers(
  options: HotOptions,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { hot, requestId } = options;
  /** By path and method. */
  const routes = new Map<string, Map<string, Counted>>();
  for (const { method, path, handler } of hot) {
    const methods = routes.get(path) ?? new Map<string, Counted>();
    routes.set(path, methods.set(method, { handler, observe: options.observe?.(method, path) }));
  }
  return (request, response) => {
    const { url = '', method = '' } = request;
    const mark = url.indexOf('?');
    const path = mark < 0 ? url : url.slice(0, mark);
    const route = routes.get(path)?.get(method);
    if (route === undefined || url.includes('#')) return false;
    const { headers } = request;
    if (headers.host === undefined || headers.origin !== undefined) return false;
    if (headers['sec-fetch-site'] !== undefined) return false;
    const target = { path, query: mark < 0 ? undefined : url.slice(mark + 1) };
    const state = { requestId: requestId(headers['x-request-id']), target, revision: undefined };
    answer(new HotExchange(request, state), response, route, options);
    return true;
  };
}

class HotExchange implements Exchange {
  readonly req: IncomingMessage;
  readonly state: RequestState;
  status = 404;
  body: unknown = undefined;
  /** Name, value, name, value. */
  headers: string[] = [];

  constructor(req: IncomingMessage, state: RequestState) {
    this.req = req;
    this.state = state;
  }

  get protocol(): string {
    return this.req.socket instanceof TLSSocket ? 'https' : 'http';
  }

  set(name: string, value: string): void {
    this.headers.push(name, value);
  }
}

/** By callbacks: each `await` would be a turn through the queue of promises. */
function answer(
  exchange: HotExchange,
  response: ServerResponse,
  { handler, observe }: Counted,
  options: HotOptions,
): void {
  const startMs = observe === undefined ? 0 : performance.now();
  const send = (): void => {
    write(exchange, response, options);
    observe?.(exchange.status, (performance.now() - startMs) / 1000);
  };
  const fail = (error: unknown): void => {
    if (error instanceof ClientGone) {
      options.logger.debug({ requestId: exchange.state.requestId }, error.message);
      response.destroy();
      return;
    }
    explain(exchange, error, options);
    send();
  };
  try {
    options.check?.(exchange);
    void handler(exchange).then(send, fail);
  } catch (error) {
    fail(error);
  }
}

function write(
  { status, headers, body: given, state }: HotExchange,
  response: ServerResponse,
  { service, leader }: HotOptions,
): void {
  const body = typeof given === 'string' ? given : '';
  headers.push(HEADERS.revision, String(state.revision ?? service.revision()));
  headers.push(HEADERS.requestId, state.requestId);
  const leaderText = leader();
  if (leaderText !== undefined) headers.push(HEADERS.leader, leaderText);
  const membersIndex = service.membersIndex();
  if (membersIndex !== undefined) headers.push(HEADERS.members, String(membersIndex));
  if (status !== 304) headers.push('Content-Length', String(Buffer.byteLength(body)));
  response.writeHead(status, headers);
  end(response, body);
}

/** As `response.end(body)`, which has the socket write the answer and an empty text behind it: two pieces take longer than one by a tenth of a request. */
function end(response: ServerResponse, body: string): void {
  const { socket } = response;
  // Without one, an earlier answer of a client that pipelines is still due.
  if (socket === null || body === '') {
    response.end(body);
    return;
  }
  socket.cork();
  response.write(body);
  socket.uncork();
  response.end();
}

function explain(exchange: HotExchange, error: unknown, { service, logger }: HotOptions): void {
  const { requestId } = exchange.state;
  const { problem, headers } = problemOf(error, requestId, service.leader());
  if (problem.code === 'internal') {
    const { method, url } = exchange.req;
    logger.error({ err: error, requestId, method, url }, 'a request failed unexpectedly');
  }
  exchange.status = problem.status;
  exchange.headers = ['Content-Type', PROBLEM_TYPE, ...headers.flat()];
  exchange.body = JSON.stringify(problem);
}
