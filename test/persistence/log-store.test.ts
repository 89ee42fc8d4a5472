import test from 'ava';
import { memoryLogDisk, openMemoryLogStore } from '../../persistence/memory/log-store.js';
import { openRocksLogStore } from '../../persistence/rocksdb/log-store.js';
import { logStoreContract } from '../contracts/log-store.js';
import { temporaryDirectory, unexpected } from './directories.js';
import { onEachEngine } from './engines.js';

logStoreContract(test, 'memory', {
  runs: 300,
  harness: () => {
    const disk = memoryLogDisk();
    const defer = (task: () => void): void => void setImmediate(task);
    return Promise.resolve({
      open: (tailBytesMax) => Promise.resolve(openMemoryLogStore({ disk, tailBytesMax, defer })),
      dispose: () => Promise.resolve(),
    });
  },
});

onEachEngine(test, (engine) => {
  logStoreContract(test, engine.name, {
    runs: 25,
    harness: async () => {
      const { path: directory, remove } = await temporaryDirectory();
      return {
        open: (tailBytesMax) => openRocksLogStore({ engine, directory, tailBytesMax, fatal: unexpected }),
        dispose: remove,
      };
    },
  });
});
