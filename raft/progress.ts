/** What a leader knows of one other member's log, and how it sends to it. */

import type { Index } from './entry.js';

/**
 * - `probe`: it is not known where the logs part; one message at a time, until it is.
 * - `replicate`: entries are sent ahead of their acknowledgements, within the window.
 * - `snapshot`: what it needs next is not in the log any more; nothing is sent until a snapshot has brought it further (§7).
 */
export type ProgressMode = 'probe' | 'replicate' | 'snapshot';

export interface Window {
  readonly appendsMax: number;
  readonly bytesMax: number;
}

export class Progress {
  mode: ProgressMode = 'probe';
  /**
   * The logs are known to match up to here, durably. Invariant: match < next; never goes back within a term, unless the
   * follower's disk has lost entries.
   */
  match: Index = 0;
  /** The next entry to send. Invariant: next <= the leader's last index + 1. */
  next: Index;
  /** Probing: a message is out, its answer or the next heartbeat's is awaited. */
  probeSent = false;
  /** Entries for it are being read from disk, from this index on. */
  fetching: Index | undefined = undefined;
  /** A snapshot is on its way to it, or about to be. One at a time. */
  transferring = false;
  /** It has lost its state, and asks for a snapshot that covers this index at least; 0 when it does not. */
  wantsSnapshot: Index = 0;
  /** The tick at which it was last heard of. */
  contactTick: number;
  /** Whether an acknowledgement came since the last heartbeat was sent. */
  answered = true;
  /**
   * Catching up goes in rounds: each ends when everything is acknowledged that the log held when it began (thesis §4.2.1). A round that took
   * less than an election timeout shows that the member would not hold up an election.
   */
  round: { readonly target: Index; readonly startTick: number };
  caughtUp = false;
  /** What was sent and not acknowledged, oldest first. */
  readonly #inflight: { readonly lastIndex: Index; readonly bytes: number }[] = [];
  #inflightBytes = 0;
  readonly #window: Window;

  constructor(next: Index, contactTick: number, window: Window) {
    this.next = next;
    this.contactTick = contactTick;
    this.#window = window;
    this.round = { target: next - 1, startTick: contactTick };
  }

  /** It has acknowledged up to `match`, the log goes on to `lastIndex`. */
  endRound(now: number, lastIndex: Index, ticksMax: number): void {
    if (this.match < this.round.target) return;
    this.caughtUp = now - this.round.startTick <= ticksMax;
    this.round = { target: lastIndex, startTick: now };
  }

  get inflightAppends(): number {
    return this.#inflight.length;
  }

  get inflightBytes(): number {
    return this.#inflightBytes;
  }

  /** True while nothing more may be sent. One append may overshoot the window's bytes, so that a large entry gets through. */
  get paused(): boolean {
    if (this.fetching !== undefined) return true;
    if (this.mode === 'snapshot') return true;
    if (this.mode === 'probe') return this.probeSent;
    return this.#inflight.length >= this.#window.appendsMax || this.#inflightBytes >= this.#window.bytesMax;
  }

  /** An append that ends with `lastIndex` was sent. */
  sent(lastIndex: Index, bytes: number): void {
    if (this.mode === 'probe') {
      this.probeSent = true;
      return;
    }
    if (lastIndex < this.next) return;
    this.#inflight.push({ lastIndex, bytes });
    this.#inflightBytes += bytes;
    this.next = lastIndex + 1;
  }

  /** Returns whether `match` advanced. `base`: the leader's log begins behind it. */
  acknowledged(index: Index, base: Index): boolean {
    this.answered = true;
    while (this.#inflight.length > 0 && (this.#inflight[0]?.lastIndex ?? 0) <= index) {
      this.#inflightBytes -= this.#inflight.shift()?.bytes ?? 0;
    }
    const advanced = index > this.match;
    if (advanced) this.match = index;
    this.next = Math.max(this.next, this.match + 1);
    if (this.mode === 'probe') this.#enter('replicate', this.match + 1);
    // The log can go on from there, whether it was the snapshot that brought it so far or not.
    if (this.mode === 'snapshot' && this.match >= base) this.#enter('replicate', this.match + 1);
    return advanced;
  }

  /**
   * The follower refused an append behind `refused`; `hint` is where the logs may still agree. Returns false for an
   * answer that is out of date.
   */
  refused(refused: Index, hint: Index): boolean {
    if (this.mode === 'replicate') {
      // An answer to something sent before what is acknowledged by now.
      if (refused <= this.match) return false;
      this.#enter('probe', this.match + 1);
      return true;
    }
    if (this.mode === 'snapshot' || refused !== this.next - 1) return false;
    this.#enter('probe', Math.max(this.match + 1, Math.min(refused, hint + 1)));
    return true;
  }

  /** Its disk has lost entries that it had acknowledged: nothing is known of its log but that it may agree at `hint`. */
  forget(refused: Index, hint: Index): void {
    const next = Math.max(1, Math.min(refused, hint + 1));
    this.match = Math.min(this.match, next - 1);
    if (this.mode !== 'snapshot') this.#enter('probe', next);
  }

  /** The log does not hold what it needs next. */
  needsSnapshot(): void {
    this.#enter('snapshot', this.match + 1);
  }

  /** A transfer is over, however it ended. Where it did not help, the next heartbeat asks anew. */
  transferEnded(): void {
    this.transferring = false;
    if (this.mode !== 'snapshot') return;
    this.#enter('probe', this.match + 1);
    this.probeSent = true;
  }

  /** What was sent may be lost. */
  lost(): void {
    this.fetching = undefined;
    this.#enter('probe', this.match + 1);
  }

  #enter(mode: ProgressMode, next: Index): void {
    this.mode = mode;
    this.next = next;
    this.probeSent = false;
    this.#inflight.length = 0;
    this.#inflightBytes = 0;
  }
}

/** Whether it would be no hindrance as a voter. */
export function hasCaughtUp(progress: Progress, lastIndex: Index): boolean {
  return progress.caughtUp || progress.match === lastIndex;
}
