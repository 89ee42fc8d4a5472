/**
 * How a snapshot lies in a file: `magic, version, header, block…, footer, digest`.
 *
 * Header, blocks and footer are frames: `[kind: 1][raw length: 4][stored length: 4][crc32 of these: 4][crc32 of the
 * payload: 4][payload]`, so a damaged length is found before anything is read by it. Rows stand in the order of their keys, in blocks that may be
 * compressed each by itself. The digest is the SHA-256 of everything before it. Numbers are big-endian.
 *
 * Encoding is here, decoding in `decoder.ts`; both are pure.
 */

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { encodeApplied, writeSafeInteger } from '../persistence/records.js';
import type { Applied, StateRow } from '../persistence/state-store.js';

export const MAGIC = Buffer.from('qkvsnap\n', 'latin1');
/** Changes when an old reader would misread. */
export const VERSION = 1;
export const PREFIX_BYTES = MAGIC.length + 4;
export const FRAME_HEADER_BYTES = 17;
export const DIGEST_BYTES = 32;
export const ROW_HEADER_BYTES = 8;
export const FOOTER_BYTES = 24;

/** A block is closed once its rows reach so many bytes. Handled within a millisecond, so that nobody waits for it. */
export const BLOCK_BYTES = 64 * 1024;
/** The longest block, raw or stored: one row may be as long as the longest value that can be configured (64 MiB) and its key. */
export const BLOCK_BYTES_MAX = 66 * 1024 * 1024;
/** The longest header: a configuration. */
export const HEADER_BYTES_MAX = 1024 * 1024;

/** Stable in files: a number is never given another meaning. */
export const FRAME_KINDS = { header: 1, plainBlock: 2, compressedBlock: 3, footer: 4 } as const;

export interface SnapshotHeader {
  readonly clusterId: string;
  /** Who made it. */
  readonly nodeId: string;
  /** By the wall clock of that node, for people. */
  readonly createdAtMs: number;
  /** Exactly the entries up to it are in the rows. */
  readonly applied: Applied;
  /** The `Codec.id` of compressed blocks. */
  readonly codec: number;
}

export interface SnapshotTotals {
  readonly rows: number;
  /** Of keys and values. */
  readonly bytes: number;
  readonly blocks: number;
}

/** The key under which the applied position is sealed in the header. */
export const APPLIED_SEAL = Buffer.from('snapshot');

export interface SnapshotEncoder {
  /** The beginning of the file. */
  header(header: SnapshotHeader): Buffer;
  /**
   * @param raw by `encodeRows`
   * @param compressed undefined: it is stored as it is
   */
  block(
    raw: Buffer,
    totals: { readonly rows: number; readonly bytes: number },
    compressed: Buffer | undefined,
  ): Buffer;
  /** The end of the file, and its digest in hex. */
  footer(): { readonly data: Buffer; readonly digest: string; readonly totals: SnapshotTotals };
}

/** Its calls are in the order of the file, each piece written behind the one before. */
export function snapshotEncoder(): SnapshotEncoder {
  const hash: Hash = createHash('sha256');
  const totals = { rows: 0, bytes: 0, blocks: 0 };
  const hashed = (data: Buffer): Buffer => {
    hash.update(data);
    return data;
  };
  return {
    header(header) {
      const prefix = Buffer.alloc(PREFIX_BYTES);
      MAGIC.copy(prefix);
      prefix.writeUInt32BE(VERSION, MAGIC.length);
      const payload = encodeHeader(header);
      return hashed(Buffer.concat([prefix, encodeFrame(FRAME_KINDS.header, payload.length, payload)]));
    },
    block(raw, { rows, bytes }, compressed) {
      totals.rows += rows;
      totals.bytes += bytes;
      totals.blocks += 1;
      return hashed(
        compressed === undefined
          ? encodeFrame(FRAME_KINDS.plainBlock, raw.length, raw)
          : encodeFrame(FRAME_KINDS.compressedBlock, raw.length, compressed),
      );
    },
    footer() {
      const payload = Buffer.alloc(FOOTER_BYTES);
      writeSafeInteger(payload, totals.rows, 0);
      writeSafeInteger(payload, totals.bytes, 8);
      writeSafeInteger(payload, totals.blocks, 16);
      const frame = hashed(encodeFrame(FRAME_KINDS.footer, payload.length, payload));
      const digest = hash.digest();
      return { data: Buffer.concat([frame, digest]), digest: digest.toString('hex'), totals };
    },
  };
}

function encodeFrame(kind: number, rawBytes: number, payload: Buffer): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  header.writeUInt8(kind, 0);
  header.writeUInt32BE(rawBytes, 1);
  header.writeUInt32BE(payload.length, 5);
  header.writeUInt32BE(crc32(header.subarray(0, 9)), 9);
  header.writeUInt32BE(crc32(payload), 13);
  return Buffer.concat([header, payload]);
}

function encodeHeader({ clusterId, nodeId, createdAtMs, applied, codec }: SnapshotHeader): Buffer {
  const fixed = Buffer.alloc(9);
  fixed.writeUInt8(codec, 0);
  writeSafeInteger(fixed, Math.max(0, Math.floor(createdAtMs)), 1);
  return Buffer.concat([
    fixed,
    encodeText(clusterId),
    encodeText(nodeId),
    encodeApplied(APPLIED_SEAL, applied),
  ]);
}

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The payload of a block. */
export function encodeRows(rows: readonly StateRow[]): {
  readonly raw: Buffer;
  readonly rows: number;
  readonly bytes: number;
} {
  const parts: Buffer[] = [];
  let bytes = 0;
  for (const [key, value] of rows) {
    const lengths = Buffer.allocUnsafe(ROW_HEADER_BYTES);
    lengths.writeUInt32BE(key.length, 0);
    lengths.writeUInt32BE(value.length, 4);
    parts.push(lengths, Buffer.from(key, 'latin1'), value);
    bytes += key.length + value.length;
  }
  return { raw: Buffer.concat(parts), rows: rows.length, bytes };
}
