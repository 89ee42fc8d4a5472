/**
 * Why a store gave up.
 *
 * - `write`: the disk failed while writing (exit code 3).
 * - `damaged`: what came back is not what was written, or did not come back at all.
 * - `unusable`: the directory is locked, out of reach, or of another node, cluster, engine or format (exit code 2).
 */
export type StorageFault = 'write' | 'damaged' | 'unusable';

/** What of the data directory an error is about. What is damaged, and how far, decides how it can be repaired. */
export type StoragePart = 'identity' | 'log' | 'watermark' | 'state';

/** The one error of this room. Its message is one line that names the file or record and, where there is one, the remedy. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly fault: StorageFault;
  /** Known of what `openStorage` opened. */
  readonly part: StoragePart | undefined;
  constructor(fault: StorageFault, message: string, cause?: unknown, part?: StoragePart) {
    super(message, { cause });
    this.fault = fault;
    this.part = part;
  }

  /** The same, about `part`. */
  of(part: StoragePart): StorageError {
    return new StorageError(this.fault, this.message, this.cause, part);
  }
}

/** Called at most once by a store, when it cannot go on. No callback of the store is called after it. */
export type Fatal = (error: StorageError) => void;

/** The storage engine that is asked for doesn't load on this machine. One line with the remedy; nothing was touched. */
export class EngineUnavailableError extends Error {
  override readonly name = 'EngineUnavailableError';
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
  }
}
