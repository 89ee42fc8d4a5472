/** The HTTP application of a node: what every request goes through, whatever its route. */

import type { RequestListener } from 'node:http';

import type Router from '@koa/router';
import Koa from 'koa';
import type { Logger } from 'pino';

import { PATHS } from '../../api/paths.js';
import { HEADERS } from '../../api/types.js';
import type { Config } from '../../configs/config.js';
import type { ObserveRequest } from '../metrics/http-metrics.js';
import type { MetricsText } from '../metrics/metrics.js';
import type { Service } from '../service.js';
import { type AccessCheck, accessCheck } from './access.js';
import { bodyBudget } from './body.js';
import { type ClientRoutes, clientRoutes } from './client-routes.js';
import type { Context, RequestState } from './context.js';
import { crossSiteCheck } from './cross-site.js';
import { leaderHeader } from './leader-header.js';
import { PROBLEM_TYPE, problemOf } from './problem.js';
import { ClientGone, RequestError, badField } from './request-error.js';
import { requestIds } from './request-id.js';
import { hotAnswers } from './hot.js';
import { methodName, routeName } from './route-name.js';
import { type RpcRouteOptions, rpcRoute } from './rpc-route.js';
import { parseTarget } from './target.js';

/** What of a node's configuration the HTTP side goes by. */
export type HttpConfig = Pick<
  Config,
  'httpAddr' | 'rpcAddr' | 'advertisedHttpAddr' | 'advertisedRpcAddr' | 'limits' | 'auth'
> & {
  readonly http: Pick<Config['http'], 'onFollower' | 'cors'>;
};

/** What an application is made of. */
export interface HttpAppOptions {
  readonly service: Service;
  readonly config: HttpConfig;
  readonly logger: Logger;
  /** Present: the same listener carries `POST /rpc` as well. */
  readonly rpc?: RpcRouteOptions;
  readonly metrics?: MetricsText & { readonly request: ObserveRequest };
}

/** Everything that a client may ask of a node, for a server of `createHttpServer`. */
export function createHttpApp({ service, config, logger, rpc, metrics }: HttpAppOptions): RequestListener {
  const client = clientRoutes({
    service,
    valueBytesMax: config.limits.valueBytes,
    redirectWrites: config.http.onFollower === 'redirect',
    bodies: bodyBudget(),
    ...(metrics && { metrics }),
  });
  const routers = rpc === undefined ? [client.router] : [client.router, rpcRoute(rpc)];
  const check = accessCheck(config);
  return createApp({ service, config, logger, routers, hot: client.hot, check, observe: metrics?.request });
}

/** An application of `POST /rpc` alone, for an address that carries nothing else. */
export function createRpcApp({
  service,
  config,
  logger,
  rpc,
}: Required<Omit<HttpAppOptions, 'metrics'>>): RequestListener {
  const routers = [rpcRoute(rpc)];
  return createApp({
    service,
    config,
    logger,
    routers,
    hot: [],
    check: undefined,
    observe: undefined,
  });
}

interface AppOptions {
  readonly service: Service;
  readonly config: HttpConfig;
  readonly logger: Logger;
  readonly routers: readonly Router<RequestState>[];
  readonly hot: ClientRoutes['hot'];
  readonly check: AccessCheck | undefined;
  readonly observe: ObserveRequest | undefined;
}

function createApp({ service, config, logger, routers, hot, check, observe }: AppOptions): RequestListener {
  const app = new Koa<RequestState>();
  const requestId = requestIds();
  const leader = leaderHeader(service);
  const answeredAsCrossSite = crossSiteCheck(config.http.cors, [
    config.httpAddr,
    config.rpcAddr,
    config.advertisedHttpAddr,
    config.advertisedRpcAddr,
  ]);

  app.use(async (ctx: Context, next) => {
    let path = '';
    const startMs = observe === undefined ? 0 : performance.now();
    ctx.state.requestId = requestId(ctx.req.headers['x-request-id']);
    try {
      acceptTarget(ctx);
      ({ path } = ctx.state.target);
      if (!answeredAsCrossSite(ctx)) {
        // What nodes show to each other is `/rpc`'s own to look at.
        if (path !== PATHS.rpc) check?.(ctx);
        await next();
      }
    } catch (error) {
      answerError(ctx, error, service, logger);
    }
    ctx.res.setHeader(HEADERS.revision, String(ctx.state.revision ?? service.revision()));
    ctx.res.setHeader(HEADERS.requestId, ctx.state.requestId);
    const leaderText = leader();
    if (leaderText !== undefined) ctx.res.setHeader(HEADERS.leader, leaderText);
    const membersIndex = service.membersIndex();
    if (membersIndex !== undefined) ctx.res.setHeader(HEADERS.members, String(membersIndex));
    observe?.(methodName(ctx.req.method), routeName(path))(ctx.status, (performance.now() - startMs) / 1000);
  });
  for (const router of routers) app.use(router.routes());
  app.use((ctx: Context) => noRoute(ctx, routers));
  app.on('error', (error: NodeJS.ErrnoException) => {
    // A system call names itself, and a stream that its reader left has a code: the connection broke. Anything else is a fault of ours.
    const isBroken = error.syscall !== undefined || error.code === 'ERR_STREAM_PREMATURE_CLOSE';
    const level = isBroken ? 'debug' : 'error';
    logger[level]({ err: error }, 'an HTTP answer could not be written');
  });

  const handle = app.callback();
  const answerHot = hotAnswers({ hot, check, service, requestId, leader, observe, logger });
  return (request, response) => {
    if (!answerHot(request, response)) void handle(request, response);
  };
}

function acceptTarget(ctx: Context): void {
  const { req } = ctx;
  ctx.state.target = parseTarget(req.url ?? '/');
  // The router reads the URL again; the absolute form would be another path to it.
  if (req.url?.startsWith('/') !== true) {
    const { path, query } = ctx.state.target;
    req.url = query === undefined ? path : `${path}?${query}`;
  }
  if (req.headers.host === undefined && req.httpVersion === '1.1') throw badField('Host', 'is missing');
}

/** What no router took: says whether the path or only the method is unknown. */
function noRoute(ctx: Context, routers: readonly Router<RequestState>[]): never {
  const { path } = ctx.state.target;
  const methods = routers.flatMap((router) =>
    router.match(path, ctx.method).path.flatMap((route) => route.methods),
  );
  if (methods.length === 0)
    throw new RequestError('no-such-route', `there is no route ${path.slice(0, 200)}`);
  const allow = [...new Set(methods)].join(', ');
  throw new RequestError('method-not-allowed', `this route takes ${allow}`, { allow });
}

function answerError(ctx: Context, error: unknown, service: Service, logger: Logger): void {
  const { requestId } = ctx.state;
  if (error instanceof ClientGone) {
    logger.debug({ requestId }, error.message);
    ctx.respond = false;
    ctx.res.destroy();
    return;
  }
  const { problem, headers } = problemOf(error, requestId, service.leader());
  if (problem.code === 'internal') {
    logger.error(
      { err: error, requestId, method: ctx.method, url: ctx.req.url },
      'a request failed unexpectedly',
    );
  }
  ctx.status = problem.status;
  ctx.res.removeHeader('ETag');
  for (const [name, value] of headers) ctx.res.setHeader(name, value);
  ctx.res.setHeader('Content-Type', PROBLEM_TYPE);
  ctx.body = JSON.stringify(problem);
}
