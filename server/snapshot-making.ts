/** Makes snapshots when they are due, and cuts the log off behind them. */

import type { StateStore } from '../persistence/state-store.js';
import type { Index, Position } from '../raft/entry.js';
import type { Codec } from '../snapshot/codec.js';
import type { SnapshotFile } from '../snapshot/identity.js';
import type { Making } from '../snapshot/maker.js';
import { makeSnapshot } from '../snapshot/maker.js';
import type { Done, Outcome } from '../snapshot/outcome.js';
import { SnapshotError, failure } from '../snapshot/outcome.js';
import { compactionIndex, heldIndexes, isSnapshotDue, snapshotsToRemove } from '../snapshot/policy.js';
import { sourceOf } from '../snapshot/reading.js';
import type { SnapshotStore } from '../snapshot/store.js';
import { verifySnapshot } from '../snapshot/verify.js';
import { LogSizes } from './log-sizes.js';
import { resting } from './resting.js';
import type { SnapshotHand } from './snapshotting.js';

/** By so much of it, from the shortest to the longest, the time between two looks differs. */
const INTERVAL_SPREAD = 0.5;

export interface MakingOptions {
  /** Between two looks at whether a snapshot is due, on average. */
  readonly intervalMs: number;
  /** Bytes of log that make one due, at least. */
  readonly thresholdBytes: number;
  /** Complete snapshots that are kept. */
  readonly filesMax: number;
  /** What of the log is kept behind the newest snapshot, so that a slow follower needs none. */
  readonly trailingLogBytes: number;
}

export interface MakingParts {
  readonly stateStore: Pick<StateStore, 'openView' | 'persist'>;
  readonly store: SnapshotStore;
  readonly codec: Codec;
  readonly options: MakingOptions;
  /** The wall clock, for people. */
  readonly wallMs: () => number;
  readonly events: {
    made(file: SnapshotFile, durationMs: number): void;
    failed(what: string, error: SnapshotError): void;
  };
}

/** What the log held when it was opened. */
export interface LogExtent {
  readonly base: Index;
  readonly last: Index;
  readonly bytes: number;
}

export class SnapshotMaking {
  readonly #parts: MakingParts;
  readonly #hand: SnapshotHand;
  readonly #sizes: LogSizes;
  #making: Making | undefined;
  /** Who waits for the one that is being made. */
  #waiting: Done<SnapshotFile>[] = [];
  #compacting = false;
  #stopped = false;
  #nextLookMs = -Infinity;
  progress: { readonly rows: number; readonly fileBytes: number } | undefined;

  constructor(parts: MakingParts, hand: SnapshotHand, log: LogExtent) {
    this.#parts = parts;
    this.#hand = hand;
    this.#sizes = new LogSizes(log.base, log.last, log.bytes);
  }

  applied({ index }: Position, bytes: number): void {
    this.#sizes.add(index, bytes);
  }

  /** The state machine was restored up to `index`; what the log holds before that is of no interest any more. */
  restored(index: Index): void {
    this.#sizes.reset(index);
  }

  tick(nowMs: number): void {
    if (nowMs < this.#nextLookMs) return;
    const isFirst = this.#nextLookMs === -Infinity;
    this.#nextLookMs = nowMs + this.#parts.options.intervalMs * this.#share();
    if (!isFirst && this.#isDue()) this.take(() => undefined);
  }

  /** Nodes that began together must not make their snapshots together, time after time (thesis §5.1.2). */
  #share(): number {
    const { random } = this.#hand.state.options;
    return 1 - INTERVAL_SPREAD / 2 + random() * INTERVAL_SPREAD;
  }

  stop(): void {
    this.#stopped = true;
    this.#making?.cancel();
  }

  /** The newest complete one. */
  newest(): SnapshotFile | undefined {
    return this.#parts.store.list().at(-1);
  }

  /** Makes one now; who asks while one is being made gets that one. */
  take(done: Done<SnapshotFile>): void {
    const { log, installing } = this.#hand.state;
    if (this.#stopped || log.lacksState || installing !== undefined || log.applied === 0) {
      done(failure(new SnapshotError('cancelled', 'there is no state to take a snapshot of now')));
      return;
    }
    this.#waiting.push(done);
    if (this.#making !== undefined) return;
    const { stateStore: state, store, codec, wallMs } = this.#parts;
    const createdAtMs = wallMs();
    const { id: nodeId, configuration } = this.#hand.state;
    this.#making = makeSnapshot(
      {
        state,
        store,
        codec,
        clusterId: configuration.clusterId,
        nodeId,
        createdAtMs,
        rest: resting(this.#hand.clock),
        progress: (progress) => (this.progress = progress),
      },
      (outcome) => this.#made(outcome, wallMs() - createdAtMs),
    );
  }

  /** Somebody could not use this one: it is removed if it is damaged, so that the next transfer is of another one. */
  removeDamaged(file: SnapshotFile, done: () => void): void {
    const { store, codec, events } = this.#parts;
    if (this.#stopped) return;
    if (!store.list().some(({ id }) => id === file.id)) {
      done();
      return;
    }
    verifySnapshot(sourceOf(store, file), codec, file, (verified) => {
      if (verified.ok || this.#stopped) {
        done();
        return;
      }
      events.failed(`the snapshot ${file.id} is removed`, verified.error);
      store.remove(file.id, done);
    });
  }

  /** Removes snapshots that are too many, and the log that none of the others needs. */
  cleanUp(): void {
    if (this.#stopped) return;
    const { store, options, events } = this.#parts;
    for (const id of snapshotsToRemove(store.list(), options.filesMax, (file) => store.isPinned(file))) {
      store.remove(id, (outcome) => {
        if (!outcome.ok) events.failed('an old snapshot could not be removed', outcome.error);
      });
    }
    this.#compact();
  }

  #isDue(): boolean {
    const { log } = this.#hand.state;
    const last = this.newest();
    const lastSnapshotIndex = last?.position.index ?? 0;
    return isSnapshotDue({
      logBytes: this.#sizes.between(lastSnapshotIndex, log.applied),
      lastSnapshotBytes: last?.bytes ?? 0,
      thresholdBytes: this.#parts.options.thresholdBytes,
      appliedIndex: log.applied,
      lastSnapshotIndex,
    });
  }

  #made(outcome: Outcome<SnapshotFile>, durationMs: number): void {
    this.#making = undefined;
    this.progress = undefined;
    const { events } = this.#parts;
    if (outcome.ok) events.made(outcome.value, durationMs);
    else if (outcome.error.fault !== 'cancelled')
      events.failed('a snapshot could not be made', outcome.error);
    for (const done of this.#waiting.splice(0)) done(outcome);
    if (outcome.ok) this.cleanUp();
  }

  /** Only behind what the state holds durably: the rest would have to be applied again after a crash. */
  #compact(): void {
    if (this.#compacting || this.#compactionIndex(Infinity) === undefined) return;
    this.#compacting = true;
    this.#parts.stateStore.persist(({ index: durableIndex }) => {
      const index = this.#stopped ? undefined : this.#compactionIndex(durableIndex);
      if (index === undefined) {
        this.#compacting = false;
        return;
      }
      this.#hand.compact(index, () => {
        this.#compacting = false;
        this.#sizes.forgetBefore(this.#hand.state.log.base.index);
      });
    });
  }

  #compactionIndex(durableIndex: Index): Index | undefined {
    const { store, options } = this.#parts;
    const { log, installing } = this.#hand.state;
    if (log.lacksState || installing !== undefined) return undefined;
    const files = store.list();
    return compactionIndex({
      baseIndex: log.base.index,
      snapshotIndex: files.at(-1)?.position.index,
      // A snapshot that was received and not installed may be ahead of what is applied here.
      durableIndex: Math.min(durableIndex, log.applied),
      pinnedIndexes: [
        ...files.filter(({ id }) => store.isPinned(id)).map(({ position }) => position.index),
        ...this.#catchingUp(),
      ],
      trailingLogBytes: options.trailingLogBytes,
      indexBehind: (end, bytes) => this.#sizes.indexBehind(end, bytes),
    });
  }

  #catchingUp(): readonly Index[] {
    const { current, now, log, options } = this.#hand.state;
    if (current.role !== 'leader') return [];
    const [, silentTicks] = options.electionTicks;
    const members = [...current.progress.values()].map(({ match, contactTick }) => ({
      index: match,
      bytesBehind: this.#sizes.between(match, log.applied),
      answers: now - contactTick <= silentTicks,
    }));
    return heldIndexes(members, log.base.index, this.#parts.options.trailingLogBytes);
  }
}
