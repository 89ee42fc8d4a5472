/** The follower's side of transfers: puts a snapshot together, and restores the state machine from it. */

import type { Applied, StateStore } from '../persistence/state-store.js';
import type { Snapshot } from '../raft/entry.js';
import type { InstallSnapshot } from '../raft/messages.js';
import type { Codec } from '../snapshot/codec.js';
import type { SnapshotFile, SnapshotId } from '../snapshot/identity.js';
import type { SnapshotError } from '../snapshot/outcome.js';
import type { SnapshotReceiver } from '../snapshot/receiver.js';
import { snapshotReceiver } from '../snapshot/receiver.js';
import { restoreSnapshot } from '../snapshot/restorer.js';
import { sourceOf } from '../snapshot/reading.js';
import type { SnapshotStore } from '../snapshot/store.js';
import type { TransferAnswer } from '../snapshot/transfer.js';
import { verifySnapshot } from '../snapshot/verify.js';
import { resting } from './resting.js';
import type { SnapshotHand } from './snapshotting.js';

export interface ReceivingParts {
  readonly stateStore: Pick<StateStore, 'beginRestore'>;
  readonly store: SnapshotStore;
  readonly codec: Codec;
  readonly events: {
    received(file: SnapshotFile): void;
    restored(applied: Applied): void;
    failed(what: string, error: SnapshotError): void;
  };
}

export class SnapshotReceiving {
  readonly #parts: ReceivingParts;
  readonly #hand: SnapshotHand;
  readonly #receiver: SnapshotReceiver;
  /** What the last complete one holds, as its header says. */
  #offered: { readonly id: SnapshotId; readonly snapshot: Snapshot } | undefined;
  #stopped = false;
  restoring: { readonly bytes: number; readonly totalBytes: number } | undefined;

  constructor(parts: ReceivingParts, hand: SnapshotHand) {
    this.#parts = parts;
    this.#hand = hand;
    this.#receiver = snapshotReceiver({
      store: parts.store,
      codec: parts.codec,
      received: (file) => parts.events.received(file),
    });
  }

  take(message: InstallSnapshot): void {
    if (this.#stopped) return;
    const { snapshotId: id, bytesTotal: totalBytes, offset, data, checksum: crc } = message.chunk;
    const answer = (found: TransferAnswer): void => {
      if (!this.#stopped) this.#answer(message, found);
    };
    if (data.length === 0)
      this.#receiver.offer({ type: 'offer', id, totalBytes, term: message.term }, answer);
    else this.#receiver.chunk({ type: 'chunk', id, offset, data: bufferOf(data), crc }, answer);
  }

  /** What is being received: its bytes so far. */
  progress(): ReturnType<SnapshotReceiver['progress']> {
    return this.#receiver.progress();
  }

  stop(): void {
    this.#stopped = true;
  }

  restore({ index, term }: Snapshot, done: (applied: Applied | undefined) => void): void {
    const { store, codec, stateStore: state, events } = this.#parts;
    const file = store.list().find(({ id }) => id === this.#offered?.id);
    if (file === undefined || file.position.index !== index || file.position.term !== term) {
      done(undefined);
      return;
    }
    const unpin = store.pin(file.id);
    const options = {
      source: sourceOf(store, file),
      codec,
      state,
      identity: file,
      progress: (_: string, progress: { readonly bytes: number; readonly totalBytes: number }) =>
        (this.restoring = progress),
      cancelled: () => this.#stopped,
      rest: resting(this.#hand.clock),
    };
    restoreSnapshot(options, (restored) => {
      unpin?.();
      this.restoring = undefined;
      if (restored.ok) {
        events.restored(restored.value.header.applied);
        done(restored.value.header.applied);
        return;
      }
      events.failed('a snapshot could not be restored', restored.error);
      if (this.#stopped) return;
      // It is of no use to anybody; the leader offers it again, and it is received anew.
      store.remove(file.id, () => done(undefined));
    });
  }

  #answer(message: InstallSnapshot, answer: TransferAnswer): void {
    const { bytesTotal } = message.chunk;
    switch (answer.type) {
      case 'wanted':
        this.#hand.chunkTaken(message, { offset: answer.offset });
        return;
      case 'refused':
        this.#hand.chunkTaken(message, { offset: 0, refusal: answer.reason });
        return;
      case 'received':
        this.#headerOf(answer.id, (snapshot) => {
          if (this.#stopped) return;
          if (snapshot === undefined) this.#drop(answer.id, message);
          else if (!this.#hand.install(snapshot, message))
            this.#hand.chunkTaken(message, { offset: bytesTotal });
        });
    }
  }

  /** It was whole when it was received, and is not any more: the next offer begins anew. */
  #drop(id: SnapshotId, message: InstallSnapshot): void {
    this.#parts.store.remove(id, () => {
      if (!this.#stopped) this.#hand.chunkTaken(message, { offset: 0, refusal: 'damaged' });
    });
  }

  /** Who the members are, as of the snapshot, is in its header. */
  #headerOf(id: SnapshotId, done: (snapshot: Snapshot | undefined) => void): void {
    const { store, codec } = this.#parts;
    if (this.#offered?.id === id) {
      done(this.#offered.snapshot);
      return;
    }
    const file = store.list().find((complete) => complete.id === id);
    if (file === undefined) {
      done(undefined);
      return;
    }
    let seen = false;
    const visitor = {
      header: ({ applied }: { readonly applied: Applied }) => {
        const { configuration, ...rest } = applied;
        if (configuration !== undefined) this.#offered = { id, snapshot: { ...rest, configuration } };
        seen = true;
      },
      // All of it was verified when it was received; only its beginning is needed here.
      cancelled: () => seen,
    };
    verifySnapshot(
      sourceOf(store, file),
      codec,
      undefined,
      () => done(this.#offered?.id === id ? this.#offered.snapshot : undefined),
      visitor,
    );
  }
}

function bufferOf(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.length);
}
