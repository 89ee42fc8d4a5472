/** Where the time of a write goes on its leader: one write at a time is followed, so that it costs next to nothing. */

import type { Registry } from 'prom-client';
import { Histogram } from 'prom-client';

const BUCKETS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

/**
 * - `queue`: from the proposal until it is handed to the disk and to the followers;
 * - `sync`: from there until it is durable on the leader's own disk;
 * - `replicate`: from there, beside `sync`, until a majority holds it durably and it is committed;
 * - `apply`: from the commit until it is applied.
 *
 * What a request takes beside these (`kv_http_request_duration_seconds`) is reading it and answering it.
 */
export const WRITE_STAGES = ['queue', 'sync', 'replicate', 'apply'] as const;

export type WriteStage = (typeof WRITE_STAGES)[number];

/** Told by the loop; an `index` stands for all entries up to it. */
export interface WriteStages {
  /** It is in the log; its first command was proposed `waitedMs` ago. */
  proposed(index: number, waitedMs: number): void;
  handedOut(index: number): void;
  durable(index: number): void;
  committed(index: number): void;
  applied(index: number): void;
}

/** One that never gets through (its leader is deposed) is given up, so that another is followed. */
const GIVEN_UP_MS = 5000;

/** `nowMs`: monotonic. */
export function writeStages(registry: Registry, nowMs: () => number): WriteStages {
  const histogram = new Histogram({
    name: 'kv_write_stage_seconds',
    help: 'Stages of writes on their leader, of one write at a time',
    labelNames: ['stage'],
    buckets: BUCKETS,
    registers: [registry],
  });
  const [queue, sync, replicate, apply] = WRITE_STAGES.map((stage) => histogram.labels(stage));
  /** 0: none is followed, or it has not come so far. */
  let followed = 0;
  let proposedMs = 0;
  let handedOutMs = 0;
  let committedMs = 0;
  let isDurable = false;
  return {
    proposed(index, waitedMs) {
      const now = nowMs() - waitedMs;
      if (followed !== 0 && now - proposedMs < GIVEN_UP_MS) return;
      followed = index;
      proposedMs = now;
      handedOutMs = 0;
      committedMs = 0;
      isDurable = false;
    },
    handedOut(index) {
      if (followed === 0 || index < followed || handedOutMs !== 0) return;
      handedOutMs = nowMs();
      queue?.observe((handedOutMs - proposedMs) / 1000);
    },
    durable(index) {
      if (handedOutMs === 0 || index < followed || isDurable) return;
      isDurable = true;
      sync?.observe((nowMs() - handedOutMs) / 1000);
    },
    committed(index) {
      if (handedOutMs === 0 || index < followed || committedMs !== 0) return;
      committedMs = nowMs();
      replicate?.observe((committedMs - handedOutMs) / 1000);
    },
    applied(index) {
      if (committedMs === 0 || index < followed) return;
      apply?.observe((nowMs() - committedMs) / 1000);
      followed = 0;
      handedOutMs = 0;
      committedMs = 0;
    },
  };
}
