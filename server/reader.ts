/** Reads of the state machine: what is asked for in one turn of the event loop is fetched from the store at once. */

import { KEY_ROWS, decodeValue, keyOfRow, keyRow } from '../kv/rows.js';
import type { Range, StateStore } from '../persistence/state-store.js';
import { shuttingDown } from './leadership.js';
import type { Node } from './node.js';
import type { Clock } from './ports.js';
import type { ListQuery, ListResult, ReadResult, StoredEntry } from './service.js';

/** One page of a listing holds at most so many bytes (or one entry). */
const PAGE_BYTES_MAX = 8 * 1024 * 1024;

interface Request {
  readonly keys: readonly string[];
  readonly resolve: (result: ReadResult) => void;
  readonly reject: (error: Error) => void;
}

export class Reader {
  readonly #store: StateStore;
  readonly #clock: Clock;
  readonly #node: Pick<Node, 'appliedIndex' | 'isStopped'>;
  #gathered: Request[] = [];

  /** Once `node` has stopped, its store may be closed at any time: reads are refused as `shutting-down`. */
  constructor(store: StateStore, clock: Clock, node: Pick<Node, 'appliedIndex' | 'isStopped'>) {
    this.#store = store;
    this.#clock = clock;
    this.#node = node;
  }

  get(keys: readonly string[]): Promise<ReadResult> {
    return new Promise((resolve, reject) => {
      this.#gathered.push({ keys, resolve, reject });
      if (this.#gathered.length === 1) this.#clock.soon(() => this.#flush());
    });
  }

  #flush(): void {
    const requests = this.#gathered;
    this.#gathered = [];
    if (this.#node.isStopped) {
      for (const { reject } of requests) reject(shuttingDown());
      return;
    }
    const keys = requests.flatMap((request) => request.keys);
    const revision = this.#node.appliedIndex;
    this.#store.getMany(keys.map(keyRow), (values) => {
      let at = 0;
      for (const { keys: asked, resolve } of requests) {
        const entries = asked.map((key, offset) => storedEntry(key, values[at + offset]));
        at += asked.length;
        // A batch that was being written may be seen already; then the answer reflects that one.
        const newest = entries.reduce((most, entry) => Math.max(most, entry?.revision ?? 0), revision);
        resolve({ entries, revision: newest });
      }
    });
  }

  list(query: ListQuery): Promise<ListResult> {
    if (this.#node.isStopped) return Promise.reject(shuttingDown());
    return new Promise((resolve) => {
      this.#store.scan(rangeOf(query), (scan) => {
        const entries = scan.entries.map(([row, record]) => ({ key: keyOfRow(row), ...decodeValue(record) }));
        resolve({ entries, more: scan.more, revision: scan.applied.index });
      });
    });
  }
}

function storedEntry(key: string, record: Buffer | undefined): StoredEntry | undefined {
  return record === undefined ? undefined : { key, ...decodeValue(record) };
}

/** The rows of the keys with the prefix, from `start` on, before `end`, and behind `after` in the listing's direction. */
export function rangeOf(query: ListQuery): Range {
  const { prefix = '', start, end, after, reverse, limit, bytesMax = PAGE_BYTES_MAX } = query;
  const lower = [keyRow(prefix), ...(start === undefined ? [] : [keyRow(start)])];
  const upper = [
    prefix === '' ? KEY_ROWS.lt : successor(keyRow(prefix)),
    ...(end === undefined ? [] : [keyRow(end)]),
  ];
  if (after !== undefined && reverse) upper.push(keyRow(after));
  const gte = lower.reduce((a, b) => (Buffer.compare(a, b) >= 0 ? a : b));
  const lt = upper.reduce((a, b) => (Buffer.compare(a, b) <= 0 ? a : b));
  const bounds = { lt, reverse, limit, bytesMax: Math.min(bytesMax, PAGE_BYTES_MAX) };
  if (after === undefined || reverse) return { gte, ...bounds };
  const gt = keyRow(after);
  return Buffer.compare(gt, gte) >= 0 ? { gt, ...bounds } : { gte, ...bounds };
}

/** The first row behind all rows that begin with `prefix`, which is not all 0xff: rows begin with their table's letter. */
function successor(prefix: Buffer): Buffer {
  let last = prefix.length - 1;
  while (prefix[last] === 0xff) last -= 1;
  const next = Buffer.from(prefix.subarray(0, last + 1));
  next[last] = (next[last] ?? 0) + 1;
  return next;
}
