/** Everything that a node does about snapshots, for its loop (`snapshotting.ts`). */

import type { SnapshotProgress } from '../api/types.js';
import type { NodeId } from '../membership/configuration.js';
import type { StateStore } from '../persistence/state-store.js';
import type { Codec } from '../snapshot/codec.js';
import type { SnapshotFile } from '../snapshot/identity.js';
import type { Done } from '../snapshot/outcome.js';
import type { SnapshotStore } from '../snapshot/store.js';
import type { Throttle } from '../snapshot/throttle.js';
import type { LogExtent, MakingOptions, MakingParts } from './snapshot-making.js';
import { SnapshotMaking } from './snapshot-making.js';
import type { ReceivingParts } from './snapshot-receiving.js';
import { SnapshotReceiving } from './snapshot-receiving.js';
import type { SendingOptions, SendingParts } from './snapshot-sending.js';
import { SnapshotSending } from './snapshot-sending.js';
import type { SnapshotHand, Snapshotting } from './snapshotting.js';

export interface SnapshotsParts {
  readonly stateStore: StateStore;
  readonly store: SnapshotStore;
  readonly codec: Codec;
  readonly throttle: Throttle;
  readonly making: MakingOptions;
  readonly sending: SendingOptions;
  readonly wallMs: () => number;
  readonly log: LogExtent;
  readonly events: MakingParts['events'] & SendingParts['events'] & ReceivingParts['events'];
}

export interface Snapshots extends Snapshotting {
  /** Makes one now, beside everything else. */
  take(done: Done<SnapshotFile>): void;
  /** Oldest first. */
  list(): readonly SnapshotFile[];
  /** Of what is sent to `member`, or of what this node itself makes or gets when `member` is undefined. */
  progress(member: NodeId | undefined): SnapshotProgress | undefined;
}

export function createSnapshots(parts: SnapshotsParts, hand: SnapshotHand): Snapshots {
  const making = new SnapshotMaking({ ...parts, options: parts.making }, hand, parts.log);
  const sending = new SnapshotSending({ ...parts, options: parts.sending }, hand, making);
  const receiving = new SnapshotReceiving(parts, hand);
  return {
    carryOut({ chunks, chunkAnswers, transfers }) {
      for (const message of chunks) receiving.take(message);
      for (const message of chunkAnswers) sending.answered(message);
      for (const transfer of transfers) sending.begin(transfer);
    },
    restore(snapshot, done) {
      receiving.restore(snapshot, (applied) => {
        done(applied);
        making.restored(snapshot.index);
        making.cleanUp();
      });
    },
    applied: (applied, bytes) => making.applied(applied, bytes),
    tick(nowMs) {
      making.tick(nowMs);
      sending.tick(nowMs);
    },
    stop() {
      making.stop();
      sending.stop();
      receiving.stop();
    },
    take: (done) => making.take(done),
    list: () => parts.store.list(),
    progress(member) {
      if (member !== undefined) {
        const sent = sending.progress(member);
        return sent && { phase: 'sending', bytes: sent.sentBytes, totalBytes: sent.totalBytes };
      }
      if (receiving.restoring !== undefined) return { phase: 'restoring', ...receiving.restoring };
      const got = receiving.progress();
      if (got !== undefined)
        return { phase: 'receiving', bytes: got.receivedBytes, totalBytes: got.totalBytes };
      return making.progress && { phase: 'making', bytes: making.progress.fileBytes, totalBytes: null };
    },
  };
}
