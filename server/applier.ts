/** Carries committed entries into the state machine's store: read what they read, apply, write, in one batch each. */

import type { Configuration } from '../membership/configuration.js';
import { decodeConfiguration } from '../membership/configuration.js';
import type { Proposed } from '../kv/apply.js';
import { applyAll, rowsRead, standsAlone } from '../kv/apply.js';
import { readStamp } from '../kv/codec.js';
import { commandsOf } from '../kv/shared.js';
import type { Command, CommandResult } from '../kv/command.js';
import { CLOCK_ROW, HEAD_BYTES, KEY_COUNT_ROW, decodeCount, decodeTime } from '../kv/rows.js';
import type { Applied, StateStore } from '../persistence/state-store.js';
import type { Entry, Index } from '../raft/entry.js';
import { entryBytes } from '../raft/entry.js';
import type { Reading } from './applier-reads.js';
import { readFor } from './applier-reads.js';

export interface AppliedEntry {
  readonly entry: Entry;
  /** Of its commands, in order; none for an entry that has none. */
  readonly results: readonly CommandResult[];
}

/** Of entries whose rows are read ahead: a few writes. */
const READ_AHEAD_BYTES_MAX = 4096;

/** Bytes that the entries take in the log. */
export function bytesOf(applied: readonly AppliedEntry[]): number {
  return applied.reduce((sum, { entry }) => sum + entryBytes(entry), 0);
}

function bytesIn(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
}

function commandsIn(entries: readonly Entry[]): readonly Command[] {
  try {
    return entries.flatMap((entry) => (entry.type === 'command' ? commandsOf(entry.data) : []));
  } catch {
    // They may never be committed. If they are, applying them tells what is wrong.
    return [];
  }
}

export class Applier {
  readonly #store: StateStore;
  readonly #unappliable: (index: Index, error: unknown) => void;
  #applied: Applied;
  #keyCount = 0;
  #logTimeMs = 0;
  #commandCount = 0;
  #stopped = false;

  /**
   * @param applied what the store reflects
   * @param unappliable told of what reading or applying throws, before that goes on as an uncaught exception
   */
  constructor(
    store: StateStore,
    applied: Applied,
    unappliable: (index: Index, error: unknown) => void = () => undefined,
  ) {
    this.#store = store;
    this.#applied = applied;
    this.#unappliable = unappliable;
  }

  /** What the store reflects; grows with every batch that was written. */
  get applied(): Applied {
    return this.#applied;
  }

  get keyCount(): number {
    return this.#keyCount;
  }

  /** Those that were ever applied here. */
  get commandCount(): number {
    return this.#commandCount;
  }

  /** The log time of the last command that was applied. */
  get logTimeMs(): number {
    return this.#logTimeMs;
  }

  /** Reads what is kept in memory. */
  open(done: () => void): void {
    this.#store.getMany([KEY_COUNT_ROW, CLOCK_ROW], ([count, clock]) => {
      this.#telling(this.#applied.index, () => this.#keep(count, clock));
      done();
    });
  }

  /** The store was restored from a snapshot, and reflects `applied` by now. */
  restored(applied: Applied, done: () => void): void {
    this.open(() => {
      this.#applied = applied;
      done();
    });
  }

  /** Begins no further operation of the store, so that it can be closed. What was being read for is applied after the restart. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Has the store read what applying these will read, so that it is in its memory by then; they are on their way to the disk and to the other
   * nodes meanwhile. Of many at once, decoding twice costs more than waiting does: for them nothing is done.
   */
  readAhead(entries: readonly Entry[]): void {
    if (this.#stopped || bytesIn(entries) > READ_AHEAD_BYTES_MAX) return;
    const commands = commandsIn(entries);
    if (commands.length > 0) this.#store.getHeads(rowsRead(commands), HEAD_BYTES, () => undefined);
  }

  /** Applies consecutive entries that follow `applied`. Not to be called again before `done`. */
  apply(entries: readonly Entry[], done: (applied: readonly AppliedEntry[]) => void): void {
    const lastIndex = entries.at(-1)?.index ?? this.#applied.index;
    const batches = this.#telling(lastIndex, () => batchesOf(entries));
    const all: AppliedEntry[] = [];
    const next = (at: number): void => {
      const batch = batches[at];
      if (batch === undefined) {
        done(all);
        return;
      }
      this.#applyBatch(batch, (applied) => {
        all.push(...applied);
        // A stop between two batches is as good as one before the second: each has its own applied position.
        if (!this.#stopped) next(at + 1);
      });
    };
    next(0);
  }

  #applyBatch({ entries, proposed }: Batch, done: (applied: readonly AppliedEntry[]) => void): void {
    const lastIndex = entries.at(-1)?.index ?? this.#applied.index;
    const tell = <A extends readonly unknown[]>(done: (...found: A) => void): ((...found: A) => void) => {
      return (...found) => this.#telling(lastIndex, () => done(...found));
    };
    const store: Reading = {
      getHeads: (keys, bytes, found) => this.#store.getHeads(keys, bytes, tell(found)),
      getMany: (keys, found) => this.#store.getMany(keys, tell(found)),
      scan: (range, found) => this.#store.scan(range, tell(found)),
    };
    const reading = { store, isStopped: () => this.#stopped };
    const commands = proposed.flatMap((one) => one.commands);
    readFor(reading, commands, ({ set, prefixRows }) => {
      const all = prefixRows === undefined ? proposed : proposed.map((one) => ({ ...one, prefixRows }));
      const results = applyAll(set, all);
      const applied = entries.reduce(nextApplied, this.#applied);
      this.#store.write({ applied, ...set.changes() }, () => {
        this.#applied = applied;
        this.#commandCount += commands.length;
        this.#keep(set.get(KEY_COUNT_ROW), set.get(CLOCK_ROW));
        let next = 0;
        done(
          entries.map((entry) => ({
            entry,
            results: entry.type === 'command' ? (results[next++] ?? []) : [],
          })),
        );
      });
    });
  }

  #telling<T>(index: Index, deed: () => T): T {
    try {
      return deed();
    } catch (error) {
      this.#unappliable(index, error);
      throw error;
    }
  }

  #keep(count: Buffer | undefined, clock: Buffer | undefined): void {
    this.#keyCount = decodeCount(count);
    this.#logTimeMs = decodeTime(clock);
  }
}

/** Entries whose changes are written together. */
interface Batch {
  readonly entries: readonly Entry[];
  /** Those of the entries that have commands. */
  readonly proposed: readonly Proposed[];
}

function batchesOf(entries: readonly Entry[]): Batch[] {
  const batches: { entries: Entry[]; proposed: Proposed[] }[] = [];
  let closed = true;
  for (const entry of entries) {
    const proposed = entry.type === 'command' ? proposedOf(entry) : undefined;
    const alone = proposed?.commands.some(standsAlone) === true;
    if (closed || alone) batches.push({ entries: [], proposed: [] });
    batches.at(-1)?.entries.push(entry);
    if (proposed !== undefined) batches.at(-1)?.proposed.push(proposed);
    closed = alone;
  }
  return batches;
}

function proposedOf({ index, data }: Entry): Proposed {
  return { commands: commandsOf(data), index, stampMs: readStamp(data) };
}

function nextApplied(applied: Applied, entry: Entry): Applied {
  const { index, term } = entry;
  const configuration: Configuration | undefined =
    entry.type === 'configuration' ? decodeConfiguration(entry.data) : applied.configuration;
  const configurationIndex = entry.type === 'configuration' ? index : applied.configurationIndex;
  return { index, term, configuration, configurationIndex };
}
