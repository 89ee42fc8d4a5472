/** Opens everything that a node keeps in its data directory, in the order in which each part vouches for the next. */

import path from 'node:path';
import { isKeyRow } from '../kv/rows.js';
import type { Assessment } from './assess.js';
import { assess, laterPromise } from './assess.js';
import type { EngineName } from './engine.js';
import type { Fatal, StoragePart } from './errors.js';
import { StorageError } from './errors.js';
import type { Identity } from './identity.js';
import { openIdentity } from './identity.js';
import type { EngineProperties } from './engine-properties.js';
import { telling } from './engine-properties.js';
import { loadEngine } from './load-engine.js';
import type { LogStore, RecoveredLog } from './log-store.js';
import { markedLogStore } from './marked-log-store.js';
import { bufferedStateStore } from './buffered-state-store.js';
import { openDiskLogStore } from './disk/log-store.js';
import { openDiskStateStore } from './disk/state-store.js';
import { openSoundState } from './sound-state.js';
import { markState } from './state-mark.js';
import type { StateStore } from './state-store.js';
import { openWatermarkFile } from './watermark-file.js';

export interface StorageOptions {
  /** Made when it is missing. */
  readonly dataDir: string;
  readonly engine: EngineName;
  readonly nodeId: string;
  readonly clusterName: string;
  /** How much of the newest entries `log.recovered.tail` may hold, counted by `entryBytes`. */
  readonly tailBytesMax: number;
  /** Of rows of the state that were read or written lately, kept in memory. */
  readonly cacheBytes: number;
  /** Called once for each part that fails after it was opened. */
  readonly fatal: Fatal;
}

export interface Storage {
  readonly identity: Identity;
  /** Its hard state is the later of what log and watermark know. */
  readonly log: { readonly store: LogStore; readonly recovered: RecoveredLog };
  readonly state: StateStore;
  /** Why the state begins empty, when it was damaged; undefined otherwise. */
  readonly stateRemoved: string | undefined;
  /** Whether the log is all that its node has promised. */
  readonly assessment: Assessment;
  /** What the engine says now of each database that is open, by the name of its part. */
  readonly properties: () => readonly EngineProperties[];
}

/** Long enough that rows which change all the time are written once for many changes; a crash makes so much be applied again. */
const BUFFER = Object.freeze({
  pendingBytesMax: 2 * 1024 * 1024,
  delayMs: 50,
  flushBytes: 256 * 1024,
  isAskedFor: isKeyRow,
});

/**
 * @throws EngineUnavailableError before anything is touched; StorageError, `part` of which says what it is about. What was opened
 *   until then is closed again.
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { dataDir, nodeId, clusterName } = options;
  // Before the directory gets an identity, which records the engine.
  const { engine, properties } = telling(await loadEngine(options.engine), dataDir);
  const identity = await inPart(
    'identity',
    openIdentity(dataDir, { nodeId, clusterName, engine: engine.name }),
  );
  const fatal = (part: StoragePart): Fatal => {
    return (error) => options.fatal(error.of(part));
  };
  let reportFailure = (): void => undefined;
  let hasFailed = false;
  const failed = new Promise<void>((resolve) => (reportFailure = resolve));
  const fatalState: Fatal = (error) => {
    hasFailed = true;
    reportFailure();
    if (error.fault === 'damaged') markState(dataDir, { kind: 'damaged', what: error.message });
    fatal('state')(error);
  };
  const log = await inPart(
    'log',
    openDiskLogStore({
      engine,
      directory: path.join(dataDir, 'log'),
      tailBytesMax: options.tailBytesMax,
      fatal: fatal('log'),
    }),
  );
  try {
    // The lock of the log keeps other processes off the watermark, too.
    const { watermark, recovered: mark } = await inPart(
      'watermark',
      openWatermarkFile({ directory: dataDir, owner: identity.incarnation, fatal: fatal('watermark') }),
    );
    const assessment = assess(log.recovered, mark);
    const hardState = laterPromise(log.recovered, mark);
    const store = markedLogStore(log.store, log.recovered, hardState, watermark, mark);
    try {
      const opening = openSoundState(dataDir, (directory) =>
        openDiskStateStore({ engine, directory, fatal: fatalState }),
      );
      const { state, removed } = await inPart('state', opening);
      return {
        identity,
        log: { store, recovered: { ...log.recovered, hardState } },
        state: bufferedStateStore(state, {
          ...BUFFER,
          cacheBytes: options.cacheBytes,
          failed,
          hasFailed: () => hasFailed,
        }),
        stateRemoved: removed,
        assessment,
        properties,
      };
    } catch (error) {
      await watermark.close();
      throw error;
    }
  } catch (error) {
    await log.store.close();
    throw error;
  }
}

async function inPart<T>(part: StoragePart, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    throw error instanceof StorageError ? error.of(part) : error;
  }
}
