/** The metrics of one node, in the conventions of Prometheus. */

import { Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { ObserveRequest } from './http-metrics.js';
import { httpMetrics } from './http-metrics.js';
import type { NodeSources, ObserveStanding } from './node-metrics.js';
import { nodeMetrics, standingMetrics } from './node-metrics.js';
import type { ObservedStores } from './store-metrics.js';
import { storeMetrics } from './store-metrics.js';
import type { WriteStages } from './write-stages.js';
import { writeStages } from './write-stages.js';

/** What `GET /metrics` answers with. */
export interface MetricsText {
  readonly contentType: string;
  readonly text: () => Promise<string>;
}

/** What the parts of a node tell, and `GET /metrics`. */
export interface Metrics extends MetricsText {
  readonly request: ObserveRequest;
  readonly stores: ObservedStores;
  readonly standing: ObserveStanding;
  readonly stages: WriteStages;
  /** A snapshot was made in so many milliseconds. */
  readonly snapshotMade: (durationMs: number, bytes: number) => void;
}

/** The process's own (memory, processor, event-loop lag, garbage collection) are among them. */
export function createMetrics(sources: NodeSources): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const refresh = nodeMetrics(registry, sources);
  const snapshots = new Histogram({
    name: 'kv_snapshot_duration_seconds',
    help: 'Making one snapshot',
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300],
    registers: [registry],
  });
  const sizes = new Histogram({
    name: 'kv_snapshot_size_bytes',
    help: 'Sizes of the snapshots that were made',
    buckets: Array.from({ length: 12 }, (_, at) => 1024 * 4 ** at),
    registers: [registry],
  });
  return {
    contentType: registry.contentType,
    text() {
      refresh();
      return registry.metrics();
    },
    request: httpMetrics(registry),
    stores: storeMetrics(registry, () => performance.now()),
    standing: standingMetrics(registry),
    stages: writeStages(registry, () => performance.now()),
    snapshotMade(durationMs, bytes) {
      snapshots.observe(Math.max(0, durationMs) / 1000);
      sizes.observe(bytes);
    },
  };
}
