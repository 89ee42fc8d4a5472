/**
 * How the state machine lies in an ordered map of bytes. A key's row is `k` + its UTF-8 bytes, so that rows sort as
 * keys do; counters and the clock are under `m`, sessions under `s` and `r` (`sessions.ts`).
 */

const KEY_PREFIX = 0x6b;
const REVISION_BYTES = 8;

/** Holds the number of keys. */
export const KEY_COUNT_ROW = Buffer.from('mkeys');

/** Holds the log time of the last command, in ms. */
export const CLOCK_ROW = Buffer.from('mclock');

/** All rows of keys are in [`KEY_ROWS.gte`, `KEY_ROWS.lt`). */
export const KEY_ROWS = Object.freeze({ gte: Buffer.from([KEY_PREFIX]), lt: Buffer.from([KEY_PREFIX + 1]) });

export function keyRow(key: string): Buffer {
  const row = Buffer.allocUnsafe(1 + Buffer.byteLength(key));
  row[0] = KEY_PREFIX;
  row.write(key, 1, 'utf8');
  return row;
}

export function keyOfRow(row: Buffer): string {
  return row.toString('utf8', 1);
}

export interface ValueRecord {
  /** The log index of the write that made it. */
  readonly revision: number;
  readonly value: Buffer;
}

export function encodeValue(revision: number, value: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(REVISION_BYTES + value.length);
  record.writeBigUInt64BE(BigInt(revision), 0);
  record.set(value, REVISION_BYTES);
  return record;
}

/** The value shares memory with `record`. */
export function decodeValue(record: Buffer): ValueRecord {
  return { revision: Number(record.readBigUInt64BE(0)), value: record.subarray(REVISION_BYTES) };
}

export function encodeCount(count: number): Buffer {
  const record = Buffer.allocUnsafe(8);
  record.writeBigUInt64BE(BigInt(count), 0);
  return record;
}

export function decodeCount(record: Buffer | undefined): number {
  return record === undefined ? 0 : Number(record.readBigUInt64BE(0));
}

/** Log time in ms. */
export function encodeTime(timeMs: number): Buffer {
  const record = Buffer.allocUnsafe(8);
  record.writeDoubleBE(timeMs, 0);
  return record;
}

/** 0 before the first command. */
export function decodeTime(record: Buffer | undefined): number {
  return record?.readDoubleBE(0) ?? 0;
}
