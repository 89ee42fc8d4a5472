/** What tests of the core share: chance from a seed, options, logs made of terms. */

import type { Entry, Index, Position, Term } from '../../raft/entry.js';
import type { RaftOptions } from '../../raft/state.js';

/** A seeded source of chance (mulberry32): the same seed, the same numbers. */
export function prng(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const OPTIONS: Omit<RaftOptions, 'id' | 'random'> = {
  electionTicks: [10, 20],
  heartbeatTicks: 2,
  appendBytesMax: 1024,
  window: { appendsMax: 8, bytesMax: 8192 },
  uncommittedBytesMax: 65536,
  entryCacheBytes: 65536,
  applyBytesMax: 4096,
  leaseMs: 0,
  pendingReadsMax: 16,
};

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (entry: Entry | undefined): string => new TextDecoder().decode(entry?.data);

/** Entries with the given terms, from index `first` on; two of the same index and term are equal, as in a real log. */
export function entriesOf(terms: readonly Term[], first: Index = 1): Entry[] {
  return terms.map((term, at) => {
    const index = first + at;
    return { index, term, type: 'command', data: bytes(`${index}/${term}`) };
  });
}

/** The starts of the runs of equal terms. */
export function runsOf(entries: readonly Entry[]): Position[] {
  return entries
    .filter((entry, at) => entry.term !== entries[at - 1]?.term)
    .map(({ index, term }) => ({ index, term }));
}
