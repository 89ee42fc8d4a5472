/**
 * Checksums over the table files of a database, kept in a file beside them. A table file never changes once it is written. The engines' own checksums are not
 * enough: LevelDB looks at none when it reads, and was seen to end the process on a damaged block; an iterator of RocksDB looks at none, and a
 * row whose key is damaged is missing from it without a word. A row that isn't there has no checksum of its own to tell.
 *
 * Files are read as a whole before the engine opens them, up to `OPEN_BYTES_MAX`, and the rest of them afterwards.
 *
 * The manifest, the engine's list of these files, only grows, so the sum of its beginning stays what it was. An engine takes a manifest without its end for
 * one that a crash tore: it forgets the newest table files, whose write-ahead log is gone, and goes on with later writes on top of earlier ones.
 */

import { createReadStream } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { StorageError } from './errors.js';
import { errorCode, replaceFile } from './files.js';

const FILE = 'tables.sums';
/** A start takes a second for so much; what is above is looked at while the node runs. */
const OPEN_BYTES_MAX = 1024 ** 3;
const CHUNK_BYTES = 1024 ** 2;
/** A file that is written while the node runs is without a sum for so long at most. */
const FOLLOW_MS = 30_000;

interface Sum {
  readonly bytes: number;
  readonly crc: number;
}

/** How a file looked. Once it looks different, it is another one under the same number. */
interface Look {
  readonly bytes: number;
  readonly mtimeMs: number;
}

interface Seen extends Look {
  readonly crc: number;
}

const sumsSchema = z.object({
  crc: z.number(),
  tables: z.record(z.string(), z.object({ bytes: z.int(), crc: z.int() })),
});

export interface TableSums {
  /** To be called once the engine has opened the database: sums what has none yet, now and at intervals. */
  start(failed: (error: unknown) => void): void;
  /** Waits for what is under way; nothing is summed any more. */
  stop(): Promise<void>;
  /** To be called after `stop`, once the engine has closed the database: sums what is new. */
  finish(): Promise<void>;
}

/**
 * Compares the table files with their sums.
 *
 * @throws StorageError `damaged` names the first that differs; a missing one is found by the engine.
 */
export async function checkTables(directory: string, openBytesMax = OPEN_BYTES_MAX): Promise<TableSums> {
  const known = await readSums(path.join(directory, FILE));
  const books: Books = { seen: new Map(), due: new Map(), looks: new Map() };
  let bytes = 0;
  for (const [name, sum] of known) if (isManifest(name)) await checkBeginning(directory, name, sum);
  for (const name of await tableFiles(directory)) {
    const look = await lookAt(path.join(directory, name));
    const sum = known.get(name);
    if (look === undefined) continue;
    books.looks.set(name, look);
    if (sum === undefined) continue;
    bytes += sum.bytes;
    if (bytes <= openBytesMax) await sumUp(directory, name, books, sum);
    else books.due.set(name, sum);
  }
  return tableSums(directory, books);
}

interface Books {
  readonly seen: Map<string, Seen>;
  /** Sums that were not compared yet. */
  readonly due: Map<string, Sum>;
  /** At the last look. A file that looks the same at the next one is complete: the engines write each in one go. */
  readonly looks: Map<string, Look>;
}

function tableSums(directory: string, books: Books): TableSums {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let closed = false;
  let manifests: ReadonlyMap<string, Sum> = new Map();

  const follow = async (): Promise<void> => {
    const names = await tableFiles(directory);
    let changed = forget(books, names);
    for (const name of names) {
      const look = await lookAt(path.join(directory, name));
      if (look === undefined || isSame(books.seen.get(name), look)) continue;
      const settled = isSame(books.looks.get(name), look);
      books.looks.set(name, look);
      // With another file under its number, a sum that is due is void.
      if (!settled) books.due.delete(name);
      if (!settled && !closed) continue;
      await sumUp(directory, name, books, books.due.get(name));
      books.due.delete(name);
      changed = true;
    }
    const grown = await sumManifests(directory, manifests);
    if (changed || grown !== manifests)
      await writeSums(path.join(directory, FILE), new Map([...books.seen, ...books.due, ...grown]));
    manifests = grown;
  };
  return {
    start(failed) {
      const followOnce = (): void => void (running = running.then(follow).catch(failed));
      followOnce();
      timer = setInterval(followOnce, FOLLOW_MS).unref();
    },
    async stop() {
      clearInterval(timer);
      await running;
    },
    finish() {
      closed = true;
      return follow();
    },
  };
}

const isManifest = (name: string): boolean => /^MANIFEST-\d+$/.test(name);

/** Those that there are now; `before` itself where nothing has changed. */
async function sumManifests(
  directory: string,
  before: ReadonlyMap<string, Sum>,
): Promise<ReadonlyMap<string, Sum>> {
  const now = new Map<string, Sum>();
  for (const name of (await readdir(directory)).filter(isManifest)) {
    const look = await lookAt(path.join(directory, name));
    const known = before.get(name);
    const found = known?.bytes === look?.bytes ? known : await read(path.join(directory, name));
    if (found !== undefined && found.bytes > 0) now.set(name, { bytes: found.bytes, crc: found.crc });
  }
  const isSame =
    now.size === before.size && [...now].every(([name, { crc }]) => before.get(name)?.crc === crc);
  return isSame ? before : now;
}

/** @throws StorageError. One that is gone is not the engine's any more, or will be missed by it. */
async function checkBeginning(directory: string, name: string, sum: Sum): Promise<void> {
  const found = await read(path.join(directory, name), sum.bytes);
  if (found !== undefined && (found.bytes !== sum.bytes || found.crc !== sum.crc))
    throw new StorageError('damaged', `${directory} is damaged: ${name} is not what was written`);
}

/** What the engine has merged and deleted. */
function forget({ seen, due, looks }: Books, names: readonly string[]): boolean {
  const gone = [...looks.keys()].filter((name) => !names.includes(name));
  for (const name of gone) {
    for (const map of [seen, due, looks]) map.delete(name);
  }
  return gone.length > 0;
}

function isSame(before: Look | undefined, now: Look): boolean {
  return before?.bytes === now.bytes && before.mtimeMs === now.mtimeMs;
}

/** @throws StorageError when there is a sum, and it is of something else. */
async function sumUp(directory: string, name: string, { seen }: Books, sum: Sum | undefined): Promise<void> {
  const found = await read(path.join(directory, name));
  if (found === undefined) return;
  if (sum !== undefined && (found.bytes !== sum.bytes || found.crc !== sum.crc)) {
    throw new StorageError('damaged', `${directory} is damaged: ${name} is not what was written`);
  }
  seen.set(name, found);
}

async function tableFiles(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => /^\d+\.(sst|ldb)$/.test(name)).sort();
}

/** Undefined when the file is gone: the engine deletes what it has merged. */
async function read(file: string, bytesMax = Infinity): Promise<Seen | undefined> {
  const before = await lookAt(file);
  if (before === undefined) return undefined;
  let crc = 0;
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES, end: bytesMax - 1 })) {
      crc = crc32(chunk as Buffer, crc);
      bytes += (chunk as Buffer).length;
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  return { bytes, crc, mtimeMs: before.mtimeMs };
}

async function lookAt(file: string): Promise<Look | undefined> {
  try {
    const { size, mtimeMs } = await stat(file);
    return { bytes: size, mtimeMs };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Sums that are missing, or damaged themselves, vouch for nothing: then every file is as good as new. */
async function readSums(file: string): Promise<ReadonlyMap<string, Sum>> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return new Map();
    throw error;
  }
  const sums = sumsSchema.safeParse(json);
  if (!sums.success || crc32(JSON.stringify(sums.data.tables)) !== sums.data.crc) return new Map();
  return new Map(Object.entries(sums.data.tables));
}

function writeSums(file: string, sums: ReadonlyMap<string, Sum>): Promise<void> {
  const tables = Object.fromEntries([...sums].map(([name, { bytes, crc }]) => [name, { bytes, crc }]));
  return replaceFile(file, `${JSON.stringify({ crc: crc32(JSON.stringify(tables)), tables })}\n`);
}
