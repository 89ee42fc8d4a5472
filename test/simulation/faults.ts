/** What goes wrong in a run: drawn from the seed beforehand, so that a failing run can be repeated with fewer faults. */

import type { Random } from './random.js';
import type { SimulatedCluster } from './cluster.js';
import type { Host } from './host.js';
import { MEMBER_FAULT_KINDS, changeMembers, isMemberFault } from './member-faults.js';
import { TIMED_FAULT_KINDS, isTimedFault, strikeInTime } from './timed-faults.js';

export const FAULT_KINDS = [
  'crash',
  'crash-all',
  'crash-leader',
  'pause',
  'pause-leader',
  'partition',
  'isolate-leader',
  'isolate-next-leader',
  'relay-of-leaders',
  'one-way',
  'bridge',
  'flaky-network',
  'slow-network',
  'deaf-follower',
  'slow-answers',
  'disk-stall',
  'disk-stall-leader',
  'slow-disk',
  'disk-failure',
  'disk-failure-leader',
  'quick-restart',
  'forgetful-voters',
  'crash-sending',
  'crash-sending-leader',
  'graceful-stop',
  'graceful-stop-leader',
  'clock-drift',
  'slow-clock-leader',
  'transfer',
  'transfer-unheard',
  'connection-loss',
  'snapshot-now',
  'full-snapshot-disk',
  'damaged-snapshot',
  'lost-state',
  'lost-log-end',
  'lost-when-needed',
  ...TIMED_FAULT_KINDS,
  ...MEMBER_FAULT_KINDS,
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly durationMs: number;
  /** Decides on everything else about it. */
  readonly roll: number;
}

/** Clocks run apart by less than the bound that leases allow for (`CLOCK_DRIFT_MAX`): the fastest by 1.045 / 0.955 = 1.094. */
const CLOCK_RATES = [0.955, 1.045] as const;

/** Each seed has its own mix: some kinds often, most never. */
export function drawFaults(random: Random, untilMs: number): Fault[] {
  const share = random.pick([0.1, 0.25, 0.4]);
  // Members change in every other run, and then often: most changes are over before anything else goes wrong.
  const memberShare = random.pick([0, 0.5]);
  const mix = FAULT_KINDS.filter((kind) => random.chance(isMemberFault(kind) ? memberShare : share));
  if (mix.length === 0) return [];
  // By the run's length: a short one, in which clients press, costs as much as a long one.
  const meanMs = random.between(0.03, 0.22) * untilMs;
  const faults: Fault[] = [];
  let atMs = random.between(0.05, 0.3) * untilMs;
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
  const [slowest, fastest] = CLOCK_RATES;
  const hosts = cluster.hostList;
  const leader = cluster.leader();
  const ofLeader = fault.kind.endsWith('leader') || fault.kind === 'slow-answers';
  const victim = ofLeader ? (leader ?? random.pick(hosts)) : random.pick(hosts);
  const isVictim = (id: string): boolean => id === victim.id;
  const isAny = (): boolean => true;
  const later = (task: () => void): void => void world.after(fault.durationMs, task);
  const cutOff = (from: (id: string) => boolean, to: (id: string) => boolean): void => {
    for (const a of hosts)
      for (const b of hosts) if (a !== b && from(a.id) && to(b.id)) network.cut(a.id, b.id);
  };
  /** Alone or with few others, a leader appends what is lost later. */
  const leaveWithFew = (elected: Host, healLater: (task: () => void) => void, favourite?: Host): void => {
    world.after(random.chance(0.5) ? 0 : random.between(0, 15), () => {
      const company = new Set(
        hosts.filter((host) => host === elected || random.chance(host === favourite ? 0.6 : 0.25)),
      );
      const isWithin = (id: string): boolean => [...company].some((host) => host.id === id);
      cutOff(isWithin, (id) => !isWithin(id));
      if (random.chance(0.5)) cutOff((id) => !isWithin(id), isWithin);
      healLater(() => network.heal());
    });
  };
  journal.fault(fault.kind, `${victim.id} for ${fault.durationMs.toFixed(1)} ms`);

  if (isMemberFault(fault.kind)) {
    changeMembers(cluster, fault.kind, { victim, random, later });
    return;
  }
  if (isTimedFault(fault.kind)) {
    strikeInTime(cluster, fault.kind, { victim, durationMs: fault.durationMs, random, later });
    return;
  }
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
    case 'isolate-next-leader':
      cluster.whenElected((elected) => leaveWithFew(elected, later));
      return;
    case 'relay-of-leaders': {
      // Figure 8: each leader reaches only few, and is followed by another one that did not hear of it.
      const untilMs = world.nowMs + 2 * fault.durationMs;
      if (random.chance(0.7)) victim.disk.stall(untilMs, false);
      const next = (elected: Host): void => {
        if (world.nowMs >= untilMs) return;
        network.heal();
        leaveWithFew(elected, (task) => void world.after(untilMs - world.nowMs, task), victim);
        cluster.whenElected(next);
      };
      cluster.whenElected(next);
      if (leader !== undefined) next(leader);
      return;
    }
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
    case 'deaf-follower':
      // It hears no leader, and campaigns; the others may hear both.
      cutOff((id) => id === leader?.id, isVictim);
      if (random.chance(0.5)) cutOff(isVictim, (id) => id === leader?.id);
      // The leader is the last to learn what came of it: its lease goes on meanwhile.
      if (leader !== undefined && random.chance(0.4)) network.slowDown(leader.id, random.between(10, 80));
      later(() => network.heal());
      return;
    case 'slow-answers':
      // Answers to a leader come when it is not one any more.
      network.slowDown(victim.id, random.between(50, 500));
      world.after(random.between(0, 0.5) * fault.durationMs, () => cutOff(isVictim, isAny));
      later(() => network.heal());
      return;
    case 'disk-stall':
    case 'disk-stall-leader':
      victim.disk.stall(world.nowMs + fault.durationMs, random.chance(0.3));
      return;
    case 'disk-failure':
    case 'disk-failure-leader':
      cluster.failDisk(victim, fault.durationMs);
      return;
    case 'quick-restart':
      cluster.crash(victim);
      world.after(random.between(0.1, 10), () => cluster.restart(victim));
      return;
    case 'forgetful-voters':
      // One node hears no leader; the others do, and start again and again.
      if (leader === undefined || leader === victim) return;
      cutOff((id) => id === leader.id, isVictim);
      cutOff(isVictim, (id) => id === leader.id);
      for (let atMs = random.between(10, 100); atMs < fault.durationMs; atMs += random.between(15, 80)) {
        world.after(atMs, () => {
          for (const host of hosts) if (host !== leader && host !== victim) cluster.crash(host);
          world.after(random.between(0.1, 5), () => {
            for (const host of hosts) cluster.restart(host);
          });
        });
      }
      later(() => network.heal());
      return;
    case 'crash-sending':
    case 'crash-sending-leader':
      victim.whenSending(random.whole(1, 4), () => {
        cluster.crash(victim);
        later(() => cluster.restart(victim));
      });
      return;
    case 'graceful-stop':
    case 'graceful-stop-leader':
      cluster.leave(victim, fault.durationMs);
      return;
    case 'slow-disk':
      victim.disk.quality = { delayMs: [2, random.between(5, 60)] };
      later(() => victim.disk.mend());
      return;
    case 'clock-drift':
      victim.drift(random.between(slowest, fastest));
      return;
    case 'slow-clock-leader':
      // The lease of the slowest clock against the loyalty of the fastest ones.
      for (const host of hosts) host.drift(host === victim ? slowest : fastest);
      cutOff(isVictim, isAny);
      cutOff(isAny, isVictim);
      later(() => network.heal());
      return;
    case 'transfer':
      leader?.node?.transfer(victim.id);
      return;
    case 'transfer-unheard':
      // The old leader hears nothing of what came of it.
      if (leader === undefined) return;
      leader.node?.transfer(victim.id);
      cutOff(isAny, (id) => id === leader.id);
      later(() => network.heal());
      return;
    case 'snapshot-now':
      for (const host of hosts) if (host === victim || random.chance(0.3)) host.takeSnapshot();
      return;
    case 'full-snapshot-disk':
      victim.disk.snapshots.writeFault = 'no space left on the device';
      later(() => victim.disk.mend());
      return;
    case 'damaged-snapshot':
      victim.disk.damageSnapshot();
      return;
    case 'lost-state':
    case 'lost-log-end':
      // What every node has lost is lost; what a process reads does not go while it does.
      if (victim.isStarting) return;
      if (victim.disk.isEmpty || victim.place === 'outside' || !cluster.canSpare(victim)) return;
      cluster.crash(victim);
      if (fault.kind === 'lost-state') victim.disk.loseState();
      else victim.disk.loseEnd();
      later(() => cluster.restart(victim));
      return;
    case 'lost-when-needed': {
      // Some are cut off while the others commit; then of those one alone is left, and has lost what it knew.
      if (leader === undefined) return;
      const others = random.shuffled(hosts.filter((host) => host !== leader && host.isUp));
      const away = others.slice(0, Math.floor(others.length / 2));
      const isAway = (id: string): boolean => away.some((host) => host.id === id);
      const forgetful = others.at(-1);
      if (forgetful === undefined || away.includes(forgetful)) return;
      cutOff(isAway, (id) => !isAway(id));
      cutOff((id) => !isAway(id), isAway);
      // A state that the log can make anew is no loss.
      if (random.chance(0.5)) forgetful.takeSnapshot();
      world.after(random.between(0.3, 1) * fault.durationMs, () => {
        const down = hosts.filter(({ id, isUp }) => isUp && !isAway(id));
        if (!forgetful.isUp || !cluster.canSpare(forgetful)) return;
        for (const host of down) cluster.crash(host);
        if (random.chance(0.5)) forgetful.disk.loseEnd();
        else forgetful.disk.loseState();
        network.heal();
        cluster.restart(forgetful);
        later(() => {
          for (const host of down) cluster.restart(host);
        });
      });
      return;
    }
    case 'connection-loss':
      for (const host of hosts) host.arrive(({ node }) => node.unreachable(victim.id));
      return;
  }
}
