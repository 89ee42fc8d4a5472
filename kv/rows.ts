/**
 * How the state machine lies in an ordered map of bytes. A key's row is `k` + its UTF-8 bytes, so that rows sort as
 * keys do; one that expires has a row under `x` as well; counters and the clock are under `m`, sessions under `s` and `r`
 * (`session-rows.ts`).
 */

import { INTEGER_BYTES, readInteger, writeInteger } from './integers.js';

const KEY_PREFIX = 0x6b;
const EXPIRY_PREFIX = 0x78;
const VALUE_AT = 2 * INTEGER_BYTES + 4;

/** Holds the number of keys. */
export const KEY_COUNT_ROW = Buffer.from('mkeys');

/** Holds the bytes of all keys and values together. */
export const DATA_BYTES_ROW = Buffer.from('mbytes');

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

/** Whether a row, as latin1 text, is that of a key. */
export function isKeyRow(id: string): boolean {
  return id.charCodeAt(0) === KEY_PREFIX;
}

/** Bytes of the key whose row it is. */
export function keyBytesIn(row: Buffer): number {
  return row.length - 1;
}

export function keyOfRow(row: Buffer): string {
  return row.toString('utf8', 1);
}

/** The rows of all keys that begin with `prefix`. */
export function prefixRows(prefix: string): { readonly gte: Buffer; readonly lt: Buffer } {
  const gte = keyRow(prefix);
  return { gte, lt: successor(gte) };
}

/** The first row behind all rows that begin with `prefix`, which is not all 0xff: rows begin with their table's letter. */
function successor(prefix: Buffer): Buffer {
  let last = prefix.length - 1;
  while (prefix[last] === 0xff) last -= 1;
  const next = Buffer.from(prefix.subarray(0, last + 1));
  next[last] = (next[last] ?? 0) + 1;
  return next;
}

/** What is known of a key without its value. */
export interface ValueHeader {
  /** The log index of the write that made it. */
  readonly revision: number;
  /** The log time from which on it is to go; 0: never. */
  readonly deadlineMs: number;
  readonly valueBytes: number;
}

export interface ValueRecord extends ValueHeader {
  readonly value: Buffer;
}

export function encodeValue(revision: number, value: Uint8Array, deadlineMs = 0): Buffer {
  const record = Buffer.allocUnsafe(VALUE_AT + value.length);
  writeInteger(record, revision, 0);
  record.writeDoubleBE(deadlineMs, INTEGER_BYTES);
  record.writeUInt32BE(value.length, 2 * INTEGER_BYTES);
  record.set(value, VALUE_AT);
  return record;
}

/** The value shares memory with `record`. */
export function decodeValue(record: Buffer): ValueRecord {
  return { ...decodeHeader(record), value: record.subarray(VALUE_AT) };
}

export function decodeHeader(record: Buffer): ValueHeader {
  return {
    revision: readInteger(record, 0),
    deadlineMs: record.readDoubleBE(INTEGER_BYTES),
    valueBytes: record.readUInt32BE(2 * INTEGER_BYTES),
  };
}

/** A copy of the record's header, which keeps no value in memory; `decodeHeader` reads it. */
export function headerOf(record: Buffer): Buffer {
  return record.length <= VALUE_AT ? record : Buffer.from(record.subarray(0, VALUE_AT));
}

/** Orders keys by their deadline: the bytes of positive floats sort as the numbers do. */
export function expiryRow(deadlineMs: number, key: string): Buffer {
  const row = Buffer.allocUnsafe(1 + INTEGER_BYTES + Buffer.byteLength(key));
  row[0] = EXPIRY_PREFIX;
  row.writeDoubleBE(deadlineMs, 1);
  row.write(key, 1 + INTEGER_BYTES, 'utf8');
  return row;
}

export function keyOfExpiryRow(row: Buffer): string {
  return row.toString('utf8', 1 + INTEGER_BYTES);
}

/** The expiry rows of all keys. */
export const EXPIRY_ROWS = Object.freeze({
  gte: Buffer.from([EXPIRY_PREFIX]),
  lt: Buffer.from([EXPIRY_PREFIX + 1]),
});

/** The expiry rows of the keys whose time is over at `logTimeMs`. */
export function dueRows(logTimeMs: number): { readonly gte: Buffer; readonly lte: Buffer } {
  const lte = Buffer.concat([expiryRow(logTimeMs, ''), BEHIND_ANY_KEY]);
  return { gte: EXPIRY_ROWS.gte, lte };
}

/** UTF-8 never holds this byte. */
const BEHIND_ANY_KEY = Buffer.from([0xff]);

export function encodeCount(count: number): Buffer {
  const record = Buffer.allocUnsafe(INTEGER_BYTES);
  writeInteger(record, count, 0);
  return record;
}

export function decodeCount(record: Buffer | undefined): number {
  return record === undefined ? 0 : readInteger(record, 0);
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
