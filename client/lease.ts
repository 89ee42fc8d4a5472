/**
 * The time for which a lock is surely held. It is counted on the monotonic clock from before the request was sent that
 * set it, so from before the server began to count, and it ends earlier, by more than clocks may differ.
 */

import { ConflictError, createError, KVError } from './errors.js';
import type { Slot } from './lock.js';
import type { Lock } from './surface.js';

/** Of the time to live: the clocks of two machines run within 10 % of each other, as for lease reads. */
const LEASE_SHARE = 0.9;
/** Kept alive when so much of it is over: two more tries fit in. */
const RENEWAL_SHARE = 1 / 3;

const RETRY_MS = 50;
const REMOVALS_MAX = 3;

const now = () => performance.now();

/** A lock that was taken by a request that was sent at `sentMs`. */
export function hold(slot: Slot, token: string, sentMs: number): Lock {
  const lease = new Lease(slot, token, sentMs);
  const release = () => lease.release();
  return Object.freeze<Lock>({
    key: slot.key,
    token,
    signal: lease.lost,
    isHeld: () => lease.isHeld(),
    release,
    async [Symbol.asyncDispose]() {
      await release().catch((error: unknown) => {
        if (!(error instanceof KVError)) throw error;
      });
    },
  });
}

class Lease {
  readonly #slot: Slot;
  readonly #lost = new AbortController();
  /** Aborted when it is no longer to be kept alive. */
  readonly #over = new AbortController();
  readonly #renewals: Promise<void>;
  #revision: string;
  /** When the last request was sent that is known to have set it. */
  #sinceMs: number;
  #expiry: NodeJS.Timeout | undefined;
  #ignoreClose: () => void = () => undefined;

  constructor(slot: Slot, token: string, sentMs: number) {
    this.#slot = slot;
    this.#revision = token;
    this.#sinceMs = sentMs;
    this.#ignoreClose = slot.onClose(() => this.#lose('the client is closed'));
    this.#watchOver();
    this.#renewals = this.#keepAlive();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  isHeld(): boolean {
    if (now() >= this.#untilMs()) this.#lose('it could not be kept alive in time');
    return !this.#over.signal.aborted;
  }

  async release(): Promise<boolean> {
    if (!this.isHeld()) return false;
    this.#end();
    // A renewal that is under way would change the revision.
    await this.#renewals;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#slot.remove(this.#revision);
      } catch (error) {
        if (!(error instanceof ConflictError) || tries === REMOVALS_MAX) throw error;
        if (!(await this.#recognise({}))) return false;
      }
    }
  }

  #untilMs(): number {
    return this.#sinceMs + this.#slot.ttlMs * LEASE_SHARE;
  }

  /** A timer is late when the event loop is: `isHeld` looks at the clock itself. */
  #watchOver(): void {
    clearTimeout(this.#expiry);
    const leftMs = Math.max(1, this.#untilMs() - now());
    this.#expiry = setTimeout(() => {
      if (this.isHeld()) this.#watchOver();
      // A lock alone is no reason for the process to go on.
    }, leftMs).unref();
  }

  async #keepAlive(): Promise<void> {
    while (this.isHeld()) {
      await pause(this.#sinceMs + this.#slot.ttlMs * RENEWAL_SHARE - now(), this.#over.signal);
      while (this.isHeld() && !(await this.#renew())) await pause(RETRY_MS, this.#over.signal);
    }
  }

  /** False when it is not known to have been kept alive. That is no loss yet, unless somebody else has the key. */
  async #renew(): Promise<boolean> {
    const sentMs = now();
    const limits = () => ({
      timeoutMs: Math.max(1, this.#untilMs() - now()),
      signal: this.#over.signal,
    });
    try {
      this.#revision = await this.#slot.write({ ifRevision: this.#revision }, limits());
      this.#sinceMs = sentMs;
      this.#watchOver();
      return true;
    } catch {
      // Perhaps an earlier renewal was applied after all, and has given it another revision.
      const isOurs = await this.#recognise(limits()).catch(() => true);
      if (!isOurs) this.#lose('somebody deleted or took the key, or it expired');
      return false;
    }
  }

  /** Learns the revision that the lock has now; false when the key is gone, or somebody else's. */
  async #recognise(limits: Parameters<Slot['read']>[0]): Promise<boolean> {
    const found = await this.#slot.read(limits);
    this.#revision = found ?? this.#revision;
    return found !== undefined;
  }

  #lose(why: string): void {
    if (this.#over.signal.aborted) return;
    this.#end();
    const message = `the lock ${JSON.stringify(this.#slot.key)} is lost: ${why}`;
    this.#lost.abort(createError({ code: 'timeout', message, retryable: true, outcome: 'not-applied' }));
  }

  #end(): void {
    clearTimeout(this.#expiry);
    this.#ignoreClose();
    this.#over.abort();
  }
}

/** Waits without keeping the process alive. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms).unref();
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
