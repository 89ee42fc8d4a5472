/** Changes of the members while everything else goes wrong: nodes come and go, alone, at once, and with new disks. */

import type { Configuration, Member } from '../../membership/configuration.js';
import { isDeparted, memberOf } from '../../membership/configuration.js';
import type { MemberRequest } from '../../server/members/request.js';
import { ServiceError } from '../../server/service.js';
import type { SimulatedCluster } from './cluster.js';
import type { Host } from './host.js';
import type { Random } from './random.js';

export const MEMBER_FAULT_KINDS = [
  'member-join',
  'member-return',
  'member-remove',
  'member-remove-leader',
  'member-replace',
  'members-at-once',
  'joint-crash',
  'joint-isolate',
] as const;

/** A request is over by then, wherever it has come. */
const REQUEST_MS_MAX = 3000;

export type MemberFaultKind = (typeof MEMBER_FAULT_KINDS)[number];

export function isMemberFault(kind: string): kind is MemberFaultKind {
  return MEMBER_FAULT_KINDS.some((known) => known === kind);
}

export interface MemberFaultParts {
  readonly victim: Host;
  readonly random: Random;
  /** Once the fault's time is over. */
  readonly later: (task: () => void) => void;
}

export function changeMembers(
  cluster: SimulatedCluster,
  kind: MemberFaultKind,
  { victim, random, later }: MemberFaultParts,
): void {
  const { hostList, network } = cluster;
  const outside = hostList.filter(({ place }) => place === 'outside');
  const inside = hostList.filter(({ place }) => place !== 'outside');

  switch (kind) {
    case 'member-join': {
      const [newcomer] = outside;
      if (newcomer === undefined) return;
      cluster.replaceDisk(newcomer, random.chance(0.5) ? 'member' : 'returning');
      cluster.restart(newcomer);
      return;
    }
    case 'member-return': {
      // With the disk that it was removed with: it may not know of that.
      const departed = outside.find(({ disk }) => !disk.isEmpty);
      if (departed === undefined) return;
      departed.place = 'member';
      cluster.restart(departed);
      return;
    }
    case 'member-remove':
    case 'member-remove-leader':
      remove(cluster, victim, random);
      return;
    case 'member-replace':
      if (victim.isStarting || victim.disk.isEmpty || victim.place === 'outside') return;
      if (!cluster.canSpare(victim)) return;
      cluster.replaceDisk(victim, 'returning');
      later(() => cluster.restart(victim));
      return;
    case 'members-at-once':
      for (let count = random.whole(2, 4); count > 0; count -= 1) {
        const one = random.pick(inside);
        const roll = random.next();
        if (roll < 0.5) remove(cluster, one, random);
        else if (roll < 0.7) request(cluster, { type: 'promote', id: one.id }, random);
        else request(cluster, { type: 'readdress', id: one.id, addresses: { http: `${roll}:1` } }, random);
      }
      return;
    case 'joint-crash':
      cluster.whenJoint((first) => {
        const down = inside.filter((host) => host === first || random.chance(0.4));
        for (const host of down) cluster.crash(host);
        later(() => {
          for (const host of down) cluster.restart(host);
        });
      });
      return;
    case 'joint-isolate':
      cluster.whenJoint((first) => {
        const company = new Set(hostList.filter((host) => host === first || random.chance(0.3)));
        for (const a of hostList)
          for (const b of hostList) if (company.has(a) !== company.has(b)) network.cut(a.id, b.id);
        later(() => network.heal());
      });
      return;
  }
}

/** Nobody is removed without whom the rest could not go on, for what others have lost. */
function remove(cluster: SimulatedCluster, victim: Host, random: Random): void {
  if (victim.place === 'outside' || !cluster.canSpare(victim)) return;
  victim.isLeaving = true;
  request(cluster, { type: 'remove', id: victim.id }, random);
}

/** Asked of any node that runs; what becomes of it is for the cluster to say. */
function request(cluster: SimulatedCluster, asked: MemberRequest, random: Random): void {
  const running = cluster.hostList.filter(({ isUp }) => isUp);
  if (running.length === 0) return;
  random.pick(running).arrive(({ service }) => {
    // Whoever was asked may crash: then nobody answers, but what it has passed on ends in time.
    cluster.changesAsked += 1;
    cluster.world.after(REQUEST_MS_MAX, () => (cluster.changesAsked -= 1));
    service.changeCluster(asked).catch((error: unknown) => {
      if (!(error instanceof ServiceError)) cluster.fail(error);
    });
  });
}

/** Whether no change is under way any more: whoever runs is a voter, and whoever is a voter runs. */
export function isSettled(cluster: SimulatedCluster): boolean {
  const lead = cluster.leader()?.node;
  if (lead === undefined || cluster.changesAsked > 0) return false;
  const { configuration, standing, state } = lead;
  if (standing.configuration !== configuration || configuration.outgoing !== undefined) return false;
  // Until then a change that was given up may still be committed from another log (§5.4.2).
  if (state.current.role !== 'leader' || state.log.commit < state.current.firstIndex) return false;
  return (
    cluster.hostList.every(
      (host) => host.place === 'outside' || belongs(configuration, host) || isForgotten(configuration, host),
    ) &&
    configuration.members.every(({ id }) =>
      cluster.hostList.some((host) => host.id === id && belongs(configuration, host)),
    )
  );
}

/** It runs, and votes. */
export function belongs({ members }: Configuration, { id, disk, isUp }: Host): boolean {
  return isUp && members.some((member) => isSettledAt(member, id, disk.incarnation));
}

/** It was removed, and all whom it could ask about that have left as well: it never learns of it. */
function isForgotten(configuration: Configuration, { id, disk, node }: Host): boolean {
  if (node === undefined || !isDeparted(configuration, id, disk.incarnation)) return false;
  return node.configuration.members.every(
    (known) => known.id === id || memberOf(configuration, known.id) === undefined,
  );
}

function isSettledAt(member: Member, id: string, incarnation: string): boolean {
  return member.id === id && member.incarnation === incarnation && member.voter;
}
