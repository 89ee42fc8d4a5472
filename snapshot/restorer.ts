/** From a snapshot to the state. Nothing is replaced before all of the file has been verified, and then only by all of it. */

import type { StateRestore, StateStore } from '../persistence/state-store.js';
import type { Codec } from './codec.js';
import type { SnapshotIdentity } from './identity.js';
import type { Done } from './outcome.js';
import { SnapshotError, failure } from './outcome.js';
import type { ReadSnapshot, SnapshotSource, SnapshotVisitor } from './reading.js';
import { readSnapshot } from './reading.js';
import { verifySnapshot } from './verify.js';

export interface RestoreOptions {
  readonly source: SnapshotSource;
  readonly codec: Codec;
  readonly state: Pick<StateStore, 'beginRestore'>;
  /** What the snapshot must be; undefined for a file that comes without a name. */
  readonly identity: SnapshotIdentity | undefined;
  /** Which of the two passes, and how far. */
  readonly progress?: (
    phase: 'verifying' | 'restoring',
    progress: { readonly bytes: number; readonly totalBytes: number },
  ) => void;
  /** Looked at all the time until the content is switched over; true ends it, with the old content in place. */
  readonly cancelled?: () => boolean;
  /** As `SnapshotVisitor.rest`; absent: without a rest. */
  readonly rest?: (next: () => void) => void;
}

/** On failure the state is as it was. A failure of the state store itself is fatal, as always: then `done` is not called. */
export function restoreSnapshot(options: RestoreOptions, done: Done<ReadSnapshot>): void {
  const { source, codec, identity, state, progress, cancelled, rest } = options;
  const watched = (phase: 'verifying' | 'restoring'): Omit<SnapshotVisitor, 'rows'> => ({
    progress: (each) => progress?.(phase, each),
    cancelled: () => cancelled?.() === true,
    ...(rest && { rest }),
  });
  verifySnapshot(
    source,
    codec,
    identity,
    (verified) => {
      if (!verified.ok) done(verified);
      else {
        state.beginRestore((restore) => fill(restore, options, verified.value, watched('restoring'), done));
      }
    },
    watched('verifying'),
  );
}

function fill(
  restore: StateRestore,
  { source, codec }: RestoreOptions,
  verified: ReadSnapshot,
  watched: Omit<SnapshotVisitor, 'rows'>,
  done: Done<ReadSnapshot>,
): void {
  const visitor: SnapshotVisitor = { ...watched, rows: (rows, next) => restore.write(rows, next) };
  // Checked a second time, since it is read a second time.
  readSnapshot(source, codec, visitor, (outcome) => {
    if (!outcome.ok) {
      // The store is about to be closed, which drops it; it must not be called any more.
      if (watched.cancelled?.() === true) done(outcome);
      else restore.abandon(() => done(outcome));
    } else if (outcome.value.digest !== verified.digest) {
      const error = new SnapshotError('damaged', 'the snapshot changed while it was being restored');
      restore.abandon(() => done(failure(error)));
    } else restore.finish(verified.header.applied, () => done(outcome));
  });
}
