/** Is this snapshot what it says it is, all of it? */

import type { Codec } from './codec.js';
import type { SnapshotIdentity } from './identity.js';
import type { Done } from './outcome.js';
import { SnapshotError, failure } from './outcome.js';
import type { ReadSnapshot, SnapshotSource, SnapshotVisitor } from './reading.js';
import { readSnapshot } from './reading.js';

/**
 * Reads all of it, checking everything.
 *
 * @param identity what it must be; undefined for a file that comes without a name
 */
export function verifySnapshot(
  source: SnapshotSource,
  codec: Codec,
  identity: SnapshotIdentity | undefined,
  done: Done<ReadSnapshot>,
  visitor: Omit<SnapshotVisitor, 'rows'> = {},
): void {
  readSnapshot(source, codec, visitor, (outcome) => {
    const fault = outcome.ok && identity !== undefined ? mismatch(outcome.value, identity) : undefined;
    done(fault === undefined ? outcome : failure(fault));
  });
}

function mismatch(found: ReadSnapshot, { position, digest }: SnapshotIdentity): SnapshotError | undefined {
  const { index, term } = found.header.applied;
  if (found.digest === digest && index === position.index && term === position.term) return undefined;
  return new SnapshotError(
    'damaged',
    `the snapshot is not the one its name says: it is of index ${index}, term ${term}, digest ${found.digest}`,
    { offset: 0 },
  );
}
