/** Snapshots that somebody asks for: taken now, and streamed as a backup. */

import { Readable } from 'node:stream';
import type { Index } from '../raft/entry.js';
import type { RaftState } from '../raft/state.js';
import type { SnapshotFile } from '../snapshot/identity.js';
import type { Outcome } from '../snapshot/outcome.js';
import type { SnapshotStore } from '../snapshot/store.js';
import { ServiceError } from './service.js';
import type { BackupStream, SnapshotTaken } from './service.js';
import type { Snapshots } from './snapshots.js';
import { refuseGap } from './state-gap.js';
import { infoOf } from './status.js';

export interface SnapshotsOnDemandParts {
  readonly taking: Pick<Snapshots, 'take' | 'list'>;
  readonly store: Pick<SnapshotStore, 'pin' | 'read'>;
}

/** Read at a time. */
const READ_BYTES = 256 * 1024;
/** Backups that are under way at a time; each keeps its file from being removed. */
export const BACKUPS_MAX = 4;

export class SnapshotsOnDemand {
  readonly #parts: SnapshotsOnDemandParts;
  readonly #state: Pick<RaftState, 'log' | 'installing'>;
  #backups = 0;

  constructor(parts: SnapshotsOnDemandParts, state: Pick<RaftState, 'log' | 'installing'>) {
    this.#parts = parts;
    this.#state = state;
  }

  async take(): Promise<SnapshotTaken> {
    return infoOf(await this.#take());
  }

  /** Of a snapshot that holds `atLeast`. */
  async backup(atLeast: Index): Promise<BackupStream> {
    if (this.#backups >= BACKUPS_MAX) {
      throw new ServiceError('overloaded', `${BACKUPS_MAX} backups are under way`, { retryAfterSeconds: 5 });
    }
    this.#backups += 1;
    try {
      const file = await this.#covering(atLeast);
      // In the turn in which it was found: nothing has removed it yet.
      const unpin = this.#parts.store.pin(file.id);
      if (unpin === undefined) throw new Error(`the snapshot ${file.id} is gone`);
      const data = Readable.from(this.#read(file), { objectMode: false, highWaterMark: READ_BYTES });
      data.once('close', () => {
        this.#backups -= 1;
        unpin();
      });
      return { ...infoOf(file), data };
    } catch (error) {
      this.#backups -= 1;
      throw error;
    }
  }

  async #covering(atLeast: Index): Promise<SnapshotFile> {
    const newest = this.#parts.taking.list().at(-1);
    if (newest !== undefined && newest.position.index >= atLeast) return newest;
    // One that was being made already may have begun too early.
    const first = await this.#take();
    return first.position.index >= atLeast ? first : this.#take();
  }

  #take(): Promise<SnapshotFile> {
    refuseGap(this.#state);
    return new Promise((resolve, reject) =>
      this.#parts.taking.take((outcome) => {
        if (outcome.ok) resolve(outcome.value);
        else reject(failed(outcome));
      }),
    );
  }

  async *#read({ id, bytes }: SnapshotFile): AsyncGenerator<Buffer, void> {
    for (let at = 0; at < bytes;) {
      const read = await new Promise<Outcome<Buffer>>((resolve) =>
        this.#parts.store.read(id, at, Math.min(READ_BYTES, bytes - at), resolve),
      );
      if (!read.ok) throw read.error;
      if (read.value.length === 0) throw new Error(`the snapshot ${id} ends at ${at} of ${bytes} bytes`);
      at += read.value.length;
      yield read.value;
    }
  }
}

function failed({ error }: Outcome<SnapshotFile> & { readonly ok: false }): ServiceError {
  const code = error.fault === 'cancelled' ? 'shutting-down' : 'internal';
  return new ServiceError(code, `no snapshot could be made: ${error.message}`, { cause: error });
}
