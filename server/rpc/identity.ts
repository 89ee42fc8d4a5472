/**
 * Who calls whom, in which cluster. Every call between nodes carries this in its params, and is refused before anything
 * else looks at it when it is not for this node: a term or a vote never changes by a message from outside.
 */

import { z } from 'zod';
import type { Addresses } from '../../membership/change.js';
import type { NodeId } from '../../membership/configuration.js';
import { isRecord } from './dispatch.js';
import type { CallContext, Method } from './dispatch.js';
import { firstFault, invalidParams, RPC_CODES, RpcError } from './errors.js';

/** A node and the disk it is on; see `Member.incarnation`. */
export interface Identity {
  readonly id: NodeId;
  readonly incarnation: string;
}

/** What a node tells of itself when it says hello, beside who it is. */
export interface Introduction {
  /** Where others reach it. */
  readonly addresses: Addresses;
  /** Of the product. */
  readonly version: string;
}

/** What this node knows about itself and the others, read anew at every call. */
export interface Roster {
  readonly clusterName: string;
  self(): Identity;
  /** Undefined as long as this node belongs to no cluster yet. */
  clusterId(): string | undefined;
  /** A digest of the voters that this node would begin a cluster with; undefined before it knows them, and once it belongs to one. */
  firstVoters(): string | undefined;
  /** The incarnation that the configuration names for a node. */
  peerIncarnation(id: NodeId): string | undefined;
  /** Whether the committed configuration records this (id, incarnation) as removed or replaced. */
  isReplaced(id: NodeId, incarnation: string): boolean;
  introduction(): Introduction;
  /** Another node has introduced itself; it was not refused. */
  met(who: Identity, introduction: Introduction): void;
}

/** The fields by which a call says where it belongs. */
export interface Envelope {
  readonly cluster: string;
  /** Null: the sender belongs to no cluster yet. */
  readonly clusterId: string | null;
  readonly from: Identity;
  readonly to: Identity;
}

/** Characters of a name, an id or an incarnation, at most. */
const NAME_LENGTH_MAX = 256;

const name = z.string().min(1).max(NAME_LENGTH_MAX);

export const identitySchema = z.strictObject({ id: name, incarnation: name });

const envelopeSchema = z.object({
  cluster: name,
  clusterId: name.nullable(),
  from: identitySchema,
  to: identitySchema,
});

/** The envelope's fields for a strict schema of a call; `checkEnvelope` has looked into them before. */
export const envelopeShape = {
  cluster: z.unknown(),
  clusterId: z.unknown(),
  from: z.unknown(),
  to: z.unknown(),
};

/** The envelope for a call from this node. */
export function envelopeTo(roster: Roster, to: Identity): Envelope {
  return { cluster: roster.clusterName, clusterId: roster.clusterId() ?? null, from: roster.self(), to };
}

/** Throws the refusal (-32001 another cluster, -32003 a sender that was replaced) of a call from `from`. */
export function checkSender(
  { cluster, clusterId, from }: Pick<Envelope, 'cluster' | 'clusterId' | 'from'>,
  roster: Roster,
): void {
  if (cluster !== roster.clusterName) {
    throw new RpcError(
      `this node belongs to the cluster "${roster.clusterName}", the call to "${cluster}" (cluster.name)`,
      RPC_CODES.wrongCluster,
      { field: 'cluster' },
    );
  }
  const ownClusterId = roster.clusterId();
  // A node without an id yet cannot tell, nor can one judge it: the incarnations then decide alone.
  if (clusterId !== null && ownClusterId !== undefined && clusterId !== ownClusterId) {
    throw new RpcError(
      `this node belongs to the cluster with the id ${ownClusterId}, the call to ${clusterId}`,
      RPC_CODES.wrongCluster,
      { field: 'clusterId' },
    );
  }
  const self = roster.self();
  if (from.id === self.id || roster.isReplaced(from.id, from.incarnation)) {
    const why =
      from.id === self.id
        ? 'uses the id of this node'
        : 'was removed from the cluster, or its disk was replaced';
    throw new RpcError(`the sender ${from.id} (${from.incarnation}) ${why}`, RPC_CODES.replacedSender, {
      field: 'from',
      ...(from.id !== self.id && { departed: true }),
    });
  }
}

/** The envelope of a call, once it is certain that it is meant for this node. Throws the refusal otherwise. */
export function checkEnvelope(params: unknown, roster: Roster): Envelope {
  const parsed = envelopeSchema.safeParse(params);
  if (!parsed.success) {
    const { field, message } = firstFault(parsed.error);
    throw new RpcError(
      `the call does not say who it is from, for whom, in which cluster: ${field === '' ? 'params' : field}: ${message}`,
      RPC_CODES.missingIdentity,
      { field },
    );
  }
  const envelope = parsed.data;
  checkSender(envelope, roster);
  const self = roster.self();
  if (envelope.to.id !== self.id || envelope.to.incarnation !== self.incarnation) {
    throw new RpcError(
      `this node is ${self.id} (${self.incarnation}), the call is for ${envelope.to.id} (${envelope.to.incarnation})`,
      RPC_CODES.wrongReceiver,
      { field: 'to' },
    );
  }
  return envelope;
}

export interface MethodOptions<Fields = never> {
  /** Whether a call may come from a node that belongs to no cluster yet, when this one does. */
  readonly clusterIdOptional?: boolean;
  /**
   * For calls that come by the thousand: the fields, where they are all that the shape says and there are no others beside the envelope's; else
   * undefined, and the call is looked at again for what is wrong.
   */
  readonly quick?: (params: Record<string, unknown>) => Fields | undefined;
}

/** The fields of the envelope in a call's params. */
export const ENVELOPE_FIELDS = Object.keys(envelopeShape).length;

/** The envelope of a call that is certainly meant for this node; undefined where that takes a closer look. */
function quickEnvelope(params: Record<string, unknown>, roster: Roster): Envelope | undefined {
  const { cluster, clusterId, from, to } = params;
  const self = roster.self();
  if (cluster !== roster.clusterName || typeof clusterId !== 'string' || clusterId !== roster.clusterId())
    return undefined;
  if (!isIdentity(from) || !isIdentity(to)) return undefined;
  if (to.id !== self.id || to.incarnation !== self.incarnation) return undefined;
  if (from.id === self.id || roster.isReplaced(from.id, from.incarnation)) return undefined;
  return { cluster, clusterId, from, to };
}

function isIdentity(value: unknown): value is Identity {
  return (
    isRecord(value) && Object.keys(value).length === 2 && isName(value['id']) && isName(value['incarnation'])
  );
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= NAME_LENGTH_MAX;
}

/**
 * A method that only calls meant for this node reach, with exactly the fields of `shape` beside the envelope's; the
 * handler gets all of them. Refusals as in `checkEnvelope`; other faults are -32602 and name the field.
 */
export function identifiedMethod<Shape extends z.ZodRawShape>(
  roster: Roster,
  shape: Shape,
  handler: (fields: z.infer<z.ZodObject<Shape>>, envelope: Envelope, context: CallContext) => unknown,
  options: MethodOptions<z.infer<z.ZodObject<Shape>>> = {},
): Method {
  const body = z.object(shape);
  const allowed = new Set([...Object.keys(envelopeShape), ...Object.keys(shape)]);
  const { quick } = options;
  return (params, context) => {
    if (quick !== undefined && isRecord(params)) {
      const known = quickEnvelope(params, roster);
      const given = known && quick(params);
      if (known !== undefined && given !== undefined) return handler(given, known, context);
    }
    const envelope = checkEnvelope(params, roster);
    if (
      envelope.clusterId === null &&
      roster.clusterId() !== undefined &&
      options.clusterIdOptional !== true
    ) {
      throw new RpcError('the call does not name the cluster id', RPC_CODES.missingIdentity, {
        field: 'clusterId',
      });
    }
    const foreign = isRecord(params) && Object.keys(params).find((key) => !allowed.has(key));
    if (typeof foreign === 'string') throw invalidParams(foreign, 'is not a field of this call');
    const fields = body.safeParse(params);
    if (!fields.success) {
      const { field, message } = firstFault(fields.error);
      throw invalidParams(field, message);
    }
    return handler(fields.data, envelope, context);
  };
}
