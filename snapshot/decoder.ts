/**
 * Reads what `format.ts` writes, in pieces of any size. Nothing is believed before its checksum matches, and no length allocates
 * anything before it is within its bound; whatever is wrong is a SnapshotError that says what, and at which byte.
 */

import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { StorageError } from '../persistence/errors.js';
import { decodeApplied } from '../persistence/records.js';
import type { StateRow } from '../persistence/state-store.js';
import type { SnapshotHeader, SnapshotTotals } from './format.js';
import {
  APPLIED_SEAL,
  BLOCK_BYTES_MAX,
  DIGEST_BYTES,
  FOOTER_BYTES,
  FRAME_HEADER_BYTES,
  FRAME_KINDS,
  HEADER_BYTES_MAX,
  MAGIC,
  PREFIX_BYTES,
  ROW_HEADER_BYTES,
  VERSION,
} from './format.js';
import { SnapshotError } from './outcome.js';

export type Piece =
  | { readonly kind: 'header'; readonly header: SnapshotHeader }
  | {
      readonly kind: 'block';
      /** Where its frame begins. */
      readonly offset: number;
      /** As stored: its checksum matched. */
      readonly data: Buffer;
      readonly compressed: boolean;
      readonly rawBytes: number;
    }
  /** The last one: nothing follows. */
  | { readonly kind: 'end'; readonly totals: SnapshotTotals; readonly digest: string };

export interface SnapshotDecoder {
  /** Takes the next bytes of the file. */
  push(data: Buffer): void;
  /** The next piece; undefined when more bytes are needed. @throws SnapshotError, and then it is of no more use */
  next(): Piece | undefined;
  /** How much of the file is known to be sound: up to the end of the last piece. */
  readonly soundBytes: number;
}

export function damagedAt(offset: number, how: string, cause?: unknown): SnapshotError {
  return new SnapshotError('damaged', `the snapshot is damaged at byte ${offset}: ${how}`, { offset, cause });
}

/** Bytes that have come and are not used yet: bounded by one frame and one push. */
interface Incoming {
  readonly bytes: number;
  readonly push: (data: Buffer) => void;
  /** Without taking them; undefined when there are not so many. */
  peek(bytes: number): Buffer | undefined;
  take(bytes: number): void;
}

function incoming(): Incoming {
  let parts: Buffer[] = [];
  let total = 0;
  const joined = (): Buffer => {
    const [first] = parts;
    const all = parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
    parts = [all];
    return all;
  };
  return {
    get bytes() {
      return total;
    },
    push(data) {
      parts.push(data);
      total += data.length;
    },
    peek(bytes) {
      if (bytes > total) return undefined;
      const [first] = parts;
      // A long frame comes in many pieces, which are joined once, when the last one is there.
      const whole = first !== undefined && first.length >= bytes ? first : joined();
      return whole.subarray(0, bytes);
    },
    take(bytes) {
      parts = [joined().subarray(bytes)];
      total -= bytes;
    },
  };
}

interface FrameHeader {
  readonly kind: number;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly crc: number;
}

/** The frame at the beginning of what has come, which stays there; undefined when not all of it has. */
function readFrame(
  bytes: Incoming,
  offset: number,
  first: boolean,
): { readonly header: FrameHeader; readonly payload: Buffer } | undefined {
  const head = bytes.peek(FRAME_HEADER_BYTES);
  if (head === undefined) return undefined;
  const header = decodeFrameHeader(head, offset, first);
  const whole = bytes.peek(FRAME_HEADER_BYTES + header.storedBytes);
  if (whole === undefined) return undefined;
  const payload = Buffer.from(whole.subarray(FRAME_HEADER_BYTES));
  if (crc32(payload) !== header.crc) throw damagedAt(offset, 'the checksum of a frame does not match');
  return { header, payload };
}

export function snapshotDecoder(): SnapshotDecoder {
  const bytes = incoming();
  const hash = createHash('sha256');
  let offset = 0;
  let state: 'prefix' | 'header' | 'blocks' | 'digest' | 'over' = 'prefix';
  let blocks = 0;
  let footer: SnapshotTotals | undefined;

  const take = (count: number): void => {
    hash.update(bytes.peek(count) ?? '');
    bytes.take(count);
    offset += count;
  };
  const nextFrame = (): Piece | undefined => {
    const found = readFrame(bytes, offset, state === 'header');
    if (found === undefined) return undefined;
    const { header, payload } = found;
    const at = offset;
    take(FRAME_HEADER_BYTES + payload.length);
    if (state === 'header') {
      state = 'blocks';
      return { kind: 'header', header: decodeHeader(payload, at) };
    }
    if (header.kind === FRAME_KINDS.footer) {
      footer = decodeFooter(payload, at, blocks);
      state = 'digest';
      return next();
    }
    blocks += 1;
    return blockOf(header, payload, at);
  };
  const nextDigest = (): Piece | undefined => {
    const digest = bytes.peek(DIGEST_BYTES);
    if (digest === undefined || footer === undefined) return undefined;
    const expected = hash.digest('hex');
    if (digest.toString('hex') !== expected) throw damagedAt(offset, 'the digest of the file does not match');
    bytes.take(DIGEST_BYTES);
    offset += DIGEST_BYTES;
    state = 'over';
    if (bytes.bytes > 0) throw damagedAt(offset, 'there is something behind its end');
    return { kind: 'end', totals: footer, digest: expected };
  };
  const nextPrefix = (): Piece | undefined => {
    const prefix = bytes.peek(PREFIX_BYTES);
    if (prefix === undefined) return undefined;
    checkPrefix(prefix);
    take(PREFIX_BYTES);
    state = 'header';
    return nextFrame();
  };
  const next = (): Piece | undefined => {
    switch (state) {
      case 'prefix':
        return nextPrefix();
      case 'header':
      case 'blocks':
        return nextFrame();
      case 'digest':
        return nextDigest();
      case 'over':
        return undefined;
    }
  };
  return {
    push: bytes.push,
    next,
    get soundBytes() {
      return offset;
    },
  };
}

function blockOf({ kind, rawBytes }: FrameHeader, data: Buffer, offset: number): Piece {
  return { kind: 'block', offset, data, compressed: kind === FRAME_KINDS.compressedBlock, rawBytes };
}

function checkPrefix(prefix: Buffer): void {
  if (!prefix.subarray(0, MAGIC.length).equals(MAGIC))
    throw damagedAt(0, 'it does not begin as a snapshot does');
  const version = prefix.readUInt32BE(MAGIC.length);
  if (version !== VERSION) {
    const message = `the snapshot is of format version ${version}; this version of quorumkv reads ${VERSION}`;
    throw new SnapshotError('unsupported', message, { offset: MAGIC.length });
  }
}

function decodeFrameHeader(head: Buffer, offset: number, first: boolean): FrameHeader {
  if (crc32(head.subarray(0, 9)) !== head.readUInt32BE(9)) {
    throw damagedAt(offset, 'the checksum of the lengths of a frame does not match');
  }
  const kind = head.readUInt8(0);
  const rawBytes = head.readUInt32BE(1);
  const storedBytes = head.readUInt32BE(5);
  const fail = (): SnapshotError =>
    damagedAt(
      offset,
      `a frame of kind ${kind} with ${storedBytes} bytes, ${rawBytes} unpacked, does not belong there`,
    );
  if (first !== (kind === FRAME_KINDS.header)) throw fail();
  const fits = ((): boolean => {
    switch (kind) {
      case FRAME_KINDS.header:
        return storedBytes <= HEADER_BYTES_MAX && rawBytes === storedBytes;
      case FRAME_KINDS.plainBlock:
        return storedBytes <= BLOCK_BYTES_MAX && rawBytes === storedBytes;
      case FRAME_KINDS.compressedBlock:
        return storedBytes <= BLOCK_BYTES_MAX && rawBytes <= BLOCK_BYTES_MAX;
      case FRAME_KINDS.footer:
        return storedBytes === FOOTER_BYTES && rawBytes === storedBytes;
      default:
        return false;
    }
  })();
  if (!fits) throw fail();
  return { kind, rawBytes, storedBytes, crc: head.readUInt32BE(13) };
}

function decodeHeader(payload: Buffer, offset: number): SnapshotHeader {
  try {
    let at = 9;
    const text = (): string => {
      const end = at + 2 + payload.readUInt16BE(at);
      if (end > payload.length) throw new RangeError('a text is longer than the header');
      const found = payload.toString('utf8', at + 2, end);
      at = end;
      return found;
    };
    const clusterId = text();
    const nodeId = text();
    return {
      codec: payload.readUInt8(0),
      createdAtMs: safeInteger(payload, 1),
      clusterId,
      nodeId,
      applied: decodeApplied(APPLIED_SEAL, payload.subarray(at)),
    };
  } catch (error) {
    if (!(error instanceof RangeError) && !(error instanceof StorageError)) throw error;
    throw damagedAt(offset, `its header cannot be read: ${error.message}`, error);
  }
}

function decodeFooter(payload: Buffer, offset: number, blocks: number): SnapshotTotals {
  let totals: SnapshotTotals;
  try {
    totals = {
      rows: safeInteger(payload, 0),
      bytes: safeInteger(payload, 8),
      blocks: safeInteger(payload, 16),
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw damagedAt(offset, `its footer cannot be read: ${error.message}`, error);
  }
  if (totals.blocks !== blocks) throw damagedAt(offset, `it has ${blocks} blocks, not ${totals.blocks}`);
  return totals;
}

function safeInteger(payload: Buffer, at: number): number {
  const number = Number(payload.readBigUInt64BE(at));
  if (!Number.isSafeInteger(number)) throw new RangeError(`it holds the number ${number}`);
  return number;
}

/**
 * The rows of an unpacked block; the values are views into it.
 *
 * @param offset of the block's frame, for the error
 * @throws SnapshotError
 */
export function decodeRows(raw: Buffer, offset: number): StateRow[] {
  const rows: StateRow[] = [];
  let at = 0;
  while (at < raw.length) {
    const start = at + ROW_HEADER_BYTES;
    if (start > raw.length) throw damagedAt(offset, 'a row of the block is cut off');
    const middle = start + raw.readUInt32BE(at);
    const end = middle + raw.readUInt32BE(at + 4);
    if (end > raw.length) throw damagedAt(offset, 'a row of the block is cut off');
    rows.push([raw.toString('latin1', start, middle), raw.subarray(middle, end)]);
    at = end;
  }
  return rows;
}
