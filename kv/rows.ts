/**
 * How the state machine lies in an ordered map of bytes. A key's row is `k` + its UTF-8 bytes, so that rows sort as
 * keys do; one that expires has a row under `x` as well; counters and the clock are under `m`, sessions under `s` and `r`
 * (`session-rows.ts`).
 */

import { INTEGER_BYTES, readInteger, writeInteger } from './integers.js';
import { fromLatin1, toLatin1 } from './latin1.js';

/** A row's name: its bytes, one character each (latin1), so that rows are looked up and compared without a detour through Buffers. */
export type Row = string;

const KEY_PREFIX = 'k';
const EXPIRY_PREFIX = 'x';
const VALUE_AT = 2 * INTEGER_BYTES + 4;

/** Holds the number of keys. */
export const KEY_COUNT_ROW: Row = 'mkeys';

/** Holds the bytes of all keys and values together. */
export const DATA_BYTES_ROW: Row = 'mbytes';

/** Holds the log time of the last command, in ms. */
export const CLOCK_ROW: Row = 'mclock';

/**
 * What applying commands reads of a record, at most, but for values that a transaction gets and for results of sessions: that is as long as a
 * session's record, the longest of them.
 */
export const HEAD_BYTES = 4 * INTEGER_BYTES;

export interface Rows {
  readonly gte: Row;
  readonly lt: Row;
}

/** The rows of all keys. */
export const KEY_ROWS: Rows = rowsUnder(KEY_PREFIX);

export function keyRow(key: string): Row {
  return KEY_PREFIX + toLatin1(key);
}

export function isKeyRow(row: Row): boolean {
  return row.startsWith(KEY_PREFIX);
}

/** Bytes of the key whose row it is. */
export function keyBytesIn(row: Row): number {
  return row.length - 1;
}

export function keyOfRow(row: Row): string {
  return fromLatin1(row.slice(1));
}

/** The rows of all keys that begin with `prefix`. */
export function prefixRows(prefix: string): Rows {
  return rowsUnder(keyRow(prefix));
}

/** All rows that begin with `prefix`, which is not all 0xff: rows begin with their table's letter. */
export function rowsUnder(prefix: Row): Rows {
  let last = prefix.length - 1;
  while (prefix.charCodeAt(last) === 0xff) last -= 1;
  return { gte: prefix, lt: prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1) };
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
export function expiryRow(deadlineMs: number, key: string): Row {
  return EXPIRY_PREFIX + encodeTime(deadlineMs).toString('latin1') + toLatin1(key);
}

export function keyOfExpiryRow(row: Row): string {
  return fromLatin1(row.slice(1 + INTEGER_BYTES));
}

/** The expiry rows of all keys. */
export const EXPIRY_ROWS: Rows = rowsUnder(EXPIRY_PREFIX);

/** The expiry rows of the keys whose time is over at `logTimeMs`. */
export function dueRows(logTimeMs: number): { readonly gte: Row; readonly lte: Row } {
  return { gte: EXPIRY_ROWS.gte, lte: expiryRow(logTimeMs, '') + BEHIND_ANY_KEY };
}

/** UTF-8 never holds this byte. */
const BEHIND_ANY_KEY = '\xff';

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
