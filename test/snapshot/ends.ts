/** Two ends of a transfer, in simulated time. */

import type { SnapshotFile } from '../../snapshot/identity.js';
import type { MemorySnapshotDisk } from '../../snapshot/memory/directory.js';
import { memorySnapshotDisk, openMemorySnapshotDirectory } from '../../snapshot/memory/directory.js';
import type { SnapshotReceiver } from '../../snapshot/receiver.js';
import type { SenderOptions, SnapshotSender } from '../../snapshot/sender.js';
import { snapshotSender } from '../../snapshot/sender.js';
import type { SnapshotStore } from '../../snapshot/store.js';
import { openSnapshotStore } from '../../snapshot/store.js';
import { tokenBucket } from '../../snapshot/throttle.js';
import type { TransferAnswer, TransferRequest } from '../../snapshot/transfer.js';
import { PLAIN, bytesOf, madeOf, rowsOf, stateOf, storeInMemory } from './samples.js';

export const CHUNK_BYTES = 4096;

/** Time and everything that happens in it; nothing real runs. */
export class Scene {
  nowMs = 0;
  #tasks: { atMs: number; order: number; task: () => void }[] = [];
  #order = 0;

  after(delayMs: number, task: () => void): void {
    this.#order += 1;
    this.#tasks.push({ atMs: this.nowMs + delayMs, order: this.#order, task });
    this.#tasks.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
  }

  readonly defer = (task: () => void): void => this.after(0.1, task);

  run(untilMs: number): void {
    for (;;) {
      const next = this.#tasks[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#tasks.shift();
      this.nowMs = next.atMs;
      next.task();
    }
    this.nowMs = untilMs;
  }
}

/** Opens what is on a disk; `opened` is not called when the process has died by then. */
export function opening(
  scene: Scene,
  disk: MemorySnapshotDisk,
  alive: () => boolean,
  opened: (store: SnapshotStore) => void,
): void {
  const defer = (task: () => void): void =>
    scene.defer(() => {
      if (alive()) task();
    });
  openSnapshotStore(openMemorySnapshotDirectory({ disk, defer }), (outcome) => {
    if (!outcome.ok) throw outcome.error;
    opened(outcome.value);
  });
}

/** The same, at once. Not to be called by what happens in the scene. */
export function openIn(scene: Scene, disk: MemorySnapshotDisk): SnapshotStore {
  let store: SnapshotStore | undefined;
  opening(
    scene,
    disk,
    () => true,
    (opened) => (store = opened),
  );
  scene.run(scene.nowMs + 5);
  return store!;
}

/** A snapshot on the sender's disk, made once. */
export const prepared = (async () => {
  const disk = memorySnapshotDisk();
  const store = await storeInMemory(disk);
  const file = await madeOf(await stateOf(rowsOf(900, 100)), store, PLAIN);
  return { disk, file, bytes: await bytesOf(store, file) };
})();

export interface Ends {
  readonly scene: Scene;
  readonly from: SnapshotStore;
  readonly file: SnapshotFile;
}

export async function ends(): Promise<Ends> {
  const { disk, file } = await prepared;
  const scene = new Scene();
  return { scene, from: openIn(scene, disk), file };
}

export function senderOf({ scene, from, file }: Ends, options: Partial<SenderOptions>): SnapshotSender {
  const sender = snapshotSender({
    file,
    store: from,
    term: 3,
    send: () => undefined,
    throttle: tokenBucket(64 * 1024 * 1024, 1024 * 1024, scene.nowMs),
    chunkBytes: CHUNK_BYTES,
    windowChunks: 3,
    resendMs: 50,
    giveUpMs: 5000,
    nowMs: scene.nowMs,
    done: () => undefined,
    ...options,
  });
  const tick = (): void => {
    sender.tick(scene.nowMs);
    scene.after(5, tick);
  };
  tick();
  return sender;
}

export function deliver(
  receiver: SnapshotReceiver,
  request: TransferRequest,
  answer: (answer: TransferAnswer) => void,
): void {
  if (request.type === 'offer') receiver.offer(request, answer);
  else receiver.chunk(request, answer);
}
