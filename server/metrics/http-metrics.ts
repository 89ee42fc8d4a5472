/** Requests of clients, counted by route, method and status. */

import type { Registry } from 'prom-client';
import { Counter, Histogram } from 'prom-client';

/** Seconds: from a read out of memory to the request timeout. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** One request was answered, or its stream has begun. `route` and `method` must come from a bounded set. */
export type ObserveRequest = (method: string, route: string, status: number, seconds: number) => void;

interface Series {
  readonly durations: Histogram.Internal<'method' | 'route'>;
  readonly byStatus: Map<number, Counter.Internal>;
}

/** Registers the metrics; the result costs a look-up and two additions a request. */
export function httpMetrics(registry: Registry): ObserveRequest {
  const registers = [registry];
  const requests = new Counter({
    name: 'kv_http_requests_total',
    help: 'Requests answered, by route, method and status; a watch counts when its stream begins',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: 'kv_http_request_duration_seconds',
    help: 'From the head of a request to its answer; of a watch, to the beginning of its stream',
    labelNames: ['method', 'route'],
    buckets: BUCKETS,
    registers,
  });
  const known = new Map<string, Series>();
  return (method, route, status, seconds) => {
    const name = `${method} ${route}`;
    let series = known.get(name);
    if (series === undefined) {
      series = { durations: durations.labels(method, route), byStatus: new Map() };
      known.set(name, series);
    }
    let counter = series.byStatus.get(status);
    if (counter === undefined) {
      counter = requests.labels(method, route, String(status));
      series.byStatus.set(status, counter);
    }
    series.durations.observe(seconds);
    counter.inc();
  };
}
