/** Reads of the state machine: what is asked for in one turn of the event loop is fetched from the store at once. */

import { ttlLeftMs } from '../kv/entries.js';
import type { Row } from '../kv/rows.js';
import { KEY_ROWS, decodeValue, keyOfRow, keyRow, prefixRows } from '../kv/rows.js';
import type { Range, StateStore } from '../persistence/state-store.js';
import type { HistoryPage } from './history-reader.js';
import { readHistory } from './history-reader.js';
import { shuttingDown } from './leadership.js';
import type { Node } from './node.js';
import type { Clock } from './ports.js';
import type { ListQuery, ListResult, ReadResult, StoredEntry } from './service.js';

/** One page of a listing holds at most so many bytes (or one entry). */
const PAGE_BYTES_MAX = 8 * 1024 * 1024;

/** One of these is called, later. Neither may throw. */
export interface ReadRequest {
  readonly keys: readonly string[];
  readonly resolve: (result: ReadResult) => void;
  readonly reject: (error: Error) => void;
}

/** What a reader must know of its node. */
export type ReaderNode = Pick<Node, 'appliedIndex' | 'isStopped' | 'logTimeMs'>;

export class Reader {
  readonly #store: StateStore;
  readonly #clock: Clock;
  readonly #node: ReaderNode;
  #gathered: ReadRequest[] = [];

  /** Once `node` has stopped, its store may be closed at any time: reads are refused as `shutting-down`. */
  constructor(store: StateStore, clock: Clock, node: ReaderNode) {
    this.#store = store;
    this.#clock = clock;
    this.#node = node;
  }

  get(keys: readonly string[]): Promise<ReadResult> {
    return new Promise((resolve, reject) => this.take({ keys, resolve, reject }));
  }

  take(request: ReadRequest): void {
    this.#gathered.push(request);
    if (this.#gathered.length === 1) this.#clock.soon(() => this.#flush());
  }

  #flush(): void {
    const requests = this.#gathered;
    this.#gathered = [];
    if (this.#node.isStopped) {
      for (const { reject } of requests) reject(shuttingDown());
      return;
    }
    const rows: Row[] = [];
    for (const { keys } of requests) for (const key of keys) rows.push(keyRow(key));
    const revision = this.#node.appliedIndex;
    this.#store.getMany(rows, (values) => {
      const logTimeMs = this.#node.logTimeMs();
      let at = 0;
      for (const { keys, resolve } of requests) {
        // A batch that was being written may be seen already; then the answer reflects that one.
        let newest = revision;
        const entries = keys.map((key) => {
          const entry = storedEntry(key, values[at], logTimeMs);
          at += 1;
          if (entry !== undefined && entry.revision > newest) newest = entry.revision;
          return entry;
        });
        resolve({ entries, revision: newest });
      }
    });
  }

  /** What changed behind `after`, as far as one page goes. */
  history(after: number): Promise<HistoryPage> {
    return readHistory(this.#store, after, () => this.#node.isStopped);
  }

  list(query: ListQuery): Promise<ListResult> {
    if (this.#node.isStopped) return Promise.reject(shuttingDown());
    return new Promise((resolve) => {
      this.#store.scan(rangeOf(query), (scan) => {
        const logTimeMs = this.#node.logTimeMs();
        const entries = scan.entries.map(([row, record]) => entryOf(keyOfRow(row), record, logTimeMs));
        resolve({ entries, more: scan.more, revision: scan.applied.index });
      });
    });
  }
}

function storedEntry(key: string, record: Buffer | undefined, logTimeMs: number): StoredEntry | undefined {
  return record === undefined ? undefined : entryOf(key, record, logTimeMs);
}

function entryOf(key: string, record: Buffer, logTimeMs: number): StoredEntry {
  const { revision, deadlineMs, value } = decodeValue(record);
  const ttlMs = ttlLeftMs(deadlineMs, logTimeMs);
  return ttlMs === undefined ? { key, value, revision } : { key, value, revision, ttlMs };
}

/** The rows of the keys with the prefix, from `start` on, before `end`, and behind `after` in the listing's direction. */
export function rangeOf(query: ListQuery): Range {
  const { prefix = '', start, end, after, reverse, limit, bytesMax = PAGE_BYTES_MAX } = query;
  const lower = [keyRow(prefix), ...(start === undefined ? [] : [keyRow(start)])];
  const upper = [
    prefix === '' ? KEY_ROWS.lt : prefixRows(prefix).lt,
    ...(end === undefined ? [] : [keyRow(end)]),
  ];
  if (after !== undefined && reverse) upper.push(keyRow(after));
  const gte = lower.reduce((a, b) => (a >= b ? a : b));
  const lt = upper.reduce((a, b) => (a <= b ? a : b));
  const bounds = { lt, reverse, limit, bytesMax: Math.min(bytesMax, PAGE_BYTES_MAX) };
  if (after === undefined || reverse) return { gte, ...bounds };
  const gt = keyRow(after);
  return gt >= gte ? { gt, ...bounds } : { gte, ...bounds };
}
