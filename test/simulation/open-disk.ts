/** Opens what a simulated machine's disk holds, as `server/start.ts` does it for a real one. */

import type { NodeId } from '../../membership/configuration.js';
import { assess, laterPromise } from '../../persistence/assess.js';
import type { LogStore } from '../../persistence/log-store.js';
import { markedLogStore } from '../../persistence/marked-log-store.js';
import { openMemoryLogStore } from '../../persistence/memory/log-store.js';
import { openMemoryStateStore } from '../../persistence/memory/state-store.js';
import { openMemoryWatermark } from '../../persistence/memory/watermark.js';
import type { StateStore } from '../../persistence/state-store.js';
import type { Recovered } from '../../server/recovery.js';
import type { SnapshotHand } from '../../server/snapshotting.js';
import type { Snapshots } from '../../server/snapshots.js';
import type { SnapshotSettings } from '../server/memory-snapshots.js';
import { bindSnapshots, openMemorySnapshots, recoverFrom } from '../server/memory-snapshots.js';
import type { Disk } from './disk.js';
import type { Journal } from './journal.js';

const TAIL_BYTES_MAX = 2048;

type Task = () => void;

export interface Opened {
  readonly logStore: LogStore;
  readonly state: StateStore;
  readonly recovered: Recovered;
  readonly snapshotting: ReturnType<typeof bindSnapshots>;
  readonly snapshots: { readonly current: Snapshots | undefined };
}

/** @param deferTo makes a queue of the disk one that the life of a process ends */
export async function openDisk(
  id: NodeId,
  disk: Disk,
  { snapshots: settings, journal }: { readonly snapshots: SnapshotSettings; readonly journal: Journal },
  deferTo: (queue: (task: Task) => void) => (task: Task) => void,
): Promise<Opened> {
  const log = openMemoryLogStore({
    disk: disk.log,
    tailBytesMax: TAIL_BYTES_MAX,
    defer: deferTo((task) => disk.deferLog(task)),
  });
  const mark = openMemoryWatermark({
    disk: disk.watermark,
    defer: deferTo((task) => disk.deferMark(task)),
    lag: deferTo((task) => disk.deferMark(task)),
  });
  const assessment = assess(log.recovered, mark.recovered);
  const hardState = laterPromise(log.recovered, mark.recovered);
  const logStore = markedLogStore(log.store, log.recovered, hardState, mark.watermark, mark.recovered);
  const defer = deferTo((task) => disk.deferState(task));
  const state = disk.guard(openMemoryStateStore({ disk: disk.state, defer }));
  const snapshots = await openMemorySnapshots(
    disk.snapshots,
    deferTo((task) => disk.deferSnapshot(task)),
  );
  const recovered = await recoverFrom(
    {
      dataDir: id,
      logStore,
      log: { ...log.recovered, hardState },
      stateStore: state,
      applied: state.recovered,
      assessment,
    },
    snapshots,
  );
  const note = (what: string): void => journal.note(`${id} ${what}`);
  const bound = bindSnapshots(snapshots, state, recovered.log, settings, note);
  const made: { current: Snapshots | undefined } = { current: undefined };
  const snapshotting = (hand: SnapshotHand): Snapshots => (made.current = bound(hand));
  return { logStore, state, recovered, snapshotting, snapshots: made };
}
