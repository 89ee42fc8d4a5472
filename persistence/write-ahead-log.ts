/**
 * Looks for damage in the middle of an engine's write-ahead log before the engine reads it. Both engines skip what doesn't check and go on behind it, so
 * that an earlier write is missing under a later one; a flipped bit in a state was seen to come out as stale values with a newer applied index.
 *
 * LevelDB's format, which RocksDB has kept: blocks of 32 KiB, in them fragments `[masked crc32c: 4][length: 2][type: 1][payload]`,
 * little-endian, the checksum over type and payload. Types: a whole record, its first, a middle, its last fragment.
 */

import { open, readFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { StorageError } from './errors.js';
import { syncDirectory } from './files.js';

const BLOCK_BYTES = 32_768;
/** Checked in one turn of the event loop, a millisecond's worth: a restore opens a database in a running node. */
const TURN_BYTES = 8 * BLOCK_BYTES;
const HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const TYPE_MAX = 4;

/** A write-ahead log that does not check at `offset`, and has a whole record begin somewhere behind that. */
export interface Gap {
  readonly file: string;
  readonly offset: number;
}

/**
 * Where the first gap is; undefined when there is none. What does not check at the very end is the write that a crash tore, which the
 * engines drop.
 */
export async function findGap(directory: string): Promise<Gap | undefined> {
  let torn: Gap | undefined;
  for (const file of await logFiles(directory)) {
    const bytes = await readFile(path.join(directory, file));
    // A later file was begun after the earlier one was complete.
    if (torn !== undefined && hasRecord(bytes, 0)) return torn;
    const offset = await firstFault(bytes);
    if (offset === undefined) continue;
    torn ??= { file, offset };
    if (hasRecordBehind(bytes, offset)) return torn;
  }
  return undefined;
}

/** @throws StorageError `damaged` */
export async function refuseGap(directory: string): Promise<void> {
  const gap = await findGap(directory);
  if (gap === undefined) return;
  throw new StorageError(
    'damaged',
    `${directory} is damaged: ${gap.file} does not check at byte ${gap.offset}, but goes on behind it`,
  );
}

/**
 * Ends the log where it first does not check, so that what is left is what there was at one moment. No other process may have
 * the directory open.
 */
export async function cutGap(directory: string): Promise<void> {
  const gap = await findGap(directory);
  if (gap === undefined) return;
  const files = await logFiles(directory);
  // The newest first: a crash meanwhile leaves the gap to be found again.
  for (const file of files.slice(files.indexOf(gap.file) + 1).reverse()) await rm(path.join(directory, file));
  const handle = await open(path.join(directory, gap.file), 'r+');
  try {
    await handle.truncate(gap.offset);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncDirectory(directory);
}

/** Oldest first. */
async function logFiles(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names.filter((name) => /^\d+\.log$/.test(name)).sort((a, b) => parseInt(a, 10) - parseInt(b, 10));
}

/** The offset of the first fragment that does not check. */
async function firstFault(bytes: Buffer): Promise<number | undefined> {
  let at = 0;
  let turnEnd = TURN_BYTES;
  while (at < bytes.length) {
    if (at >= turnEnd) {
      await setImmediate();
      turnEnd = at + TURN_BYTES;
    }
    const blockEnd = Math.min(bytes.length, at - (at % BLOCK_BYTES) + BLOCK_BYTES);
    if (BLOCK_BYTES - (at % BLOCK_BYTES) < HEADER_BYTES) {
      // Too small for a header, and filled with zeros.
      if (bytes.subarray(at, blockEnd).some((byte) => byte !== 0)) return at;
      at = blockEnd;
      continue;
    }
    const end = fragmentEnd(bytes, at, blockEnd);
    if (end === undefined) return at;
    at = end;
  }
  return undefined;
}

/** Where the fragment at `at` ends; undefined when it does not check. */
function fragmentEnd(bytes: Buffer, at: number, blockEnd: number): number | undefined {
  if (at + HEADER_BYTES > blockEnd) return undefined;
  const type = bytes.readUInt8(at + 6);
  const end = at + HEADER_BYTES + bytes.readUInt16LE(at + 4);
  if (type < FULL || type > TYPE_MAX || end > blockEnd) return undefined;
  const checksum = mask(crc32c(bytes, at + 6, end));
  return checksum === bytes.readUInt32LE(at) ? end : undefined;
}

/**
 * Whether a record begins behind the fault at `fault`: where the faulty fragment says that it ends, or in a later block. It is not looked for at every byte, which
 * a client's value might be made to look like.
 */
function hasRecordBehind(bytes: Buffer, fault: number): boolean {
  const block = fault - (fault % BLOCK_BYTES);
  if (fault + HEADER_BYTES <= bytes.length) {
    const end = fault + HEADER_BYTES + bytes.readUInt16LE(fault + 4);
    if (beginsIn(bytes, end, block + BLOCK_BYTES)) return true;
  }
  return hasRecord(bytes, block + BLOCK_BYTES);
}

/** Whether a record begins in the blocks from `from` on. */
function hasRecord(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at += BLOCK_BYTES) {
    if (beginsIn(bytes, at, at + BLOCK_BYTES)) return true;
  }
  return false;
}

/** Whether one of the fragments from `from` on begins a record, up to the first that does not check. */
function beginsIn(bytes: Buffer, from: number, blockEnd: number): boolean {
  const end = Math.min(bytes.length, blockEnd);
  for (let at: number | undefined = from; at !== undefined && at < end; at = fragmentEnd(bytes, at, end)) {
    const type = bytes[at + 6];
    if ((type === FULL || type === FIRST) && fragmentEnd(bytes, at, end) !== undefined) return true;
  }
  return false;
}

/** A checksum that is stored is masked, so that one over data with checksums in it is none of them. */
function mask(checksum: number): number {
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
}

/** Castagnoli's polynomial, reversed. `node:zlib` has the other one only. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = (rest >>> 1) ^ ((rest & 1) * 0x82f63b78);
  return rest;
});

function crc32c(bytes: Buffer, from: number, to: number): number {
  let checksum = 0xffffffff;
  for (let at = from; at < to; at += 1) {
    checksum = (TABLE[(checksum ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (checksum >>> 8);
  }
  return (checksum ^ 0xffffffff) >>> 0;
}
