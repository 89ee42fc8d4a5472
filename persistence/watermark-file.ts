/**
 * The watermark on disk: two files of one record each, `watermark.0` and `watermark.1`, written in turn, in place. A write that is torn by
 * a crash, or a bit that flips, spoils one of them; the other has the mark before it. A promise is written to both before it
 * counts, so no single fault takes it away.
 */

import type { FileHandle } from 'node:fs/promises';
import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import type { Position } from '../raft/entry.js';
import type { Fatal } from './errors.js';
import { StorageError } from './errors.js';
import { errorCode, makeDirectory, syncDirectory, writeSynced } from './files.js';
import { decodeMark, encodeMark } from './records.js';
import type { Mark, RecoveredMark, Watermark } from './watermark.js';
import { FIRST_MARK, MARK_LAG_MS_MAX } from './watermark.js';

const FILES = ['watermark.0', 'watermark.1'] as const;
/** Long enough for every record, and not above the sector that a disk writes as a whole. */
const FILE_BYTES = 512;
/** The rest of `MARK_LAG_MS_MAX` is for the write before, which may be on its way. */
const ADVANCE_MS = MARK_LAG_MS_MAX / 2;

export interface WatermarkFileOptions {
  /** The data directory; made when it is missing. */
  readonly directory: string;
  /** The incarnation of the node. Another one's mark is not believed. */
  readonly owner: string;
  readonly fatal: Fatal;
}

/** A mark, and how many were written before it. */
interface Slot {
  readonly mark: Mark;
  readonly sequence: number;
}

/** @throws StorageError `unusable` when the files are out of reach, `write` when the disk fails. */
export async function openWatermarkFile(
  options: WatermarkFileOptions,
): Promise<{ watermark: Watermark; recovered: RecoveredMark }> {
  const { directory, owner } = options;
  try {
    await makeDirectory(directory);
    const found = await Promise.all(FILES.map((name) => readSlot(path.join(directory, name), owner)));
    const recovered = recoveredOf(directory, found);
    const newest = newestOf(found) ?? { mark: FIRST_MARK, sequence: 0 };
    for (const [i, slot] of found.entries()) {
      // What is missing or damaged is put right at once, so that the next fault is again the only one.
      if (typeof slot === 'string' && recovered.kind !== 'lost') await replace(directory, owner, i, newest);
    }
    const files = await Promise.all(FILES.map((name) => openOrMake(path.join(directory, name))));
    return { watermark: new WatermarkFile(options, files, newest), recovered };
  } catch (error) {
    throw toStorageError(directory, error);
  }
}

/** A mark, or why there is none. */
async function readSlot(file: string, owner: string): Promise<Slot | 'missing' | 'damaged'> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'missing';
    throw error;
  }
  try {
    return decodeMark(keyOf(owner), bytes);
  } catch (error) {
    if (error instanceof StorageError) return 'damaged';
    throw error;
  }
}

function newestOf(slots: ReadonlyArray<Slot | string>): Slot | undefined {
  let newest: Slot | undefined;
  for (const slot of slots) {
    if (typeof slot !== 'string' && slot.sequence >= (newest?.sequence ?? 0)) newest = slot;
  }
  return newest;
}

function recoveredOf(directory: string, slots: readonly (Slot | string)[]): RecoveredMark {
  const newest = newestOf(slots);
  if (newest !== undefined) return { kind: 'found', mark: newest.mark };
  if (slots.every((slot) => slot === 'missing')) return { kind: 'none' };
  const files = FILES.map((name) => path.join(directory, name)).join(' and ');
  return { kind: 'lost', why: `${files} are damaged or missing` };
}

/** The file is there as a whole or not at all: one that is damaged was once whole. */
async function replace(directory: string, owner: string, i: number, { mark, sequence }: Slot): Promise<void> {
  const file = path.join(directory, FILES[i] ?? FILES[0]);
  const aside = `${file}.tmp`;
  await writeSynced(aside, padded(encodeMark(keyOf(owner), mark, sequence)));
  await rename(aside, file);
  await syncDirectory(directory);
}

async function openOrMake(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r+');
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    return open(file, 'w+');
  }
}

function keyOf(owner: string): Buffer {
  return Buffer.from(`watermark of ${owner}`, 'utf8');
}

function padded(record: Buffer): Buffer {
  if (record.length > FILE_BYTES) throw new Error(`a mark of ${record.length} bytes is too long`);
  return Buffer.concat([record, Buffer.alloc(FILE_BYTES - record.length)]);
}

function toStorageError(what: string, error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const code = errorCode(error) ?? String(error);
  if (code === 'EACCES' || code === 'EPERM' || code === 'ENOTDIR' || code === 'EISDIR') {
    const remedy = 'raft.dataDir must name a directory that this process may read and write';
    return new StorageError('unusable', `the watermark in ${what} cannot be used: ${code}; ${remedy}`, error);
  }
  return new StorageError('write', `the watermark in ${what} cannot be written: ${code}`, error);
}

class WatermarkFile implements Watermark {
  readonly #options: WatermarkFileOptions;
  readonly #key: Buffer;
  readonly #files: readonly FileHandle[];
  /** What is to be on disk; `#sequence` is that of the last write that was begun. */
  #mark: Mark;
  #sequence: number;
  #timer: NodeJS.Timeout | undefined;
  /** Writes, one after the other. Invariant: it never rejects. */
  #queue: Promise<void> = Promise.resolve();
  #failed = false;
  #closing: Promise<void> | undefined;

  constructor(options: WatermarkFileOptions, files: readonly FileHandle[], { mark, sequence }: Slot) {
    this.#options = options;
    this.#key = keyOf(options.owner);
    this.#files = files;
    this.#mark = mark;
    this.#sequence = sequence;
  }

  promise(mark: Mark, done: () => void): void {
    this.#checkOpen();
    this.#mark = mark;
    this.#enqueue(async () => {
      await this.#write();
      await this.#write();
    }, done);
  }

  advance(last: Position): void {
    this.#checkOpen();
    this.#mark = { ...this.#mark, last };
    // The timer goes off once what it wrote is done, so no more than one write waits.
    this.#timer ??= setTimeout(() => {
      this.#enqueue(() => {
        this.#timer = undefined;
        return this.#write();
      });
    }, ADVANCE_MS).unref();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#enqueue(() => this.#write());
    }
    await this.#queue;
    await Promise.all(this.#files.map((file) => file.close()));
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new Error(`the watermark in ${this.#options.directory} is closed`);
  }

  #enqueue(write: () => Promise<void>, done?: () => void): void {
    this.#queue = this.#queue.then(async () => {
      if (this.#failed) return;
      try {
        await write();
      } catch (error) {
        this.#failed = true;
        this.#options.fatal(toStorageError(this.#options.directory, error));
        return;
      }
      // What it throws is not the queue's affair.
      if (done !== undefined) process.nextTick(done);
    });
  }

  /** The newest mark, over the older of the two on disk. */
  async #write(): Promise<void> {
    this.#sequence += 1;
    const record = padded(encodeMark(this.#key, this.#mark, this.#sequence));
    const file = this.#files[this.#sequence % FILES.length];
    await file?.write(record, 0, record.length, 0);
    await file?.datasync();
  }
}
