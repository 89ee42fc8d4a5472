import { LOG_LIMIT, LOG_LIMIT_MAX } from '../../api/limits.js';
import type { LogResponse } from '../../api/types.js';
import type { Service } from '../service.js';
import { answerJson } from './answer.js';
import type { Handler } from './context.js';
import { countParam, flagParam } from './params.js';
import { namesOf, params as schemas } from './schema/requests.js';
import { parseParams } from './target.js';

/** One handler a path. */
export interface StatusRoutes {
  readonly status: Handler;
  readonly clusterStatus: Handler;
  readonly clusterLog: Handler;
  readonly health: Handler;
  readonly livez: Handler;
  readonly readyz: Handler;
}

/** What operators and load balancers ask. Only `clusterStatus` asks another node, the leader, and does without its answer. */
export function statusRoutes(service: Service): StatusRoutes {
  const plain = (answer: () => readonly [status: number, body: object]): Handler => {
    return async (ctx) => {
      parseParams(ctx.state.target.query, []);
      answerJson(ctx, ...answer());
      await Promise.resolve();
    };
  };
  return {
    status: plain(() => [200, service.status()]),
    async clusterStatus(ctx) {
      parseParams(ctx.state.target.query, []);
      const own = service.clusterStatus();
      answerJson(ctx, 200, { ...own, ...(await service.leaderMembers()) });
    },
    async clusterLog(ctx) {
      const params = parseParams(ctx.state.target.query, namesOf(schemas.log));
      const lines = await service.log(countParam(params, 'limit', LOG_LIMIT_MAX, LOG_LIMIT));
      const body: LogResponse = {
        entries: lines.map(({ bytes, key = null, ...line }) => ({ ...line, size: bytes, key })),
      };
      answerJson(ctx, 200, body);
    },
    health: plain(() => {
      const health = service.health();
      return [health.status === 'healthy' ? 200 : 503, health];
    }),
    livez: plain(() => [200, { status: 'alive' }]),

    async readyz(ctx) {
      const verbose = flagParam(parseParams(ctx.state.target.query, namesOf(schemas.readyz)), 'verbose');
      const reason = service.notReady();
      const body = { status: reason === undefined ? 'ready' : 'not-ready', reason };
      answerJson(ctx, reason === undefined ? 200 : 503, verbose ? { ...body, node: service.status() } : body);
      await Promise.resolve();
    },
  };
}
