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
}

export interface Configuration {
  /** Made when the cluster is made; calls that carry another one are refused. */
  readonly clusterId: string;
  /** Invariant: ids are unique, sorted. */
  readonly members: readonly Member[];
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
  return configuration(parsed['clusterId'], parsed['members'].map(memberFrom));
}

function memberFrom(value: unknown): Member {
  if (!isRecord(value)) throw new Error('a configuration entry holds no member');
  const text = (name: string): string => {
    const field = value[name];
    if (typeof field !== 'string' || field === '') throw new Error(`a member has no ${name}`);
    return field;
  };
  return {
    id: text('id'),
    incarnation: text('incarnation'),
    raft: text('raft'),
    rpc: text('rpc'),
    http: text('http'),
    voter: value['voter'] === true,
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
