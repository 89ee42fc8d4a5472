import Router from '@koa/router';

import { PATHS } from '../../api/paths.js';
import type { RequestState } from './context.js';
import type { HotRoute } from './hot.js';
import type { KeyRouteOptions } from './key-access.js';
import { memberRoutes } from './member-routes.js';
import { listRoute } from './list-route.js';
import { pathRoutes } from './path-routes.js';
import { pipelineRoute } from './pipeline-route.js';
import { queryRoutes } from './query-routes.js';
import { metricsRoute } from './metrics-route.js';
import { openApiRoute } from './openapi-route.js';
import { openSession } from './session.js';
import { backup, takeSnapshot } from './snapshot-route.js';
import { statusRoutes } from './status-routes.js';
import { deletePrefix, txnRoute } from './txn-route.js';
import { watchRoute } from './watch-route.js';

/** The routes of clients, as parts of an application. */
export interface ClientRoutes {
  readonly router: Router<RequestState>;
  /** The requests that most of the traffic consists of, to be answered without Koa and its router, which have them as well. */
  readonly hot: readonly HotRoute[];
}

/** Everything that clients ask of a node. */
export function clientRoutes(options: KeyRouteOptions): ClientRoutes {
  const byQuery = queryRoutes(options);
  const byPath = pathRoutes(options, byQuery.get);
  const status = statusRoutes(options.service);
  // Strict: `/set/` is another path, and would be a guess.
  const router = new Router<RequestState>({ strict: true, sensitive: true });
  router.get(PATHS.get, byQuery.get);
  router.post(PATHS.set, byQuery.set);
  router.delete(PATHS.delete, byQuery.delete);
  router.post(PATHS.sessions, openSession(options));
  router.get(PATHS.kv, listRoute(options.service));
  router.delete(PATHS.kv, deletePrefix(options));
  router.post(PATHS.txn, txnRoute(options));
  router.post(PATHS.pipeline, pipelineRoute(options));
  // As an expression: the router would decode parameters, and a key decodes its own path.
  const keyPath = new RegExp(`^${PATHS.kv}/`);
  router.get(keyPath, byPath.get);
  router.put(keyPath, byPath.set);
  router.post(keyPath, byPath.set);
  router.delete(keyPath, byPath.delete);
  router.get(PATHS.watch, watchRoute(options.service));
  router.get(PATHS.snapshot, backup(options));
  router.post(PATHS.snapshot, takeSnapshot(options));
  router.get(PATHS.status, status.status);
  router.get(PATHS.clusterStatus, status.clusterStatus);
  const members = memberRoutes(options);
  router.get(PATHS.members, members.list);
  router.post(PATHS.members, members.add);
  // As an expression: the router would decode parameters, and an id decodes its own path.
  router.delete(members.onePath, members.remove);
  router.patch(members.onePath, members.readdress);
  router.post(members.promotePath, members.promote);
  router.post(PATHS.transfer, members.transfer);
  router.get(PATHS.clusterLog, status.clusterLog);
  router.get(PATHS.health, status.health);
  router.get(PATHS.livez, status.livez);
  router.get(PATHS.readyz, status.readyz);
  router.get(
    PATHS.openapi,
    openApiRoute(() => options.service.status().version),
  );
  if (options.metrics !== undefined) router.get(PATHS.metrics, metricsRoute(options.metrics));
  const hot: HotRoute[] = [
    { method: 'GET', path: PATHS.get, handler: byQuery.get },
    { method: 'POST', path: PATHS.set, handler: byQuery.set },
  ];
  return { router, hot };
}
