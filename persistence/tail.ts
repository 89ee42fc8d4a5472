/** The newest entries of a log that is read from its start, up to a bound on their bytes. */

import type { Entry } from '../raft/entry.js';
import { entryBytes } from '../raft/entry.js';

export interface Tail {
  push(entry: Entry): void;
  /** What fits; empty when not even the last entry does. */
  entries(): readonly Entry[];
}

/** @param bytesMax counted by `entryBytes`. */
export function boundedTail(bytesMax: number): Tail {
  let entries: Entry[] = [];
  let bytes = 0;
  // A long array that is shifted entry by entry is moved every time; so the head is cut off now and then.
  let head = 0;
  return {
    push(entry) {
      entries.push(entry);
      bytes += entryBytes(entry);
      for (let first = entries[head]; bytes > bytesMax && first !== undefined; first = entries[head]) {
        bytes -= entryBytes(first);
        head += 1;
      }
      if (head > 1024 && head * 2 > entries.length) {
        entries = entries.slice(head);
        head = 0;
      }
    },
    entries: () => entries.slice(head),
  };
}
