/**
 * Why a store gave up. `write`: the disk failed while writing (exit code 3). `damaged`: what came back is not what
 * was written. `unusable`: the directory is locked, of another node, cluster, engine or format (exit code 2).
 */
export type StorageFault = 'write' | 'damaged' | 'unusable';

export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly fault: StorageFault;
  constructor(fault: StorageFault, message: string, cause?: unknown) {
    super(message, { cause });
    this.fault = fault;
  }
}

/** Called at most once by a store, when it cannot go on. */
export type Fatal = (error: StorageError) => void;
