/** The core's options in a test: everything small, and chance from a seed. */

import type { NodeId } from '../../membership/configuration.js';
import type { RaftOptions } from '../../raft/state.js';

/** The same numbers every time, others for each node. */
function randomFrom(seed: number): () => number {
  let state = seed * 2654435761;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

export function raftOptions(id: NodeId, seed: number, options: Partial<RaftOptions> = {}): RaftOptions {
  return {
    id,
    electionTicks: [15, 30],
    heartbeatTicks: 5,
    appendBytesMax: 4096,
    window: { appendsMax: 8, bytesMax: 65_536 },
    uncommittedBytesMax: 1_000_000,
    entryCacheBytes: 1_000_000,
    applyBytesMax: 4096,
    pendingReadsMax: 100,
    leaseMs: 126,
    random: randomFrom(seed),
    ...options,
  };
}
