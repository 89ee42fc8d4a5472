/** What goes wrong in a run: drawn from the seed beforehand, so that a failing run can be repeated with fewer faults. */

import type { Random } from './random.js';
import type { SimulatedCluster } from './cluster.js';

export const FAULT_KINDS = [
  'crash',
  'crash-all',
  'crash-leader',
  'pause',
  'pause-leader',
  'partition',
  'isolate-leader',
  'one-way',
  'bridge',
  'flaky-network',
  'slow-network',
  'disk-stall',
  'slow-disk',
  'clock-drift',
  'transfer',
  'connection-loss',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly durationMs: number;
  /** Decides on everything else about it. */
  readonly roll: number;
}

/** Each seed has its own mix: some kinds often, most never. */
export function drawFaults(random: Random, untilMs: number): Fault[] {
  const mix = FAULT_KINDS.filter(() => random.chance(0.4));
  if (mix.length === 0) return [];
  const meanMs = random.between(80, 600);
  const faults: Fault[] = [];
  let atMs = random.between(100, 600);
  while (atMs < untilMs) {
    const durationMs = random.chance(0.2) ? random.between(500, 1500) : random.between(20, 500);
    faults.push({ atMs, kind: random.pick(mix), durationMs, roll: random.whole(0, 2 ** 30) });
    atMs += random.between(0.2, 1.8) * meanMs;
  }
  return faults;
}

export function describeFault({ atMs, kind, durationMs, roll }: Fault): string {
  return `${atMs.toFixed(1)} ms: ${kind} for ${durationMs.toFixed(1)} ms (roll ${roll})`;
}

/** Does it. What it breaks is mended after its duration. */
export function inject(cluster: SimulatedCluster, fault: Fault, random: Random): void {
  const { world, network, journal } = cluster;
  const hosts = cluster.hostList;
  const leader = cluster.leader();
  const victim = fault.kind.endsWith('leader') ? (leader ?? random.pick(hosts)) : random.pick(hosts);
  const later = (task: () => void): void => void world.after(fault.durationMs, task);
  const cutOff = (from: (id: string) => boolean, to: (id: string) => boolean): void => {
    for (const a of hosts)
      for (const b of hosts) if (a !== b && from(a.id) && to(b.id)) network.cut(a.id, b.id);
  };
  journal.fault(fault.kind, `${victim.id} for ${fault.durationMs.toFixed(1)} ms`);

  switch (fault.kind) {
    case 'crash':
    case 'crash-leader':
      cluster.crash(victim);
      later(() => cluster.restart(victim));
      return;
    case 'crash-all':
      for (const host of hosts) cluster.crash(host);
      later(() => {
        for (const host of hosts) cluster.restart(host);
      });
      return;
    case 'pause':
    case 'pause-leader':
      victim.pause(fault.durationMs);
      return;
    case 'partition': {
      const side = new Set(hosts.filter(() => random.chance(0.5)).map(({ id }) => id));
      cutOff(
        (id) => side.has(id),
        (id) => !side.has(id),
      );
      cutOff(
        (id) => !side.has(id),
        (id) => side.has(id),
      );
      later(() => network.heal());
      return;
    }
    case 'isolate-leader':
      cutOff(
        (id) => id === victim.id,
        () => true,
      );
      cutOff(
        () => true,
        (id) => id === victim.id,
      );
      later(() => network.heal());
      return;
    case 'one-way':
      if (random.chance(0.5))
        cutOff(
          (id) => id === victim.id,
          () => true,
        );
      else
        cutOff(
          () => true,
          (id) => id === victim.id,
        );
      later(() => network.heal());
      return;
    case 'bridge': {
      // Two halves that only the victim can reach.
      const side = new Set(hosts.filter((host) => host !== victim && random.chance(0.5)).map(({ id }) => id));
      const far = (id: string): boolean => id !== victim.id && !side.has(id);
      cutOff((id) => side.has(id), far);
      cutOff(far, (id) => side.has(id));
      later(() => network.heal());
      return;
    }
    case 'flaky-network':
      network.quality = {
        delayMs: [0.05, random.between(1, 20)],
        loss: random.between(0, 0.3),
        doubled: random.between(0, 0.3),
        late: random.between(0, 0.2),
      };
      later(() => network.heal());
      return;
    case 'slow-network':
      network.quality = { delayMs: [5, random.between(10, 120)], loss: 0, doubled: 0, late: 0 };
      later(() => network.heal());
      return;
    case 'disk-stall':
      victim.disk.stalledUntilMs = world.nowMs + fault.durationMs;
      return;
    case 'slow-disk':
      victim.disk.quality = { delayMs: [2, random.between(5, 60)] };
      later(() => victim.disk.mend());
      return;
    case 'clock-drift':
      victim.drift(random.between(0.95, 1.05));
      return;
    case 'transfer':
      leader?.node?.transfer(victim.id);
      return;
    case 'connection-loss':
      for (const host of hosts) host.arrive(({ node }) => node.unreachable(victim.id));
      return;
  }
}
