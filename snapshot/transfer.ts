/** What the two ends of a transfer say to each other. The transport carries it; neither end knows how. */

import type { Term } from '../raft/entry.js';
import type { SnapshotId } from './identity.js';
import { parseSnapshotId } from './identity.js';
import type { IncomingOffer } from './store.js';

/** "I have this for you: from where do you want it?" The sender's first message, and again when it has not heard for a while. */
export interface SnapshotOffer {
  readonly type: 'offer';
  readonly id: SnapshotId;
  readonly totalBytes: number;
  /** Of the leader that sends it. */
  readonly term: Term;
}

export interface SnapshotChunk {
  readonly type: 'chunk';
  readonly id: SnapshotId;
  readonly offset: number;
  readonly data: Buffer;
  /** CRC-32 of the data. */
  readonly crc: number;
}

export type TransferRequest = SnapshotOffer | SnapshotChunk;

/**
 * - `wanted`: everything before `offset` is there; go on from it.
 * - `received`: it is complete, verified and durable.
 * - `refused`: this one is not wanted. `unknown`: no transfer of it has begun, so it is to be offered; `older`: another one is being
 *   received that comes first; `damaged`: what came is not what its id says; `failed`: it could not be written.
 */
export type TransferAnswer =
  | { readonly type: 'wanted'; readonly id: SnapshotId; readonly offset: number }
  | { readonly type: 'received'; readonly id: SnapshotId }
  | {
      readonly type: 'refused';
      readonly id: SnapshotId;
      readonly reason: RefusalReason;
      readonly message: string;
    };

export type RefusalReason = 'unknown' | 'older' | 'damaged' | 'failed' | 'malformed';

/** Undefined for an offer that no sender makes. */
export function incomingOfferOf({ id, totalBytes }: SnapshotOffer): IncomingOffer | undefined {
  const identity = parseSnapshotId(id);
  if (identity === undefined || !Number.isSafeInteger(totalBytes) || totalBytes <= 0) return undefined;
  return { ...identity, totalBytes };
}
