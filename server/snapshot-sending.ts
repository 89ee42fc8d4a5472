/** The leader's side of transfers: finds or makes the snapshot that a member needs, and sends it. */

import type { NodeId } from '../membership/configuration.js';
import type { Term } from '../raft/entry.js';
import type { InstallSnapshotResponse, SnapshotChunk } from '../raft/messages.js';
import type { Transfer } from '../raft/snapshots.js';
import type { SnapshotFile } from '../snapshot/identity.js';
import type { SendResult, SnapshotSender } from '../snapshot/sender.js';
import { snapshotSender } from '../snapshot/sender.js';
import type { SnapshotStore } from '../snapshot/store.js';
import type { Throttle } from '../snapshot/throttle.js';
import type { TransferAnswer, TransferRequest } from '../snapshot/transfer.js';
import type { SnapshotMaking } from './snapshot-making.js';
import type { SnapshotHand } from './snapshotting.js';

export interface SendingOptions {
  readonly chunkBytes: number;
  /** Chunks that are sent ahead of their answers. */
  readonly windowChunks: number;
  /** What is not answered for so long is sent again. */
  readonly resendMs: number;
  /** A transfer that has not moved for so long is given up, and begun anew when it is still needed. */
  readonly giveUpMs: number;
}

export interface SendingParts {
  readonly store: SnapshotStore;
  readonly throttle: Throttle;
  readonly options: SendingOptions;
  readonly events: {
    sending(to: NodeId, file: SnapshotFile): void;
    sent(to: NodeId, result: SendResult): void;
  };
}

interface Running {
  readonly term: Term;
  readonly sender: SnapshotSender;
}

export class SnapshotSending {
  readonly #parts: SendingParts;
  readonly #hand: SnapshotHand;
  readonly #making: SnapshotMaking;
  readonly #running = new Map<NodeId, Running>();
  #nowMs = 0;
  #stopped = false;

  constructor(parts: SendingParts, hand: SnapshotHand, making: SnapshotMaking) {
    this.#parts = parts;
    this.#hand = hand;
    this.#making = making;
  }

  begin({ to, atLeast }: Transfer): void {
    const { term } = this.#hand.state;
    const newest = this.#making.newest();
    if (newest !== undefined && newest.position.index >= atLeast) this.#send(to, newest, term);
    // The snapshot that the log was cut off behind is gone, or another one's log begins later than this one's.
    else
      this.#making.take((made) => {
        if (!this.#leads(term)) return;
        if (made.ok && made.value.position.index >= atLeast) this.#send(to, made.value, term);
        else this.#hand.transferEnded(to);
      });
  }

  answered(message: InstallSnapshotResponse): void {
    const running = this.#running.get(message.from);
    if (running?.term === this.#hand.state.term) running.sender.answered(answerOf(message), this.#nowMs);
  }

  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const { term, sender } of this.#running.values()) {
      if (this.#leads(term)) sender.tick(nowMs);
      else sender.cancel();
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const { sender } of this.#running.values()) sender.cancel();
  }

  progress(to: NodeId): { readonly sentBytes: number; readonly totalBytes: number } | undefined {
    return this.#running.get(to)?.sender.progress();
  }

  #leads(term: Term): boolean {
    const { state } = this.#hand;
    return !this.#stopped && state.term === term && state.current.role === 'leader';
  }

  #send(to: NodeId, file: SnapshotFile, term: Term): void {
    const { store, throttle, options, events } = this.#parts;
    const unpin = store.pin(file.id);
    this.#running.get(to)?.sender.cancel();
    if (unpin === undefined) {
      this.#hand.transferEnded(to);
      return;
    }
    events.sending(to, file);
    const sender = snapshotSender({
      file,
      store,
      term,
      throttle,
      ...options,
      nowMs: this.#nowMs,
      send: (request) => {
        if (this.#leads(term)) this.#hand.sendChunk(to, file.position, chunkOf(request, file));
      },
      done: (result) => {
        unpin();
        if (this.#running.get(to)?.sender === sender) this.#running.delete(to);
        events.sent(to, result);
        const over = (): void => {
          if (this.#leads(term)) this.#hand.transferEnded(to);
          if (!this.#stopped) this.#making.cleanUp();
        };
        if (result.type === 'refused' || result.type === 'unreadable') this.#making.removeDamaged(file, over);
        else over();
      },
    });
    this.#running.set(to, { term, sender });
  }
}

function chunkOf(
  request: TransferRequest,
  { id: snapshotId, bytes: bytesTotal }: SnapshotFile,
): SnapshotChunk {
  const file = { snapshotId, bytesTotal };
  return request.type === 'offer'
    ? { ...file, offset: 0, data: new Uint8Array(0), checksum: 0 }
    : { ...file, offset: request.offset, data: request.data, checksum: request.crc };
}

/** A file that has arrived is not all: the follower has to be level with it. */
function answerOf({ snapshotId: id, offset, refusal, index }: InstallSnapshotResponse): TransferAnswer {
  if (index > 0) return { type: 'received', id };
  if (refusal !== undefined)
    return { type: 'refused', id, reason: refusal, message: 'the follower refuses it' };
  return { type: 'wanted', id, offset };
}
