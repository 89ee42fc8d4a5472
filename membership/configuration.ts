/**
 * Who belongs to the cluster: voters, learners, and where each is found. A configuration is data in the log (§6).
 */

/** The stable name of a node; addresses may change under it. */
export type NodeId = string & { readonly _unit?: 'node-id' };

export interface Member {
  readonly id: NodeId;
  /**
   * Made at random when the node's data directory is made. A disk that was wiped or replaced has another one, and
   * what the old one promised is not held against it.
   */
  readonly incarnation: string;
  /** `host:port` of consensus traffic. */
  readonly raft: string;
  /** `host:port` of the control plane. */
  readonly rpc: string;
  /** `host:port` for clients. */
  readonly http: string;
  /** False: a learner, which receives the log and votes for nothing. */
  readonly voter: boolean;
  /** A learner that is to become a voter once it has caught up (thesis §4.2.1). */
  readonly promote?: true;
  /** It is a member no more once the joint configuration is left. */
  readonly leaving?: true;
  /** It leaves to make room for another disk under its id. */
  readonly replaced?: true;
}

/** A disk that was a member once: what it says counts for nothing any more. */
export interface Departed {
  readonly id: NodeId;
  readonly incarnation: string;
  /** Its id was not given up: another disk may come in under it by itself. */
  readonly replaced?: true;
}

/** Of those that left, so many are remembered, the last ones. */
export const DEPARTED_MAX = 64;

export interface Configuration {
  /** Made when the cluster is made; calls that carry another one are refused. */
  readonly clusterId: string;
  /** Invariant: ids are unique, sorted. */
  readonly members: readonly Member[];
  /**
   * Who voted before, in a joint configuration (§6): until it is left, whatever takes a majority of the voters takes one of these as well.
   * Each of them is a member.
   */
  readonly outgoing?: readonly NodeId[];
  /** Who left, oldest first. */
  readonly departed?: readonly Departed[];
}

export function configuration(clusterId: string, members: readonly Member[]): Configuration {
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (let i = 1; i < sorted.length; i += 1) {
    const id = sorted[i]?.id;
    if (id !== undefined && id === sorted[i - 1]?.id) throw new Error(`the member ${id} is listed twice`);
  }
  return { clusterId, members: sorted };
}

export function voters(config: Configuration): readonly NodeId[] {
  return config.members.filter((member) => member.voter).map((member) => member.id);
}

/** The groups whose majorities decide: one, or two of a joint configuration (§6). */
export type Electorate = readonly (readonly NodeId[])[];

export function electorate(config: Configuration): Electorate {
  return config.outgoing === undefined ? [voters(config)] : [voters(config), config.outgoing];
}

/** Whether its vote counts, in either group. */
export function isElector(config: Configuration, id: NodeId): boolean {
  return memberOf(config, id)?.voter === true || config.outgoing?.includes(id) === true;
}

/** Everyone whose vote counts, once each. */
export function electors(config: Configuration): readonly NodeId[] {
  return config.members.filter(({ id }) => isElector(config, id)).map(({ id }) => id);
}

export function isDeparted(config: Configuration, id: NodeId, incarnation: string): boolean {
  return config.departed?.some((gone) => gone.id === id && gone.incarnation === incarnation) === true;
}

export function memberOf(config: Configuration, id: NodeId): Member | undefined {
  return config.members.find((member) => member.id === id);
}

/** A configuration as the payload of a log entry. */
export function encodeConfiguration(config: Configuration): Buffer {
  return Buffer.from(JSON.stringify(config));
}

/** Throws when the bytes are no configuration. */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const parsed: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  if (!isRecord(parsed) || typeof parsed['clusterId'] !== 'string' || !Array.isArray(parsed['members'])) {
    throw new Error('a configuration entry holds no configuration');
  }
  const { outgoing, departed } = parsed;
  return {
    ...configuration(parsed['clusterId'], parsed['members'].map(memberFrom)),
    ...(outgoing !== undefined && {
      outgoing: listOf(outgoing, 'outgoing').map((id) => textOf(id, 'outgoing')),
    }),
    ...(departed !== undefined && { departed: listOf(departed, 'departed').map(departedFrom) }),
  };
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`a configuration has no list ${name}`);
  return value;
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '') throw new Error(`a member has no ${name}`);
  return value;
}

function departedFrom(value: unknown): Departed {
  if (!isRecord(value)) throw new Error('a configuration holds no list of who left');
  return {
    id: textOf(value['id'], 'id'),
    incarnation: textOf(value['incarnation'], 'incarnation'),
    ...(value['replaced'] === true && { replaced: true }),
  };
}

function memberFrom(value: unknown): Member {
  if (!isRecord(value)) throw new Error('a configuration entry holds no member');
  const text = (name: string): string => textOf(value[name], name);
  return {
    id: text('id'),
    incarnation: text('incarnation'),
    raft: text('raft'),
    rpc: text('rpc'),
    http: text('http'),
    voter: value['voter'] === true,
    ...(value['promote'] === true && { promote: true }),
    ...(value['leaving'] === true && { leaving: true }),
    ...(value['replaced'] === true && { replaced: true }),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
