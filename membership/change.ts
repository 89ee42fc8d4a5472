/**
 * The legal changes of a configuration (§6, thesis §4.3): one at a time, and whatever changes who votes goes through a joint
 * configuration, in which the majorities of both sets decide.
 */

import type { Configuration, Member, NodeId } from './configuration.js';
import { DEPARTED_MAX, configuration, isDeparted, memberOf, voters } from './configuration.js';

export type Addresses = Pick<Member, 'raft' | 'rpc' | 'http'>;

/**
 * - `add`: comes in as a learner; with `promote` it becomes a voter by itself once it has caught up.
 * - `promote`: a learner becomes a voter.
 * - `remove`: leaves; a voter does so by a joint configuration. `replaced`: another disk is to come in under its id.
 * - `readdress`: the same node is found elsewhere from now on.
 */
export type Change =
  | { readonly type: 'add'; readonly member: Omit<Member, 'voter' | 'leaving' | 'replaced'> }
  | { readonly type: 'promote'; readonly id: NodeId }
  | { readonly type: 'remove'; readonly id: NodeId; readonly replaced?: true }
  | { readonly type: 'readdress'; readonly id: NodeId; readonly addresses: Addresses };

/**
 * `under-way`: another change is not over. `exists`: the id is taken, by another disk. `departed`: this disk was a member and left; it comes
 * back as another one. `unknown`: there is no such member. `last-voter`: nobody would be left to vote. `nothing`: it is so already.
 */
export type ChangeFault = 'under-way' | 'exists' | 'departed' | 'unknown' | 'last-voter' | 'nothing';

export type Changed = { readonly configuration: Configuration } | { readonly fault: ChangeFault };

/** The configuration to append for `change`; a joint one where the voters change. */
export function changed(from: Configuration, change: Change): Changed {
  if (isJoint(from)) return { fault: 'under-way' };
  switch (change.type) {
    case 'add':
      return added(from, change.member);
    case 'promote': {
      const member = memberOf(from, change.id);
      if (member === undefined) return { fault: 'unknown' };
      if (member.voter) return { fault: 'nothing' };
      const { promote, ...rest } = member;
      return { configuration: joint(from, { ...rest, voter: true }) };
    }
    case 'remove': {
      const member = memberOf(from, change.id);
      if (member === undefined) return { fault: 'unknown' };
      const leaver = { ...member, ...(change.replaced === true && { replaced: true as const }) };
      if (!member.voter) return { configuration: without(from, [leaver]) };
      if (voters(from).length === 1) return { fault: 'last-voter' };
      return { configuration: joint(from, { ...leaver, voter: false, leaving: true }) };
    }
    case 'readdress': {
      const member = memberOf(from, change.id);
      if (member === undefined) return { fault: 'unknown' };
      const { raft, rpc, http } = change.addresses;
      if (member.raft === raft && member.rpc === rpc && member.http === http) return { fault: 'nothing' };
      return { configuration: withMember(from, { ...member, raft, rpc, http }) };
    }
  }
}

function added(from: Configuration, member: Omit<Member, 'voter' | 'leaving' | 'replaced'>): Changed {
  if (isDeparted(from, member.id, member.incarnation)) return { fault: 'departed' };
  const known = memberOf(from, member.id);
  if (known === undefined) return { configuration: withMember(from, { ...member, voter: false }) };
  return { fault: known.incarnation === member.incarnation ? 'nothing' : 'exists' };
}

/** Whether its majorities are those of two sets. */
export function isJoint(config: Configuration): boolean {
  return config.outgoing !== undefined;
}

/** The configuration that follows a joint one, once that is committed. */
export function leaveJoint(from: Configuration): Configuration {
  const { outgoing, ...simple } = from;
  return without(
    simple,
    simple.members.filter((member) => member.leaving === true),
  );
}

function joint(from: Configuration, member: Member): Configuration {
  return { ...withMember(from, member), outgoing: voters(from) };
}

function withMember(from: Configuration, member: Member): Configuration {
  const others = from.members.filter(({ id }) => id !== member.id);
  return { ...from, ...configuration(from.clusterId, [...others, member]) };
}

function without(from: Configuration, gone: readonly Member[]): Configuration {
  if (gone.length === 0) return from;
  const left = gone.map(({ id, incarnation, replaced }) => ({
    id,
    incarnation,
    ...(replaced && { replaced }),
  }));
  const departed = [...(from.departed ?? []), ...left];
  return {
    ...from,
    members: from.members.filter(({ id }) => !gone.some((member) => member.id === id)),
    departed: departed.slice(-DEPARTED_MAX),
  };
}
