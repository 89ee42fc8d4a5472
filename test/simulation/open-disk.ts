/** Opens what a simulated machine's disk holds, as `server/start.ts` does it for a real one. */

import { isKeyRow } from '../../kv/rows.js';
import type { Configuration, NodeId } from '../../membership/configuration.js';
import { assess, laterPromise } from '../../persistence/assess.js';
import type { Timers } from '../../persistence/buffered-state-store.js';
import { bufferedStateStore } from '../../persistence/buffered-state-store.js';
import type { LogStore } from '../../persistence/log-store.js';
import { markedLogStore } from '../../persistence/marked-log-store.js';
import { openMemoryLogStore } from '../../persistence/memory/log-store.js';
import { openMemoryStateStore } from '../../persistence/memory/state-store.js';
import { openMemoryWatermark } from '../../persistence/memory/watermark.js';
import type { StateStore } from '../../persistence/state-store.js';
import type { Recovered } from '../../server/recovery.js';
import { isFresh, isNew, newcomerSeed } from '../../server/recovery.js';
import type { SnapshotHand } from '../../server/snapshotting.js';
import type { Snapshots } from '../../server/snapshots.js';
import type { SnapshotSettings } from '../server/memory-snapshots.js';
import { bindSnapshots, openMemorySnapshots, recoverFrom } from '../server/memory-snapshots.js';
import type { Disk } from './disk.js';
import type { Journal } from './journal.js';

const TAIL_BYTES_MAX = 2048;
/** Small, so that short runs meet its bounds. */
const BUFFER = {
  pendingBytesMax: 2048,
  delayMs: 5,
  flushBytes: 1024,
  cacheBytes: 1024,
  isAskedFor: isKeyRow,
  failed: new Promise<void>(() => undefined),
  hasFailed: () => false,
};

type Task = () => void;

export interface Opened {
  readonly logStore: LogStore;
  readonly state: StateStore;
  /** What the core starts from. */
  readonly recovered: Recovered;
  readonly snapshotting: ReturnType<typeof bindSnapshots>;
  readonly snapshots: { readonly current: Snapshots | undefined };
}

/** How a node whose disk holds nothing comes to belong to the cluster; undefined: it does not. */
export type Join = () => Promise<Configuration | undefined>;

interface Around {
  readonly snapshots: SnapshotSettings;
  readonly journal: Journal;
  readonly join: Join;
  /** Of the process: what it has not done when it ends, it never does. */
  readonly timers: Timers;
}

/**
 * Undefined: the disk holds nothing, and the cluster does not take its node in.
 *
 * @param deferTo makes a queue of the disk one that the life of a process ends
 */
export async function openDisk(
  id: NodeId,
  disk: Disk,
  { snapshots: settings, journal, join, timers }: Around,
  deferTo: (queue: (task: Task) => void) => (task: Task) => void,
): Promise<Opened | undefined> {
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
  const written = disk.guard(openMemoryStateStore({ disk: disk.state, defer }));
  const state = bufferedStateStore(written, { ...BUFFER, timers });
  const snapshots = await openMemorySnapshots(
    disk.snapshots,
    deferTo((task) => disk.deferSnapshot(task)),
  );
  const { base } = log.recovered;
  const seedOf = async (): Promise<Recovered | undefined> => {
    if (isFresh(log.recovered, state.recovered)) {
      const configuration = await join();
      if (configuration === undefined) return undefined;
      const first = { term: 0, vote: undefined, commit: 0 };
      await new Promise<void>((resolve) => logStore.append({ entries: [], hardState: first }, resolve));
      return newcomerSeed(base, configuration, first);
    }
    if (hardState !== undefined && isNew(log.recovered, state.recovered, assessment)) {
      const configuration = await join();
      return configuration && newcomerSeed(base, configuration, hardState);
    }
    return recoverFrom(
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
  };
  const recovered = await seedOf();
  if (recovered === undefined) return undefined;
  const note = (what: string): void => journal.note(`${id} ${what}`);
  const bound = bindSnapshots(snapshots, state, recovered.log, settings, note);
  const made: { current: Snapshots | undefined } = { current: undefined };
  const snapshotting = (hand: SnapshotHand): Snapshots => (made.current = bound(hand));
  return { logStore, state, recovered, snapshotting, snapshots: made };
}
