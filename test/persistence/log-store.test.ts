import test from 'ava';
import { memoryLogDisk, openMemoryLogStore } from '../../persistence/memory/log-store.js';
import { openDiskLogStore } from '../../persistence/disk/log-store.js';
import { logCompactionContract } from '../contracts/log-compaction.js';
import type { LogContract } from '../contracts/log-store.js';
import { logStoreContract } from '../contracts/log-store.js';
import { temporaryDirectory, unexpected } from './directories.js';
import { onEachEngine } from './engines.js';

const memory: LogContract = {
  runs: 300,
  harness: () => {
    const disk = memoryLogDisk();
    const defer = (task: () => void): void => void setImmediate(task);
    return Promise.resolve({
      open: (tailBytesMax) => Promise.resolve(openMemoryLogStore({ disk, tailBytesMax, defer })),
      dispose: () => Promise.resolve(),
    });
  },
};
logStoreContract(test, 'memory', memory);
logCompactionContract(test, 'memory', memory);

onEachEngine(test, (engine) => {
  const contract: LogContract = {
    runs: 25,
    harness: async () => {
      const { path: directory, remove } = await temporaryDirectory();
      return {
        open: (tailBytesMax) => openDiskLogStore({ engine, directory, tailBytesMax, fatal: unexpected }),
        dispose: remove,
      };
    },
  };
  logStoreContract(test, engine.name, contract);
  logCompactionContract(test, engine.name, contract);
});
