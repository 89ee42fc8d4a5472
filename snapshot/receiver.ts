/**
 * Receives one snapshot at a time, in chunks, in order; whatever else comes is answered with the offset that is wanted next. What
 * was received outlives a restart: how much of it is sound is found by its own checksums. It counts only once all of it is verified.
 */

import { crc32 } from 'node:zlib';
import type { Term } from '../raft/entry.js';
import type { Codec } from './codec.js';
import { snapshotDecoder } from './decoder.js';
import { DIGEST_BYTES } from './format.js';
import type { SnapshotFile, SnapshotId } from './identity.js';
import { snapshotId } from './identity.js';
import type { Outcome } from './outcome.js';
import { attempt } from './outcome.js';
import type { IncomingOffer, IncomingSnapshot, SnapshotStore } from './store.js';
import type { RefusalReason, SnapshotChunk, SnapshotOffer, TransferAnswer } from './transfer.js';
import { incomingOfferOf } from './transfer.js';
import { verifySnapshot } from './verify.js';

/** Requests that wait for the one before them; further ones are answered as if they had been lost, by `wanted`. */
export const REQUESTS_WAITING_MAX = 16;
/** The longest chunk that is taken. */
export const CHUNK_BYTES_MAX = 8 * 1024 * 1024;
const SCAN_BYTES = 256 * 1024;

export interface ReceiverOptions {
  readonly store: SnapshotStore;
  readonly codec: Codec;
  /** A snapshot is complete, verified and durable. Called before the answer. */
  readonly received: (file: SnapshotFile) => void;
}

export interface SnapshotReceiver {
  /** Of the leader of this node's term. */
  offer(offer: SnapshotOffer, answer: (answer: TransferAnswer) => void): void;
  chunk(chunk: SnapshotChunk, answer: (answer: TransferAnswer) => void): void;
  /** Drops what has been received of an unfinished transfer, for a node that needs it no more. */
  discard(done: () => void): void;
  /** Undefined when nothing is being received. */
  progress():
    { readonly id: SnapshotId; readonly receivedBytes: number; readonly totalBytes: number } | undefined;
}

/** A transfer whose bytes so far are known to be sound. */
interface Transfer {
  readonly id: SnapshotId;
  readonly incoming: IncomingSnapshot;
  /** Of the leader that offered it; 0 after a restart, so that any leader may replace it. */
  readonly term: Term;
}

type Answer = (answer: TransferAnswer) => void;

export function snapshotReceiver(options: ReceiverOptions): SnapshotReceiver {
  return new Receiver(options);
}

class Receiver implements SnapshotReceiver {
  readonly #options: ReceiverOptions;
  #transfer: Transfer | undefined;
  /** One request is carried out at a time; the others wait. Bound: `REQUESTS_WAITING_MAX`. */
  #busy = false;
  #waiting: (() => void)[] = [];

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  progress(): ReturnType<SnapshotReceiver['progress']> {
    if (this.#transfer === undefined) return undefined;
    const { id, incoming } = this.#transfer;
    return { id, receivedBytes: incoming.bytes, totalBytes: incoming.offer.totalBytes };
  }

  offer(offer: SnapshotOffer, answer: Answer): void {
    this.#inTurn(offer.id, answer, (reply) => this.#takeOffer(offer, reply));
  }

  chunk(chunk: SnapshotChunk, answer: Answer): void {
    this.#inTurn(chunk.id, answer, (reply) => this.#takeChunk(chunk, reply));
  }

  discard(done: () => void): void {
    const drop = (): void => {
      this.#busy = true;
      this.#transfer = undefined;
      const over = (): void => {
        done();
        this.#next();
      };
      const left = this.#options.store.incoming();
      if (left === undefined) over();
      else left.abandon(over);
    };
    if (this.#busy) this.#waiting.push(drop);
    else drop();
  }

  #next(): void {
    this.#busy = false;
    this.#waiting.shift()?.();
  }

  #inTurn(id: SnapshotId, answer: Answer, work: (reply: Answer) => void): void {
    if (this.#waiting.length >= REQUESTS_WAITING_MAX) {
      answer(this.#wanted(id));
      return;
    }
    const reply: Answer = (found) => {
      answer(found);
      this.#next();
    };
    const start = (): void => {
      this.#busy = true;
      work(reply);
    };
    if (this.#busy) this.#waiting.push(start);
    else start();
  }

  #wanted(id: SnapshotId): TransferAnswer {
    const transfer = this.#transfer;
    if (transfer?.id !== id) return refused(id, 'unknown', 'no transfer of it has begun');
    return { type: 'wanted', id, offset: transfer.incoming.bytes };
  }

  #takeOffer({ id, term, ...rest }: SnapshotOffer, reply: Answer): void {
    const { store } = this.#options;
    const offer = incomingOfferOf({ id, term, ...rest });
    if (offer === undefined) {
      reply(refused(id, 'malformed', 'the offer has no proper id or length'));
      return;
    }
    const complete = store.list().find((file) => file.id === id);
    if (complete !== undefined) {
      this.#options.received(complete);
      reply({ type: 'received', id });
      return;
    }
    const current = this.#transfer;
    const same = current?.id === id && current.incoming.offer.totalBytes === offer.totalBytes;
    if (current !== undefined && same) {
      this.#transfer = { ...current, term: Math.max(term, current.term) };
      reply(this.#wanted(id));
      return;
    }
    // A late offer of an old leader, or of an older snapshot, must not undo what has come already.
    const replaces =
      current === undefined ||
      term > current.term ||
      (term === current.term && offer.position.index > current.incoming.offer.position.index);
    if (replaces) this.#begin(id, term, offer, reply);
    else reply(refused(id, 'older', `${current.id} is being received`));
  }

  /** Goes on with what a restart left of the same snapshot, or drops what there is. */
  #begin(id: SnapshotId, term: Term, offer: IncomingOffer, reply: Answer): void {
    const left = this.#options.store.incoming();
    const start = (incoming: IncomingSnapshot): void => {
      this.#transfer = { id, incoming, term };
      reply(this.#wanted(id));
    };
    this.#transfer = undefined;
    if (left === undefined) {
      start(this.#options.store.beginIncoming(offer));
      return;
    }
    const failed = ({ error }: Outcome<unknown> & { ok: false }): void =>
      reply(refused(id, 'failed', error.message));
    if (snapshotId(left.offer) === id && left.offer.totalBytes === offer.totalBytes) {
      soundBytes(left, (sound) => {
        if (!sound.ok) failed(sound);
        else {
          left.truncate(sound.value, (cut) => {
            if (cut.ok) start(left);
            else failed(cut);
          });
        }
      });
    } else {
      left.abandon((removed) => {
        if (removed.ok) start(this.#options.store.beginIncoming(offer));
        else failed(removed);
      });
    }
  }

  #takeChunk({ id, offset, data, crc }: SnapshotChunk, reply: Answer): void {
    const transfer = this.#transfer;
    if (transfer?.id !== id || transfer.incoming.bytes !== offset) {
      reply(this.#wanted(id));
      return;
    }
    const { incoming } = transfer;
    if (
      data.length === 0 ||
      data.length > CHUNK_BYTES_MAX ||
      offset + data.length > incoming.offer.totalBytes
    ) {
      reply(refused(id, 'malformed', `a chunk of ${data.length} bytes at ${offset}`));
      return;
    }
    if (crc32(data) !== crc) {
      // Damaged on its way: it is wanted again.
      reply(this.#wanted(id));
      return;
    }
    incoming.append(data, (appended) => {
      if (!appended.ok) this.#drop(transfer, 'failed', appended.error.message, reply);
      else if (incoming.bytes < incoming.offer.totalBytes) reply(this.#wanted(id));
      else this.#complete(transfer, reply);
    });
  }

  #complete(transfer: Transfer, reply: Answer): void {
    const { id, incoming } = transfer;
    const source = {
      bytes: incoming.bytes,
      read: (offset: number, bytes: number, done: Parameters<IncomingSnapshot['read']>[2]) =>
        incoming.read(offset, bytes, done),
    };
    verifySnapshot(source, this.#options.codec, incoming.offer, (verified) => {
      if (!verified.ok) {
        this.#drop(transfer, 'damaged', verified.error.message, reply);
        return;
      }
      incoming.finish((finished) => {
        if (!finished.ok) {
          this.#drop(transfer, 'failed', finished.error.message, reply);
          return;
        }
        this.#transfer = undefined;
        this.#options.received(finished.value);
        reply({ type: 'received', id });
      });
    });
  }

  /** The next offer begins anew. */
  #drop({ id, incoming }: Transfer, reason: RefusalReason, message: string, reply: Answer): void {
    this.#transfer = undefined;
    incoming.abandon(() => reply(refused(id, reason, message)));
  }
}

function refused(id: SnapshotId, reason: RefusalReason, message: string): TransferAnswer {
  return { type: 'refused', id, reason, message };
}

/** How many bytes from the start are whole frames whose checksums match. What a crash left behind them may be anything. */
function soundBytes(incoming: IncomingSnapshot, done: (sound: Outcome<number>) => void): void {
  const decoder = snapshotDecoder();
  const more = (offset: number): void =>
    incoming.read(offset, SCAN_BYTES, (read) => {
      if (!read.ok) {
        done(read);
        return;
      }
      decoder.push(read.value);
      const over = attempt(() => {
        let piece = decoder.next();
        while (piece !== undefined && piece.kind !== 'end') piece = decoder.next();
        return piece !== undefined;
      });
      // A transfer that had all its bytes is asked for the last few once more, so that it is completed as any other.
      const sound = decoder.soundBytes - (over.ok && over.value ? DIGEST_BYTES : 0);
      if (!over.ok || over.value || read.value.length === 0) done({ ok: true, value: sound });
      else more(offset + read.value.length);
    });
  more(0);
}
