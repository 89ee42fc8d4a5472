import test from 'ava';
import { memoryStateDisk, openMemoryStateStore } from '../../persistence/memory/state-store.js';
import { openDiskStateStore } from '../../persistence/disk/state-store.js';
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
