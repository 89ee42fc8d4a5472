/**
 * Sends one pinned snapshot to one node: an offer, then chunks from the offset that is wanted, a few of them ahead of their answers. Messages may be
 * lost, doubled and late: what is not answered is sent again. Time comes in by `tick`; nothing here waits by itself.
 */

import { crc32 } from 'node:zlib';
import type { Term } from '../raft/entry.js';
import type { SnapshotFile } from './identity.js';
import type { SnapshotError } from './outcome.js';
import type { SnapshotStore } from './store.js';
import type { Throttle } from './throttle.js';
import type { TransferAnswer, TransferRequest } from './transfer.js';

export interface SenderOptions {
  readonly file: SnapshotFile;
  readonly store: Pick<SnapshotStore, 'read'>;
  /** This leader's. */
  readonly term: Term;
  /** Hands a message to the transport; the answer, if one comes, goes to `answered`. */
  readonly send: (request: TransferRequest) => void;
  /** May be shared by all transfers. */
  readonly throttle: Throttle;
  /** `snapshots.chunkBytes`. */
  readonly chunkBytes: number;
  /** Chunks that are sent ahead of their answers. */
  readonly windowChunks: number;
  /** What is not answered for so long is sent again. */
  readonly resendMs: number;
  /** A transfer that has not moved for so long is given up. */
  readonly giveUpMs: number;
  readonly nowMs: number;
  readonly done: (result: SendResult) => void;
}

/** - `stalled`: nothing moved for `giveUpMs`. - `refused`: the receiver cannot or will not have it. - `unreadable`: the file. */
export type SendResult =
  | { readonly type: 'received' }
  | { readonly type: 'stalled' }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'unreadable'; readonly error: SnapshotError }
  | { readonly type: 'cancelled' };

export interface SnapshotSender {
  /** To be called every few milliseconds, and nothing is sent but within it and `answered`. */
  tick(nowMs: number): void;
  answered(answer: TransferAnswer, nowMs: number): void;
  cancel(): void;
  /** `sentBytes`: up to where the receiver has it. */
  progress(): { readonly sentBytes: number; readonly totalBytes: number };
}

export function snapshotSender(options: SenderOptions): SnapshotSender {
  return new Sender(options);
}

class Sender implements SnapshotSender {
  readonly #options: SenderOptions;
  /** Up to where the receiver has it; undefined until it has answered the offer. */
  #wanted: number | undefined;
  /** Up to where it was sent. Invariant: not below `#wanted`. */
  #sent = 0;
  /** Furthest that `#wanted` has ever been, so that going round in circles is no progress. */
  #furthest = 0;
  #reading = false;
  #over = false;
  #nowMs: number;
  /** When something was last sent or answered. */
  #activeMs: number;
  #progressMs: number;
  /** Of `#sent`: what was read for an earlier value of it is not sent. */
  #epoch = 0;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs;
    this.#activeMs = options.nowMs;
    this.#progressMs = options.nowMs;
    this.#offer();
  }

  tick(nowMs: number): void {
    if (this.#over) return;
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    if (this.#nowMs - this.#progressMs >= this.#options.giveUpMs) {
      this.#end({ type: 'stalled' });
      return;
    }
    // A full window, or an offer, without an answer: it, or the answer, was lost.
    const silent = this.#nowMs - this.#activeMs >= this.#options.resendMs;
    if (silent && !this.#reading) this.#goBack();
    this.#fill();
  }

  answered(answer: TransferAnswer, nowMs: number): void {
    const { file } = this.#options;
    if (this.#over || answer.id !== file.id) return;
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    switch (answer.type) {
      case 'wanted':
        this.#takeWanted(answer.offset);
        break;
      case 'received':
        this.#wanted = file.bytes;
        this.#end({ type: 'received' });
        break;
      case 'refused':
        // It restarted, or dropped what was damaged on its disk. Other reasons are for its next leader or the next snapshot.
        if (answer.reason === 'unknown') this.#wanted = undefined;
        else this.#end({ type: 'refused', message: `${answer.reason}: ${answer.message}` });
        break;
    }
  }

  cancel(): void {
    this.#end({ type: 'cancelled' });
  }

  progress(): { readonly sentBytes: number; readonly totalBytes: number } {
    return { sentBytes: this.#wanted ?? this.#furthest, totalBytes: this.#options.file.bytes };
  }

  #takeWanted(offset: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > this.#options.file.bytes) return;
    // All of it is there: it is verified and installed, which takes as long as the state is large. Until then the log behind it must stay.
    if (offset === this.#options.file.bytes) this.#progressMs = this.#nowMs;
    const before = this.#wanted;
    if (before === undefined || offset > before) {
      this.#wanted = offset;
      this.#activeMs = this.#nowMs;
      if (before === undefined || offset > this.#sent) this.#sendFrom(offset);
      if (offset > this.#furthest || before === undefined) this.#moved(offset);
    }
    // An answer that tells less than one before is late, or the receiver has lost something: then the offer, sent again, will tell.
    this.#fill();
  }

  #moved(offset: number): void {
    if (offset > this.#furthest) this.#progressMs = this.#nowMs;
    this.#furthest = Math.max(this.#furthest, offset);
  }

  #goBack(): void {
    this.#wanted = undefined;
    this.#offer();
  }

  #offer(): void {
    const { file, term, send } = this.#options;
    this.#activeMs = this.#nowMs;
    send({ type: 'offer', id: file.id, totalBytes: file.bytes, term });
  }

  #sendFrom(offset: number): void {
    this.#sent = offset;
    this.#epoch += 1;
  }

  /** Reads and sends the next chunk, while the window and the throttle allow it. */
  #fill(): void {
    const { file, store, chunkBytes, windowChunks, throttle } = this.#options;
    if (this.#over || this.#reading || this.#wanted === undefined) return;
    const offset = this.#sent;
    const bytes = Math.min(chunkBytes, file.bytes - offset);
    if (bytes <= 0 || offset + bytes > this.#wanted + windowChunks * chunkBytes) return;
    if (!throttle.take(bytes, this.#nowMs)) {
      // Held back by the throttle, not by the other side.
      this.#activeMs = this.#nowMs;
      return;
    }
    this.#reading = true;
    const epoch = this.#epoch;
    store.read(file.id, offset, bytes, (read) => {
      this.#reading = false;
      if (this.#over) return;
      if (!read.ok) this.#end({ type: 'unreadable', error: read.error });
      else if (epoch === this.#epoch) this.#sendChunk(offset, read.value);
      this.#fill();
    });
  }

  #sendChunk(offset: number, data: Buffer): void {
    const { file, send } = this.#options;
    this.#sent = offset + data.length;
    this.#activeMs = this.#nowMs;
    send({ type: 'chunk', id: file.id, offset, data, crc: crc32(data) });
  }

  #end(result: SendResult): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.done(result);
  }
}
