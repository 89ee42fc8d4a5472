/** The progress of an import or export, for people who watch. */

import { stat } from 'node:fs/promises';
import { SingleBar } from 'cli-progress';

export interface Progress {
  /** So many bytes of the input were read, and so many entries written. */
  update(bytes: number, entries: number): void;
  stop(): void;
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined };

/** Of reading this file. The end of standard input is not known beforehand. */
export async function readingProgress(file: string): Promise<Progress> {
  return process.stderr.isTTY ? createProgress(file === '-' ? 0 : (await stat(file)).size) : SILENT;
}

/** A bar on the terminal, or a count where the total is not known (0); nothing when standard error is no terminal. */
export function createProgress(total: number): Progress {
  if (!process.stderr.isTTY) return SILENT;
  const format =
    total > 0 ? '{bar} {percentage}% | {entries} entries | {rate}/s' : '{entries} entries | {rate}/s';
  const bar = new SingleBar({
    format,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    fps: 5,
  });
  const started = performance.now();
  bar.start(total, 0, { entries: 0, rate: 0 });
  return {
    update(bytes, entries) {
      const rate = Math.round((entries * 1000) / Math.max(performance.now() - started, 1));
      bar.update(bytes, { entries, rate });
    },
    stop: () => bar.stop(),
  };
}

/** Of bytes alone. */
export function createByteProgress(total: number): { update(bytes: number): void; stop(): void } {
  if (!process.stderr.isTTY) return { update: () => undefined, stop: () => undefined };
  const format = '{bar} {percentage}% | {value}/{total} bytes | {eta_formatted}';
  const bar = new SingleBar({
    format,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    fps: 5,
  });
  bar.start(total, 0);
  return { update: (bytes) => bar.update(bytes), stop: () => bar.stop() };
}
