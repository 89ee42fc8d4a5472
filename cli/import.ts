/** `kv import`: JSON lines or CSV into the store, a bounded number of writes at a time. */

import { createReadStream } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import { SessionExpiredError } from 'quorumkv-client';
import { EXIT, type Context } from './context.js';
import type { Entry } from './entry-line.js';
import { EntryError, formatOf, readEntries, type FileFormat } from './file-format.js';
import { jsonLine, printable, write } from './output.js';
import { readingProgress, type Progress } from './progress.js';

/** How long one entry is tried by default: longer than any failover. */
export const IMPORT_TIMEOUT_MS = 60_000;

export const CONCURRENCY_DEFAULT = 16;
export const CONCURRENCY_MAX = 128;

/** Sessions that one entry is tried under, at most: that one expires under a write is rare already. */
const SESSIONS_MAX = 3;

interface Tally {
  entries: number;
  bytes: number;
}

export interface ImportFlags {
  readonly concurrency: number;
  readonly format?: FileFormat;
}

export async function importFile(context: Context, file: string, flags: ImportFlags): Promise<number> {
  const started = performance.now();
  const tally: Tally = { entries: 0, bytes: 0 };
  const progress = await readingProgress(file);
  try {
    await load(context, file, flags, tally, progress);
  } catch (error) {
    progress.stop();
    const advice = 'correct the cause and run it again: an import can be repeated';
    process.stderr.write(`kv: stopped after ${tally.entries} entries; ${advice}\n`);
    throw error;
  }
  progress.stop();
  await summarize(context, tally, performance.now() - started);
  return EXIT.done;
}

/** Entries of one key are written in the order of the file: the reading waits for the one before. */
async function load(
  context: Context,
  file: string,
  { concurrency, format }: ImportFlags,
  tally: Tally,
  progress: Progress,
): Promise<void> {
  const name = file === '-' ? 'standard input' : printable(file);
  const halt = new AbortController();
  const signal = AbortSignal.any([halt.signal, context.signal]);
  /** By key: so no two writes of one key are ever under way. Invariant: no more than `concurrency`. */
  const pending = new Map<string, Promise<void>>();
  const failures: unknown[] = [];
  let bytesRead = 0;

  const start = (entry: Entry, line: number) => {
    const writing = setUnderAnySession(context, entry, signal)
      .then(() => {
        tally.entries += 1;
        tally.bytes += Buffer.byteLength(entry.key) + Buffer.byteLength(entry.value);
        progress.update(bytesRead, tally.entries);
      })
      .catch((error: unknown) => {
        failures.push(located(name, line, error));
        // The first one tells the cause; the others would only try on for as long.
        halt.abort();
      })
      .finally(() => pending.delete(entry.key));
    pending.set(entry.key, writing);
  };

  async function* counted(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of open(file, signal)) {
      bytesRead += chunk.length;
      yield chunk;
    }
  }

  try {
    for await (const { entry, line } of readEntries(formatOf(file, format), counted())) {
      await pending.get(entry.key);
      while (pending.size >= concurrency) await Promise.race(pending.values());
      if (signal.aborted) break;
      start(entry, line);
    }
  } catch (error) {
    // A failed write aborts the reading as well; then the write is what went wrong.
    if (!signal.aborted)
      failures.push(error instanceof EntryError ? located(name, error.line, error) : error);
  }
  await Promise.all(pending.values());
  context.signal.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}

/**
 * Sets again when the session has expired, even where the first one may have been applied: under an expired session
 * none can be any more, and nobody else writes these keys while they are imported.
 */
async function setUnderAnySession(
  context: Context,
  { key, value, ttlMs }: Entry,
  signal: AbortSignal,
): Promise<void> {
  for (let sessions = 1; ; sessions += 1) {
    try {
      await context.client.set(key, value, { ttlMs, signal });
      return;
    } catch (error) {
      const expired = error instanceof SessionExpiredError && error.code === 'session-expired';
      if (!expired || sessions === SESSIONS_MAX) throw error;
    }
  }
}

function located(name: string, line: number, error: unknown): Error {
  return new Error(`${name}:${line}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}

function open(file: string, signal: AbortSignal): AsyncIterable<Buffer> {
  return addAbortSignal(signal, file === '-' ? process.stdin : createReadStream(file));
}

async function summarize({ format }: Context, { entries, bytes }: Tally, elapsedMs: number): Promise<void> {
  const perSecond = Math.round((entries * 1000) / Math.max(elapsedMs, 1));
  const line =
    format === 'json'
      ? jsonLine({ imported: entries, bytes, elapsedMs: Math.round(elapsedMs), perSecond })
      : `imported ${entries} entries (${bytes} bytes) in ${(elapsedMs / 1000).toFixed(1)} s, ${perSecond} a second\n`;
  await write(process.stdout, line);
}
