/**
 * A hash over everything that was ever changed, entry by entry, kept in the state: nodes whose states have come apart have different ones from
 * the first entry on that changes what differs. It finds faults, not forgers: 64 bits, of two lanes of MurmurHash3.
 */

import type { Row } from './rows.js';

/** Holds the chain. */
export const CHAIN_ROW: Row = 'mchain';

/** 16 hex digits. */
export type Chain = string;

export interface ChainState {
  a: number;
  b: number;
}

export type RowChange = readonly [row: Row, record: Buffer | undefined];

/** All zeros before the first change. */
export function decodeChain(record: Buffer | undefined): ChainState {
  return record === undefined ? { a: 0, b: 0 } : { a: record.readInt32BE(0), b: record.readInt32BE(4) };
}

export function encodeChain({ a, b }: ChainState): Buffer {
  const record = Buffer.allocUnsafe(8);
  record.writeInt32BE(a, 0);
  record.writeInt32BE(b, 4);
  return record;
}

export function chainText(chain: ChainState): Chain {
  return encodeChain(chain).toString('hex');
}

/** Lengthens the chain by what one entry changed, in order. */
export function lengthen(chain: ChainState, changes: readonly RowChange[]): void {
  for (const [row, record] of changes) {
    absorbText(chain, row);
    if (record === undefined) absorbWord(chain, -1);
    else absorb(chain, record);
  }
}

/** Lengthens it by bytes, and by how many they are. */
export function absorb(chain: ChainState, bytes: Uint8Array): void {
  absorbWord(chain, bytes.length);
  const words = bytes.length - (bytes.length % 4);
  const byte = (at: number): number => bytes[at] ?? 0;
  let at = 0;
  for (; at < words; at += 4)
    absorbWord(chain, byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16) | (byte(at + 3) << 24));
  let rest = 0;
  for (; at < bytes.length; at += 1) rest = (rest << 8) | byte(at);
  if (words < bytes.length) absorbWord(chain, rest);
}

/** As `absorb`, of a text, which is mostly a row: two characters a word. */
export function absorbText(chain: ChainState, text: string): void {
  absorbWord(chain, text.length);
  for (let at = 0; at < text.length; at += 2) {
    // Behind the end it is NaN, which counts as 0.
    absorbWord(chain, text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16));
  }
}

/** A whole number up to 2^53. */
export function absorbNumber(chain: ChainState, number: number): void {
  absorbWord(chain, number);
  absorbWord(chain, number / 2 ** 32);
}

function absorbWord(chain: ChainState, word: number): void {
  chain.a = mixed(chain.a, Math.imul(word, 0xcc9e2d51), 0x1b873593, 15, 13);
  chain.b = mixed(chain.b ^ chain.a, Math.imul(word, 0x239b961b), 0xab0e9789, 16, 17);
}

function mixed(hash: number, scrambled: number, factor: number, turnWord: number, turnHash: number): number {
  const word = Math.imul((scrambled << turnWord) | (scrambled >>> (32 - turnWord)), factor);
  const next = hash ^ word;
  return (Math.imul((next << turnHash) | (next >>> (32 - turnHash)), 5) + 0xe6546b64) | 0;
}
