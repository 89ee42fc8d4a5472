import test from 'ava';
import { memoryStateDisk, openMemoryStateStore } from '../../persistence/memory/state-store.js';
import { openRocksStateStore } from '../../persistence/rocksdb/state-store.js';
import { stateRestoreContract } from '../contracts/state-restore.js';
import type { StateContract } from '../contracts/state-store.js';
import { stateStoreContract } from '../contracts/state-store.js';
import { temporaryDirectory, unexpected } from './directories.js';

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

const rocksdb: StateContract = {
  runs: 25,
  harness: async () => {
    const { path: directory, remove } = await temporaryDirectory();
    return {
      open: () => openRocksStateStore({ directory, fatal: unexpected }),
      dispose: remove,
    };
  },
};
stateStoreContract(test, 'rocksdb', rocksdb);
stateRestoreContract(test, 'rocksdb', rocksdb);
