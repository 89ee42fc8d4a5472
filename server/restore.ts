/** Makes a state machine anew at a start, from the snapshots that lie beside it. */

import type { Applied, StateStore } from '../persistence/state-store.js';
import type { Index } from '../raft/entry.js';
import type { Codec } from '../snapshot/codec.js';
import type { SnapshotFile } from '../snapshot/identity.js';
import type { Outcome, SnapshotError } from '../snapshot/outcome.js';
import type { ReadSnapshot } from '../snapshot/reading.js';
import { sourceOf } from '../snapshot/reading.js';
import { restoreSnapshot } from '../snapshot/restorer.js';
import type { SnapshotStore } from '../snapshot/store.js';

export interface RestoreParts {
  readonly stateStore: Pick<StateStore, 'beginRestore'>;
  readonly store: SnapshotStore;
  readonly codec: Codec;
  readonly events: {
    restored(file: SnapshotFile): void;
    /** It is removed: it would be no better the next time. */
    damaged(file: SnapshotFile, error: SnapshotError): void;
  };
}

/** The newest snapshot that is sound and covers `atLeast`; undefined when there is none, and the state is as it was. */
export async function restoreNewest(parts: RestoreParts, atLeast: Index): Promise<Applied | undefined> {
  const { stateStore: state, store, codec, events } = parts;
  for (const file of [...store.list()].reverse()) {
    if (file.position.index < atLeast) return undefined;
    const options = { source: sourceOf(store, file), codec, state, identity: file };
    const restored = await new Promise<Outcome<ReadSnapshot>>((resolve) => restoreSnapshot(options, resolve));
    if (restored.ok) {
      events.restored(file);
      return restored.value.header.applied;
    }
    events.damaged(file, restored.error);
    await new Promise((resolve) => store.remove(file.id, resolve));
  }
  return undefined;
}
