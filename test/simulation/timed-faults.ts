/** What goes wrong at the worst moment: a leader returns when its successor is gone, a process ends while it writes, requests come when nobody waits for them. */

import type { SimulatedCluster } from './cluster.js';
import type { Host } from './host.js';
import type { Random } from './random.js';

export const TIMED_FAULT_KINDS = [
  'old-leader-returns',
  'crash-writing',
  'crash-writing-leader',
  'stalled-connections',
] as const;

export type TimedFaultKind = (typeof TIMED_FAULT_KINDS)[number];

export function isTimedFault(kind: string): kind is TimedFaultKind {
  return TIMED_FAULT_KINDS.some((known) => known === kind);
}

/** The longest that an election takes, and some more. */
const ELECTED_MS_MAX = 700;

export interface TimedFaultParts {
  readonly victim: Host;
  readonly durationMs: number;
  readonly random: Random;
  /** Once the fault's time is over. */
  readonly later: (task: () => void) => void;
}

export function strikeInTime(cluster: SimulatedCluster, kind: TimedFaultKind, parts: TimedFaultParts): void {
  const { victim, durationMs, random, later } = parts;
  switch (kind) {
    case 'old-leader-returns':
      returnOfLeader(cluster, parts);
      return;
    case 'crash-writing':
    case 'crash-writing-leader':
      victim.disk.whenWriting(random.pick(['log', 'state', 'state']), random.whole(1, 6), () => {
        cluster.crash(victim);
        later(() => cluster.restart(victim));
      });
      return;
    case 'stalled-connections':
      // Whoever asked may have given up by then, and asked another node.
      cluster.network.stalls = { share: random.between(0.1, 0.6), delayMs: [20, 20 + durationMs] };
      later(() => cluster.network.heal());
      return;
  }
}

/**
 * Cut off, it goes on to take what clients send, and its log becomes long, and old; it is back among the others at the very moment
 * when the one that was elected instead is gone, with what only few have heard of (§5.4.1).
 */
function returnOfLeader(cluster: SimulatedCluster, { durationMs, random }: TimedFaultParts): void {
  const { network, world, hostList } = cluster;
  const old = cluster.leader();
  if (old === undefined) return;
  for (const { id } of hostList) {
    if (id === old.id) continue;
    network.cut(id, old.id);
    network.cut(old.id, id);
  }
  cluster.whenElected((next) => {
    world.after(random.chance(0.5) ? random.between(0, 4) : random.between(0, 40), () => {
      network.heal();
      if (next === old) return;
      if (random.chance(0.3)) {
        next.pause(durationMs);
        return;
      }
      cluster.crash(next);
      world.after(durationMs, () => cluster.restart(next));
    });
  });
  world.after(ELECTED_MS_MAX, () => network.heal());
}
