/** The name of a snapshot says what it is: position and digest. The same id is the same bytes, on every node. */

import type { Position } from '../raft/entry.js';

export type SnapshotId = string & { readonly _unit?: 'snapshot-id' };

export interface SnapshotIdentity {
  readonly position: Position;
  /** SHA-256 of the file up to its digest, in hex. */
  readonly digest: string;
}

/** A snapshot that is complete. */
export interface SnapshotFile extends SnapshotIdentity {
  readonly id: SnapshotId;
  readonly bytes: number;
}

const DIGITS = 16;
const ID = /^(\d{16})-(\d{1,16})-([0-9a-f]{64})$/;

/** Ids sort by index. */
export function snapshotId({ position, digest }: SnapshotIdentity): SnapshotId {
  return `${String(position.index).padStart(DIGITS, '0')}-${position.term}-${digest}`;
}

/** Undefined for what is no id. */
export function parseSnapshotId(id: string): SnapshotIdentity | undefined {
  const match = ID.exec(id);
  const [, index, term, digest] = match ?? [];
  if (index === undefined || term === undefined || digest === undefined) return undefined;
  const position = { index: Number(index), term: Number(term) };
  if (!Number.isSafeInteger(position.index) || !Number.isSafeInteger(position.term)) return undefined;
  return { position, digest };
}
