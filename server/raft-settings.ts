/** From a node's configuration to the units of the core. */

import type { Config } from '../configs/config.js';
import type { RaftOptions } from '../raft/state.js';

/** What time is counted in: fine enough for elections, coarse enough to cost nothing. */
export const TICK_MS = 10;

/** Entries are applied, answered and written in batches of so many bytes, or of one entry. */
const APPLY_BYTES_MAX = 1024 * 1024;

/**
 * Clocks of two nodes may run apart by this share of the time that passes: far more than any crystal or NTP slew
 * (0.05%), and still a lease that every second heartbeat renews.
 */
export const CLOCK_DRIFT_MAX = 0.1;

export function raftOptions({ raft, limits }: Config): RaftOptions {
  const ticks = (ms: number): number => Math.max(1, Math.round(ms / TICK_MS));
  const [minMs, maxMs] = raft.electionTimeoutMs;
  const heartbeatTicks = ticks(raft.heartbeatIntervalMs);
  const minTicks = Math.max(ticks(minMs), heartbeatTicks + 1);
  return {
    id: raft.nodeID,
    electionTicks: [minTicks, Math.max(minTicks, ticks(maxMs))],
    heartbeatTicks,
    appendBytesMax: raft.appendBytesMax,
    window: { appendsMax: raft.inflightAppendsMax, bytesMax: raft.inflightBytesMax },
    uncommittedBytesMax: raft.uncommittedBytesMax,
    entryCacheBytes: raft.entryCacheBytes,
    applyBytesMax: APPLY_BYTES_MAX,
    leaseMs: leaseMsFor(minTicks),
    pendingReadsMax: limits.pendingRequests,
    random: Math.random,
  };
}

/** How long a lease may be where the shortest election timeout is `minTicks`. */
export function leaseMsFor(minTicks: number): number {
  // A follower hears of its leader within a tick, and counts its loyalty from that tick on.
  return (minTicks - 1) * TICK_MS * (1 - CLOCK_DRIFT_MAX);
}
