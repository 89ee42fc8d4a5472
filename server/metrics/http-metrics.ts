/** Requests of clients, counted by route, method and status. */

import type { Registry } from 'prom-client';
import { Counter, Histogram } from 'prom-client';

/** Seconds: from a read out of memory to the request timeout. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** One request was answered, or its stream has begun. */
export type ObserveAnswer = (status: number, seconds: number) => void;

/** For the requests of a method and a route, which must come from a bounded set. */
export type ObserveRequest = (method: string, route: string) => ObserveAnswer;

/** Requests with one status that no scrape has seen yet. */
interface Unseen {
  readonly labels: { readonly method: string; readonly route: string; readonly status: string };
  count: number;
}

/** Registers the metrics. */
export function httpMetrics(registry: Registry): ObserveRequest {
  const registers = [registry];
  const unseen: Unseen[] = [];
  const requests = new Counter({
    name: 'kv_http_requests_total',
    help: 'Requests answered, by route, method and status; a watch counts when its stream begins',
    labelNames: ['method', 'route', 'status'],
    registers,
    collect() {
      for (const one of unseen) {
        requests.inc(one.labels, one.count);
        one.count = 0;
      }
    },
  });
  const durations = new Histogram({
    name: 'kv_http_request_duration_seconds',
    help: 'From the head of a request to its answer; of a watch, to the beginning of its stream',
    labelNames: ['method', 'route'],
    buckets: BUCKETS,
    registers,
  });
  const known = new Map<string, ObserveAnswer>();
  const observe = (method: string, route: string): ObserveAnswer => {
    const taken = durations.labels(method, route);
    const byStatus = new Map<number, Unseen>();
    return (status, seconds) => {
      taken.observe(seconds);
      let one = byStatus.get(status);
      if (one === undefined) {
        one = { labels: { method, route, status: String(status) }, count: 0 };
        byStatus.set(status, one);
        unseen.push(one);
      }
      one.count += 1;
    };
  };
  return (method, route) => {
    const name = `${method} ${route}`;
    const found = known.get(name) ?? observe(method, route);
    known.set(name, found);
    return found;
  };
}
