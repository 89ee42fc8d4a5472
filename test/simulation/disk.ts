/**
 * A node's simulated disk. An append is on it only once its time has come; what is in flight at a crash is on it or not,
 * as chance has it, but never in part: the log's batches are atomic. The state is not synced, so a crash may take
 * back any number of the newest batches that were not flushed.
 */

import type { Entry, Index, Term } from '../../raft/entry.js';
import type { MemoryLogDisk } from '../../persistence/memory/log-store.js';
import { memoryLogDisk } from '../../persistence/memory/log-store.js';
import type { MemoryStateDisk } from '../../persistence/memory/state-store.js';
import { memoryStateDisk } from '../../persistence/memory/state-store.js';
import type { StateBatch, StateStore } from '../../persistence/state-store.js';
import type { Random } from './random.js';
import type { World } from './world.js';

export interface DiskQuality {
  readonly delayMs: readonly [min: number, max: number];
}

export const GOOD_DISK: DiskQuality = { delayMs: [0.1, 0.6] };

/** Batches of the state that a crash may take back, at most. */
const UNFLUSHED_MAX = 8;

export class Disk {
  readonly log: MemoryLogDisk = memoryLogDisk();
  state: MemoryStateDisk = memoryStateDisk();
  quality: DiskQuality = GOOD_DISK;
  /** Nothing is done before this time. */
  stalledUntilMs = 0;
  /** States that a crash may go back to, oldest first. */
  #versions: MemoryStateDisk[] = [];
  readonly #world: World;
  readonly #random: Random;
  #inFlight: { readonly task: () => void }[] = [];
  #freeAtMs = 0;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  mend(): void {
    this.quality = GOOD_DISK;
    this.stalledUntilMs = 0;
  }

  get entries(): readonly Entry[] {
    return this.log.entries;
  }

  termAt(index: Index): Term | undefined {
    return index === 0 ? 0 : this.log.entries[index - 1]?.term;
  }

  /** In order, each after the one before. */
  defer(task: () => void): void {
    const [min, max] = this.quality.delayMs;
    const start = Math.max(this.#world.nowMs, this.stalledUntilMs, this.#freeAtMs);
    this.#freeAtMs = start + this.#random.between(min, max);
    const pending = { task };
    this.#inFlight.push(pending);
    this.#world.after(this.#freeAtMs - this.#world.nowMs, () => {
      const at = this.#inFlight.indexOf(pending);
      // A crash came first.
      if (at < 0) return;
      this.#inFlight.splice(at, 1);
      task();
    });
  }

  /** The process is gone. What was under way landed or not, in order; its callbacks go nowhere. */
  crash(): void {
    const pending = this.#inFlight;
    this.#inFlight = [];
    this.#freeAtMs = 0;
    const landed = this.#random.whole(0, pending.length);
    for (const { task } of pending.slice(0, landed)) task();
    const version = this.#random.pick([this.state, ...this.#versions]);
    this.state = copyOf(version);
    this.#versions = [];
  }

  /** Equal for equal states. */
  fingerprint(): string {
    const rows = this.state.rows.map(([key, value]) => `${key.toString('latin1')}=${value.toString('hex')}`);
    return `${this.state.applied.index}: ${rows.join(' ')}`;
  }

  /** Remembers what a crash may go back to after each write. */
  guard(store: StateStore): StateStore {
    return {
      ...store,
      write: (batch: StateBatch, done: () => void) => {
        const before = copyOf(this.state);
        store.write(batch, () => {
          this.#versions.push(before);
          if (this.#versions.length > UNFLUSHED_MAX || this.#random.chance(0.05)) this.#versions = [];
          done();
        });
      },
    };
  }
}

function copyOf(disk: MemoryStateDisk): MemoryStateDisk {
  return { rows: [...disk.rows], applied: disk.applied };
}
