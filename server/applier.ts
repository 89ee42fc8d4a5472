/** Carries committed entries into the state machine's store: read what they read, apply, write, in one batch each. */

import type { Configuration } from '../membership/configuration.js';
import { decodeConfiguration } from '../membership/configuration.js';
import type { Proposed } from '../kv/apply.js';
import { applyAll, rowsRead } from '../kv/apply.js';
import { decodeCommand, readStamp } from '../kv/codec.js';
import type { CommandResult } from '../kv/command.js';
import { CLOCK_ROW, KEY_COUNT_ROW, decodeCount, decodeTime } from '../kv/rows.js';
import { WorkingSet } from '../kv/working-set.js';
import type { Applied, StateStore } from '../persistence/state-store.js';
import type { Entry } from '../raft/entry.js';

export interface AppliedEntry {
  readonly entry: Entry;
  /** Undefined for entries that are not commands. */
  readonly result: CommandResult | undefined;
}

export class Applier {
  readonly #store: StateStore;
  #applied: Applied;
  #keyCount = 0;
  #logTimeMs = 0;
  #stopped = false;

  /** @param applied what the store reflects */
  constructor(store: StateStore, applied: Applied) {
    this.#store = store;
    this.#applied = applied;
  }

  /** What the store reflects; grows with every batch that was written. */
  get applied(): Applied {
    return this.#applied;
  }

  get keyCount(): number {
    return this.#keyCount;
  }

  /** The log time of the last command that was applied. */
  get logTimeMs(): number {
    return this.#logTimeMs;
  }

  /** Reads what is kept in memory. */
  open(done: () => void): void {
    this.#store.getMany([KEY_COUNT_ROW, CLOCK_ROW], ([count, clock]) => {
      this.#keep(count, clock);
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

  /** Applies consecutive entries that follow `applied`. Not to be called again before `done`. */
  apply(entries: readonly Entry[], done: (applied: readonly AppliedEntry[]) => void): void {
    const commands = entries.filter((entry) => entry.type === 'command').map(proposedOf);
    const rows = rowsRead(commands.map(({ command }) => command));
    this.#store.getMany(rows, (values) => {
      if (this.#stopped) return;
      const set = new WorkingSet(rows, values);
      const results = new Map(applyAll(set, commands).map((result, at) => [commands[at]?.index, result]));
      const applied = entries.reduce(nextApplied, this.#applied);
      this.#store.write({ applied, ...set.changes() }, () => {
        this.#applied = applied;
        this.#keep(set.get(KEY_COUNT_ROW), set.get(CLOCK_ROW));
        done(entries.map((entry) => ({ entry, result: results.get(entry.index) })));
      });
    });
  }

  #keep(count: Buffer | undefined, clock: Buffer | undefined): void {
    this.#keyCount = decodeCount(count);
    this.#logTimeMs = decodeTime(clock);
  }
}

function proposedOf({ index, data }: Entry): Proposed {
  return { command: decodeCommand(data), index, stampMs: readStamp(data) };
}

function nextApplied(applied: Applied, entry: Entry): Applied {
  const { index, term } = entry;
  const configuration: Configuration | undefined =
    entry.type === 'configuration' ? decodeConfiguration(entry.data) : applied.configuration;
  const configurationIndex = entry.type === 'configuration' ? index : applied.configurationIndex;
  return { index, term, configuration, configurationIndex };
}
