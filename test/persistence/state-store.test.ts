import test from 'ava';
import { memoryStateDisk, openMemoryStateStore } from '../../persistence/memory/state-store.js';
import { openDiskStateStore } from '../../persistence/disk/state-store.js';
import { bufferedStateStore } from '../../persistence/buffered-state-store.js';
import { stateRestoreContract } from '../contracts/state-restore.js';
import type { StateContract } from '../contracts/state-store.js';
import { stateStoreContract } from '../contracts/state-store.js';
import { temporaryDirectory, unexpected } from './directories.js';
import { onEachEngine } from './engines.js';

const memory: StateContract = {
  runs: 300,
  harness: () => {
    const disk = memoryStateDisk();
    const defer = (task: () => void): void => void setImmediate(task);
    return Promise.resolve({
      open: () => Promise.resolve(openMemoryStateStore({ disk, defer })),
      dispose: () => Promise.resolve(),
    });
  },
};
stateStoreContract(test, 'memory', memory);
stateRestoreContract(test, 'memory', memory);

/** So little room that every path is taken: writes that wait, rows that are forgotten. */
const tight = {
  pendingBytesMax: 64,
  delayMs: 1,
  flushBytes: 256,
  cacheBytes: 2000,
  isAskedFor: (id: string) => id.length % 2 === 0,
  failed: new Promise<void>(() => undefined),
  hasFailed: () => false,
};
const roomy = { ...tight, pendingBytesMax: 1024 * 1024, cacheBytes: 1024 * 1024 };

for (const [name, options] of Object.entries({ tight, roomy })) {
  const buffered: StateContract = {
    runs: 150,
    harness: () => {
      const disk = memoryStateDisk();
      const defer = (task: () => void): void => void setImmediate(task);
      return Promise.resolve({
        open: () => Promise.resolve(bufferedStateStore(openMemoryStateStore({ disk, defer }), options)),
        dispose: () => Promise.resolve(),
      });
    },
  };
  stateStoreContract(test, `buffered, ${name}`, buffered);
  stateRestoreContract(test, `buffered, ${name}`, buffered);
}

onEachEngine(test, (engine) => {
  const contract: StateContract = {
    runs: 25,
    harness: async () => {
      const { path: directory, remove } = await temporaryDirectory();
      return {
        open: () => openDiskStateStore({ engine, directory, fatal: unexpected }),
        dispose: remove,
      };
    },
  };
  stateStoreContract(test, engine.name, contract);
  stateRestoreContract(test, engine.name, contract);
});
