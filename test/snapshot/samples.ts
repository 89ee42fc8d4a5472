/** Snapshots to test with. */

import type { Applied, StateRow, StateStore } from '../../persistence/state-store.js';
import { memoryStateDisk, openMemoryStateStore } from '../../persistence/memory/state-store.js';
import type { Codec } from '../../snapshot/codec.js';
import { identityCodec } from '../../snapshot/codec.js';
import type { SnapshotFile } from '../../snapshot/identity.js';
import { makeSnapshot } from '../../snapshot/maker.js';
import { memorySnapshotDisk, openMemorySnapshotDirectory } from '../../snapshot/memory/directory.js';
import type { Done } from '../../snapshot/outcome.js';
import { success } from '../../snapshot/outcome.js';
import type { SnapshotSource } from '../../snapshot/reading.js';
import type { SnapshotStore } from '../../snapshot/store.js';
import { storeOn, valueOf } from '../contracts/snapshot-store.js';
import { written } from '../contracts/state-store.js';

export const defer = (task: () => void): void => void setImmediate(task);
export const PLAIN: Codec = identityCodec(defer);

export const APPLIED: Applied = {
  index: 41,
  term: 6,
  configuration: {
    clusterId: 'c1',
    members: [{ id: 'nöde', incarnation: 'i', raft: 'h:1', rpc: 'h:2', http: 'h:3', voter: true }],
  },
  configurationIndex: 3,
};

export function rowsOf(count: number, valueBytes: number): StateRow[] {
  return Array.from({ length: count }, (_, i) => [
    `key${String(i).padStart(7, '0')}`,
    Buffer.from(`${i}:`.padEnd(valueBytes, 'value ')),
  ]);
}

/** A state in memory that holds these rows. */
export async function stateOf(rows: readonly StateRow[], applied = APPLIED): Promise<StateStore> {
  const store = openMemoryStateStore({ disk: memoryStateDisk(), defer });
  if (applied.index > 0) await written(store, { applied, puts: rows, deletes: [] });
  return store;
}

export function storeInMemory(disk = memorySnapshotDisk()): Promise<SnapshotStore> {
  return storeOn(openMemorySnapshotDirectory({ disk, defer }));
}

export async function madeOf(state: StateStore, store: SnapshotStore, codec: Codec): Promise<SnapshotFile> {
  return valueOf((done: Done<SnapshotFile>) =>
    makeSnapshot(
      { state, store, codec, clusterId: 'c1', nodeId: 'n1', createdAtMs: 1_700_000_000_000 },
      done,
    ),
  );
}

export async function bytesOf(store: SnapshotStore, file: SnapshotFile): Promise<Buffer> {
  return valueOf((done: Done<Buffer>) => store.read(file.id, 0, file.bytes, done));
}

export function sourceOf(bytes: Buffer): SnapshotSource {
  return {
    bytes: bytes.length,
    read: (offset, count, done) => defer(() => done(success(bytes.subarray(offset, offset + count)))),
  };
}

/** The bytes of a snapshot. */
export async function sample(rows: readonly StateRow[], codec: Codec): Promise<Buffer> {
  const store = await storeInMemory();
  return bytesOf(store, await madeOf(await stateOf(rows), store, codec));
}
