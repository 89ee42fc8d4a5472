/** Snapshots of a node whose disk is in memory: the real thing, but for files and compression. */

import type { MemoryLogDisk } from '../../persistence/memory/log-store.js';
import type { StateStore } from '../../persistence/state-store.js';
import type { Observed } from '../../raft/invariants.js';
import type { Recovered, Remains } from '../../server/recovery.js';
import { recoverSeed } from '../../server/recovery.js';
import { restoreNewest } from '../../server/restore.js';
import type { MakingOptions } from '../../server/snapshot-making.js';
import type { SendingOptions } from '../../server/snapshot-sending.js';
import type { SnapshotHand } from '../../server/snapshotting.js';
import type { Snapshots, SnapshotsParts } from '../../server/snapshots.js';
import { createSnapshots } from '../../server/snapshots.js';
import type { Codec } from '../../snapshot/codec.js';
import { identityCodec } from '../../snapshot/codec.js';
import type { MemorySnapshotDisk } from '../../snapshot/memory/directory.js';
import { openMemorySnapshotDirectory } from '../../snapshot/memory/directory.js';
import type { SnapshotStore } from '../../snapshot/store.js';
import { openSnapshotStore } from '../../snapshot/store.js';
import { tokenBucket } from '../../snapshot/throttle.js';

export interface MemorySnapshots {
  readonly store: SnapshotStore;
  readonly codec: Codec;
}

type Defer = (task: () => void) => void;

export function openMemorySnapshots(disk: MemorySnapshotDisk, defer: Defer): Promise<MemorySnapshots> {
  const directory = openMemorySnapshotDirectory({ disk, defer });
  const codec = identityCodec(defer);
  return new Promise((resolve, reject) =>
    openSnapshotStore(directory, (opened) => {
      if (opened.ok) resolve({ store: opened.value, codec });
      else reject(opened.error);
    }),
  );
}

/** As `server/start.ts` does it. */
export function recoverFrom(
  remains: Omit<Remains, 'restoreNewest' | 'stateStore'> & { readonly stateStore: StateStore },
  { store, codec }: MemorySnapshots,
): Promise<Recovered> {
  const events = { restored: () => undefined, damaged: () => undefined };
  const parts = { stateStore: remains.stateStore, store, codec, events };
  return recoverSeed({ ...remains, restoreNewest: (atLeast) => restoreNewest(parts, atLeast) });
}

export interface SnapshotSettings {
  readonly making: MakingOptions;
  readonly sending: SendingOptions;
  readonly bytesPerSecond: number;
}

/** As the defaults are, so that a short test sees no snapshot. */
export const RARE_SNAPSHOTS: SnapshotSettings = {
  making: { intervalMs: 30_000, thresholdBytes: 1024, filesMax: 5, trailingLogBytes: 1024 * 1024 },
  sending: { chunkBytes: 256 * 1024, windowChunks: 4, resendMs: 1000, giveUpMs: 30_000 },
  bytesPerSecond: 64 * 1024 * 1024,
};

export function bindSnapshots(
  { store, codec }: MemorySnapshots,
  stateStore: StateStore,
  log: SnapshotsParts['log'],
  settings: SnapshotSettings,
  note: (what: string) => void = () => undefined,
): (hand: SnapshotHand) => Snapshots {
  const { making, sending, bytesPerSecond } = settings;
  const events: SnapshotsParts['events'] = {
    made: ({ position }) => note(`made a snapshot at ${position.index}`),
    sending: (to, { position }) => note(`sends ${to} the snapshot at ${position.index}`),
    sent: (to, { type }) => note(`the snapshot for ${to}: ${type}`),
    received: ({ position }) => note(`received the snapshot at ${position.index}`),
    restored: ({ index }) => note(`restored its state to ${index}`),
    failed: (what, { message }) => note(`${what}: ${message}`),
  };
  const throttle = tokenBucket(bytesPerSecond, bytesPerSecond / 10, 0);
  const parts = { stateStore, store, codec, throttle, making, sending, wallMs: () => 0, log, events };
  return (hand) => createSnapshots(parts, hand);
}

/** What the log on a disk in memory would give back after a crash now. */
export function diskOf({ base, entries, hardState }: MemoryLogDisk): Observed['disk'] {
  return {
    term: hardState?.term ?? 0,
    vote: hardState?.vote,
    base: base.index,
    lostEnd: 0,
    termAt: (index) => (index === base.index ? base.term : entries[index - 1 - base.index]?.term),
  };
}
