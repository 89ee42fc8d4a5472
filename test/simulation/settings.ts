/** The settings of the core that a run has. */

import type { RaftOptions } from '../../raft/state.js';
import { leaseMsFor } from '../../server/raft-settings.js';
import type { SnapshotSettings } from '../server/memory-snapshots.js';
import { RARE_SNAPSHOTS } from '../server/memory-snapshots.js';
import type { Random } from './random.js';

/** What is the same for all nodes of a run. */
export type RaftSettings = Omit<RaftOptions, 'id' | 'random'>;

export interface SessionSettings {
  readonly ttlMs: number;
  /** So many at a time. */
  readonly max: number;
}

/** Short and few, so that runs of two seconds see them expire. */
export const SESSIONS: SessionSettings = { ttlMs: 2000, max: 8 };

/** Small bounds, so that short runs meet them. */
export const RAFT: RaftSettings = {
  electionTicks: [15, 30],
  heartbeatTicks: 5,
  appendBytesMax: 512,
  window: { appendsMax: 4, bytesMax: 2048 },
  uncommittedBytesMax: 16 * 1024,
  entryCacheBytes: 1024,
  applyBytesMax: 512,
  pendingReadsMax: 64,
  leaseMs: leaseMsFor(15),
};

/** Each seed has its own: often many small snapshots, sometimes none at all. */
export function drawSnapshots(random: Random): SnapshotSettings {
  if (random.chance(0.25)) return RARE_SNAPSHOTS;
  return {
    making: {
      intervalMs: random.pick([20, 100, 400]),
      thresholdBytes: random.pick([1, 300, 2000]),
      filesMax: random.pick([1, 2, 5]),
      trailingLogBytes: random.pick([0, 0, 400]),
    },
    sending: {
      chunkBytes: random.pick([64, 512, 65_536]),
      windowChunks: random.pick([1, 3]),
      resendMs: 60,
      giveUpMs: random.pick([300, 1500]),
    },
    bytesPerSecond: random.pick([50_000, 10_000_000]),
  };
}

/** Each seed has its own. */
export function drawSettings(random: Random): RaftSettings {
  const [heartbeatTicks, minTicks] = random.chance(0.3) ? [2, 6] : [5, 15];
  return {
    ...RAFT,
    electionTicks: [minTicks, 2 * minTicks],
    heartbeatTicks,
    // One entry at a time, or several.
    appendBytesMax: random.pick([1, 128, 512]),
    window: { appendsMax: random.pick([1, 4, 16]), bytesMax: 2048 },
    entryCacheBytes: random.pick([1, 1024, 16 * 1024]),
    leaseMs: leaseMsFor(minTicks),
  };
}
