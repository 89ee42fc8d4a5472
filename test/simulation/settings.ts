/** The settings of the core that a run has. */

import type { RaftOptions } from '../../raft/state.js';
import { leaseMsFor } from '../../server/raft-settings.js';
import type { Random } from './random.js';

/** What is the same for all nodes of a run. */
export type RaftSettings = Omit<RaftOptions, 'id' | 'random'>;

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
