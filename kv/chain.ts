/**
 * A hash over everything that was ever changed, entry by entry, kept in the state: nodes whose states have come apart have different ones from
 * the first entry on that changes what differs. It finds faults, not forgers: 64 bits, of two lanes of MurmurHash3.
 */

/** Holds the chain. */
export const CHAIN_ROW = Buffer.from('mchain');

/** 16 hex digits. */
export type Chain = string;

export interface ChainState {
  a: number;
  b: number;
}

export type RowChange = readonly [row: Buffer, record: Buffer | undefined];

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
    absorb(chain, row);
    if (record === undefined) absorbWord(chain, -1);
    else absorb(chain, record);
  }
}

/** Lengthens it by bytes, and by how many they are. */
export function absorb(chain: ChainState, bytes: Buffer): void {
  absorbWord(chain, bytes.length);
  const words = bytes.length - (bytes.length % 4);
  let at = 0;
  for (; at < words; at += 4) absorbWord(chain, bytes.readInt32LE(at));
  let rest = 0;
  for (; at < bytes.length; at += 1) rest = (rest << 8) | bytes.readUInt8(at);
  if (words < bytes.length) absorbWord(chain, rest);
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
