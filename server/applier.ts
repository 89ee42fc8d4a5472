/** Carries committed entries into the state machine's store: read what they read, apply, write, in one batch each. */

import type { Configuration } from '../membership/configuration.js';
import { decodeConfiguration } from '../membership/configuration.js';
import { apply, rowsRead } from '../kv/apply.js';
import { decodeCommand } from '../kv/codec.js';
import type { Command, CommandResult } from '../kv/command.js';
import { KEY_COUNT_ROW, decodeCount } from '../kv/rows.js';
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
  #stopped = false;

  constructor(store: StateStore) {
    this.#store = store;
    this.#applied = store.recovered;
  }

  /** What the store reflects; grows with every batch that was written. */
  get applied(): Applied {
    return this.#applied;
  }

  get keyCount(): number {
    return this.#keyCount;
  }

  /** Reads what is kept in memory. */
  open(done: () => void): void {
    this.#store.getMany([KEY_COUNT_ROW], ([count]) => {
      this.#keyCount = decodeCount(count);
      done();
    });
  }

  /** Begins no further operation of the store, so that it can be closed. What was being read for is applied after the restart. */
  stop(): void {
    this.#stopped = true;
  }

  /** Applies consecutive entries that follow `applied`. Not to be called again before `done`. */
  apply(entries: readonly Entry[], done: (applied: readonly AppliedEntry[]) => void): void {
    const commands = entries.map((entry) =>
      entry.type === 'command' ? decodeCommand(entry.data) : undefined,
    );
    const rows = rowsRead(commands.filter((command): command is Command => command !== undefined));
    this.#store.getMany(rows, (values) => {
      if (this.#stopped) return;
      const set = new WorkingSet(rows, values);
      const results = entries.map((entry, at) => {
        const command = commands[at];
        return { entry, result: command === undefined ? undefined : apply(set, command, entry.index) };
      });
      const applied = entries.reduce(nextApplied, this.#applied);
      this.#store.write({ applied, ...set.changes() }, () => {
        this.#applied = applied;
        this.#keyCount = decodeCount(set.get(KEY_COUNT_ROW));
        done(results);
      });
    });
  }
}

function nextApplied(applied: Applied, entry: Entry): Applied {
  const { index, term } = entry;
  const configuration: Configuration | undefined =
    entry.type === 'configuration' ? decodeConfiguration(entry.data) : applied.configuration;
  const configurationIndex = entry.type === 'configuration' ? index : applied.configurationIndex;
  return { index, term, configuration, configurationIndex };
}
