import type { MetricsText } from '../metrics/metrics.js';
import type { Handler } from './context.js';
import { parseParams } from './target.js';

/** `GET /metrics`, in the text format of Prometheus. */
export function metricsRoute({ contentType, text }: MetricsText): Handler {
  return async (ctx) => {
    parseParams(ctx.state.target.query, []);
    ctx.status = 200;
    ctx.res.setHeader('Content-Type', contentType);
    ctx.body = await text();
  };
}
