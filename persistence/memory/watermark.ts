/** The watermark in memory, with the contract of the one on disk. Nothing happens by itself, as in `log-store.ts`. */

import type { Mark, RecoveredMark, Watermark } from '../watermark.js';
import { FIRST_MARK } from '../watermark.js';
import { inFlightGate } from './gate.js';

/** What survives a restart. Only the watermark that is open on it may change it. */
export interface MemoryWatermarkDisk {
  mark: Mark | undefined;
}

export function memoryWatermarkDisk(): MemoryWatermarkDisk {
  return { mark: undefined };
}

export interface MemoryWatermarkOptions {
  readonly disk: MemoryWatermarkDisk;
  /** Runs a task later, never within the call, and the tasks in the order they came. A promise is on the "disk" once its task has run. */
  readonly defer: (task: () => void) => void;
  /** The same for what `advance` was told: at most `MARK_LAG_MS_MAX` later. Only one such task waits at a time. */
  readonly lag: (task: () => void) => void;
}

export function openMemoryWatermark(options: MemoryWatermarkOptions): {
  watermark: Watermark;
  recovered: RecoveredMark;
} {
  const { disk } = options;
  const recovered: RecoveredMark =
    disk.mark === undefined ? { kind: 'none' } : { kind: 'found', mark: disk.mark };
  const gate = inFlightGate('watermark', options.defer);
  let mark = disk.mark ?? FIRST_MARK;
  disk.mark = mark;
  let lagging = false;
  let closed = false;

  const watermark: Watermark = {
    promise(promised, done) {
      gate.run(() => {
        disk.mark = mark;
        done();
      });
      mark = promised;
    },
    advance(last) {
      if (closed) throw new Error('the watermark store is closed');
      mark = { ...mark, last };
      if (lagging) return;
      lagging = true;
      options.lag(() => {
        if (!lagging || closed) return;
        lagging = false;
        disk.mark = mark;
      });
    },
    async close() {
      if (closed) return gate.close();
      closed = true;
      await gate.close();
      if (lagging) disk.mark = mark;
    },
  };
  return { watermark, recovered };
}
