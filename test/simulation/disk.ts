/**
 * A node's simulated disk: one queue for the log, one for the state, so that neither waits for the other. An append is on it only once its time has come; what is in flight at a crash is on it or not,
 * as chance has it, but never in part: the log's batches are atomic. The state is not synced, so a crash may take
 * back any number of the newest batches that were not flushed.
 */

import type { Entry, Index, Position, Term } from '../../raft/entry.js';
import type { MemorySnapshotDisk } from '../../snapshot/memory/directory.js';
import { crashSnapshotDisk, memorySnapshotDisk } from '../../snapshot/memory/directory.js';
import type { MemoryWatermarkDisk } from '../../persistence/memory/watermark.js';
import { memoryWatermarkDisk } from '../../persistence/memory/watermark.js';
import type { MemoryLogDisk } from '../../persistence/memory/log-store.js';
import { memoryLogDisk } from '../../persistence/memory/log-store.js';
import type { MemoryStateDisk } from '../../persistence/memory/state-store.js';
import { memoryStateDisk } from '../../persistence/memory/state-store.js';
import type { StateBatch, StateStore } from '../../persistence/state-store.js';
import type { Observed } from '../../raft/invariants.js';
import type { RaftState } from '../../raft/state.js';
import type { Random } from './random.js';
import type { World } from './world.js';

export interface DiskQuality {
  readonly delayMs: readonly [min: number, max: number];
}

export const GOOD_DISK: DiskQuality = { delayMs: [0.1, 0.6] };
const STATE_QUALITY: DiskQuality = { delayMs: [0.02, 0.3] };

/** The longest that a write of the state takes, by and large. */
const STATE_WRITE_MS = 0.6;

type Written = 'log' | 'state';

/** Batches of the state that a crash may take back, at most. */
const UNFLUSHED_MAX = 8;

export class Disk {
  /** Its name: one that is put in its place has another one. */
  readonly incarnation: string;
  readonly log: MemoryLogDisk = memoryLogDisk();
  state: MemoryStateDisk = memoryStateDisk();
  readonly snapshots: MemorySnapshotDisk = memorySnapshotDisk();
  readonly watermark: MemoryWatermarkDisk = memoryWatermarkDisk();
  /** The log reached so far, has lost its end, and its node knows. */
  lostEnd: Index = 0;
  /** The log or the state has lost something that its node has not got back. */
  hasLost = false;
  quality: DiskQuality = GOOD_DISK;
  readonly #logQueue: Queue;
  readonly #stateQueue: Queue;
  readonly #snapshotQueue: Queue;
  readonly #markQueue: Queue;
  /** States that a crash may go back to, oldest first. */
  #versions: MemoryStateDisk[] = [];
  readonly #world: World;
  readonly #random: Random;
  #awaited: { readonly what: Written; left: number; readonly task: () => void } | undefined;

  constructor(world: World, random: Random, incarnation: string) {
    this.#world = world;
    this.incarnation = incarnation;
    this.#random = random;
    const { log, termAt } = this;
    const lostEnd = (): Index => this.lostEnd;
    this.durable = {
      get term() {
        return log.hardState?.term ?? 0;
      },
      get vote() {
        return log.hardState?.vote;
      },
      get base() {
        return log.base.index;
      },
      get lostEnd() {
        return lostEnd();
      },
      termAt,
    };
    this.#logQueue = new Queue(world, random, () => this.quality);
    // It is not synced: what is written to it goes to memory, however slow the device is.
    this.#stateQueue = new Queue(world, random, () => STATE_QUALITY);
    this.#snapshotQueue = new Queue(world, random, () => STATE_QUALITY);
    this.#markQueue = new Queue(world, random, () => STATE_QUALITY);
  }

  mend(): void {
    this.quality = GOOD_DISK;
    this.#logQueue.stall(0);
    this.#stateQueue.stall(0);
    this.#logQueue.failWith(undefined);
    this.#awaited = undefined;
    this.snapshots.writeFault = undefined;
  }

  /** Calls `task` while the `nth` operation from now on is under way, of the log or one that writes the state. */
  whenWriting(what: Written, nth: number, task: () => void): void {
    this.#awaited = { what, left: nth, task };
  }

  #writes(what: Written, forMs: number): void {
    const awaited = this.#awaited;
    if (awaited?.what !== what) return;
    awaited.left -= 1;
    if (awaited.left > 0) return;
    this.#awaited = undefined;
    this.#world.after(this.#random.between(0, forMs), awaited.task);
  }

  /** Nothing is done before `untilMs`, in the log or everywhere. */
  stall(untilMs: number, everywhere: boolean): void {
    this.#logQueue.stall(untilMs);
    if (everywhere) this.#stateQueue.stall(untilMs);
  }

  /** The next operation of the log fails: `failed` is called in place of its completion, and it landed or not. */
  failNext(failed: () => void): void {
    this.#logQueue.failWith(failed);
  }

  /** It belongs to no cluster yet. */
  get isEmpty(): boolean {
    return this.log.hardState === undefined;
  }

  get entries(): readonly Entry[] {
    return this.log.entries;
  }

  /** What the log would give back after a crash now. */
  readonly durable: Observed['disk'];

  readonly termAt = (index: Index): Term | undefined => {
    const { base } = this.log;
    return index === base.index ? base.term : this.entryAt(index)?.term;
  };

  entryAt(index: Index): Entry | undefined {
    const { base, entries } = this.log;
    return index <= base.index ? undefined : entries[index - base.index - 1];
  }

  /** The last entry, or where the log begins. */
  get end(): Position {
    return this.log.entries.at(-1) ?? this.log.base;
  }

  /** In order, each after the one before, among those of the log. */
  deferLog(task: () => void): void {
    const doneAtMs = this.#logQueue.defer(task);
    this.#writes('log', doneAtMs - this.#world.nowMs);
  }

  /** The same, among those of the state. */
  deferState(task: () => void): void {
    this.#stateQueue.defer(task);
  }

  deferSnapshot(task: () => void): void {
    this.#snapshotQueue.defer(task);
  }

  deferMark(task: () => void): void {
    this.#markQueue.defer(task);
  }

  /**
   * The last entries are gone, one at least, as if they had never been written; returns whether there were any that the watermark tells of.
   */
  loseEnd(): boolean {
    const { log, watermark, end } = this;
    const last = watermark.mark?.last;
    // What the watermark does not know of yet would be lost without a trace.
    if (log.entries.length < 2 || last?.index !== end.index || last.term !== end.term) return false;
    this.lostEnd = Math.max(this.lostEnd, end.index);
    this.hasLost = true;
    // The members are still known: else the node would have to join anew.
    const kept = log.base.index === 0 ? 1 : 0;
    log.entries.splice(this.#random.whole(kept, log.entries.length - 1));
    const { hardState } = log;
    if (hardState !== undefined)
      log.hardState = { ...hardState, commit: Math.min(hardState.commit, this.end.index) };
    return true;
  }

  /** The state and every snapshot are gone. */
  loseState(): void {
    this.hasLost = true;
    this.state = memoryStateDisk();
    this.snapshots.files.clear();
  }

  /** One byte of one snapshot, complete or not, is another one from now on. */
  damageSnapshot(): void {
    const files = [...this.snapshots.files.values()].filter(({ data }) => data.length > 0);
    if (files.length === 0) return;
    const file = this.#random.pick(files);
    const data = Buffer.from(file.data);
    const at = this.#random.whole(0, data.length - 1);
    data.writeUInt8(data.readUInt8(at) ^ (1 << this.#random.whole(0, 7)), at);
    file.data = data;
  }

  /** What a crash now would leave of the state reaches so far at least. */
  get stateFlushed(): Index {
    return (this.#versions[0] ?? this.state).applied.index;
  }

  /** What its node knows of its losses; undefined: none runs. */
  observe(state: Readonly<RaftState> | undefined): void {
    if (state === undefined) return;
    if (state.lostEnd === undefined) this.lostEnd = 0;
    if (state.lostEnd === undefined && !state.log.lacksState) this.hasLost = false;
  }

  /** The process is gone. What was under way landed or not, in order; its callbacks go nowhere. */
  crash(): void {
    this.#logQueue.crash();
    this.#stateQueue.crash();
    this.#snapshotQueue.crash();
    this.#markQueue.crash();
    this.#awaited = undefined;
    crashSnapshotDisk(this.snapshots, (bytes) => this.#random.whole(0, bytes));
    // Only with the whole machine goes what its memory held of its files.
    const version = this.#random.chance(0.5)
      ? this.state
      : this.#random.pick([this.state, ...this.#versions]);
    this.state = copyOf(version);
    this.#versions = [];
  }

  /** Equal for equal states. */
  fingerprint(): string {
    const rows = this.state.rows.map(([key, value]) => `${key}=${value.toString('hex')}`);
    return `${this.state.applied.index}: ${rows.join(' ')}`;
  }

  /** Remembers what a crash may go back to after each write. */
  guard(store: StateStore): StateStore {
    return {
      ...store,
      write: (batch: StateBatch, done: () => void) => {
        const before = copyOf(this.state);
        this.#writes('state', STATE_WRITE_MS);
        store.write(batch, () => {
          this.#versions.push(before);
          if (this.#versions.length > UNFLUSHED_MAX || this.#random.chance(0.05)) this.#versions = [];
          done();
        });
      },
      persist: (done) => {
        const flushed = this.#versions.length;
        store.persist((applied) => {
          this.#versions.splice(0, flushed);
          done(applied);
        });
      },
      beginRestore: (done) =>
        store.beginRestore((restore) =>
          done({
            ...restore,
            finish: (applied, finished) =>
              restore.finish(applied, () => {
                this.#versions = [];
                finished();
              }),
          }),
        ),
    };
  }
}

function copyOf(disk: MemoryStateDisk): MemoryStateDisk {
  return { rows: [...disk.rows], applied: disk.applied };
}

/** Operations that are carried out one after the other. */
class Queue {
  readonly #world: World;
  readonly #random: Random;
  readonly #quality: () => DiskQuality;
  #inFlight: { readonly task: () => void }[] = [];
  #freeAtMs = 0;
  #stalledUntilMs = 0;
  #failed: (() => void) | undefined;

  constructor(world: World, random: Random, quality: () => DiskQuality) {
    this.#world = world;
    this.#random = random;
    this.#quality = quality;
  }

  stall(untilMs: number): void {
    this.#stalledUntilMs = untilMs;
  }

  failWith(failed: (() => void) | undefined): void {
    this.#failed = failed;
  }

  /** Returns when it is done. */
  defer(task: () => void): number {
    const [min, max] = this.#quality().delayMs;
    const start = Math.max(this.#world.nowMs, this.#stalledUntilMs, this.#freeAtMs);
    this.#freeAtMs = start + this.#random.between(min, max);
    const pending = { task };
    this.#inFlight.push(pending);
    this.#world.after(this.#freeAtMs - this.#world.nowMs, () => {
      const at = this.#inFlight.indexOf(pending);
      // A crash came first.
      if (at < 0) return;
      const failed = this.#failed;
      this.#failed = undefined;
      if (failed !== undefined) {
        failed();
        return;
      }
      this.#inFlight.splice(at, 1);
      task();
    });
    return this.#freeAtMs;
  }

  crash(): void {
    const pending = this.#inFlight;
    this.#inFlight = [];
    this.#freeAtMs = 0;
    this.#failed = undefined;
    const landed = this.#random.whole(0, pending.length);
    for (const { task } of pending.slice(0, landed)) task();
  }
}
