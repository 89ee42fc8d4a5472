import type { PrefixRows, Proposed } from '../../kv/apply.js';
import { applyAll, resultsRead, rowsRead, standsAlone } from '../../kv/apply.js';
import type { Command, CommandResult } from '../../kv/command.js';
import type { Row } from '../../kv/rows.js';
import { decodeCount, decodeValue, keyOfRow, prefixRows } from '../../kv/rows.js';
import { WorkingSet } from '../../kv/working-set.js';

/** A state machine on a map of rows, in the way of the server's applier. */
export class Machine {
  readonly rows = new Map<Row, Buffer>();
  index = 0;

  /** An entry each. */
  apply(stampMs: number, ...commands: readonly Command[]): CommandResult[] {
    return this.applyEntries(
      stampMs,
      commands.map((command) => [command]),
    );
  }

  applyEntries(stampMs: number, entries: readonly (readonly Command[])[]): CommandResult[] {
    const batches: (readonly Command[])[][] = [];
    let closed = true;
    for (const entry of entries) {
      const alone = entry.some(standsAlone);
      if (closed || alone) batches.push([]);
      batches.at(-1)!.push(entry);
      closed = alone;
    }
    return batches.flatMap((batch) => this.#applyBatch(stampMs, batch));
  }

  #applyBatch(stampMs: number, batch: readonly (readonly Command[])[]): CommandResult[] {
    const commands = batch.flat();
    const [first] = commands;
    const found = first?.op === 'delete-prefix' ? this.rowsUnder(first.prefix) : undefined;
    const read = [...rowsRead(commands), ...(found ?? [])];
    const set = new WorkingSet(
      read,
      read.map((row) => this.rows.get(row)),
    );
    for (const row of resultsRead(set, commands)) set.fetched(row, this.rows.get(row));
    const results = applyAll(
      set,
      batch.map((commands): Proposed => ({
        commands,
        index: ++this.index,
        stampMs,
        ...(found !== undefined && { prefixRows: found satisfies PrefixRows }),
      })),
    );
    const { puts, deletes } = set.changes();
    for (const row of deletes) this.rows.delete(row);
    for (const [row, value] of puts) this.rows.set(row, value);
    return results.flat();
  }

  register(stampMs: number, ttlMs: number, sessionsMax = 10): number {
    const [result] = this.apply(stampMs, { op: 'register', ttlMs, sessionsMax });
    if (result?.status !== 'registered') throw new Error(`not registered: ${result?.status}`);
    return result.clientId;
  }

  rowsUnder(prefix: string): Row[] {
    const { gte, lt } = prefixRows(prefix);
    return this.#sorted().filter((row) => row >= gte && row < lt);
  }

  /** Rows of one kind, in order. */
  rowsOf(letter: string): Row[] {
    return this.#sorted().filter((row) => row.startsWith(letter));
  }

  count(row: Row): number {
    return decodeCount(this.rows.get(row));
  }

  /** Every key in byte order. */
  entries(): { key: string; value: string; revision: number; deadlineMs: number }[] {
    return this.rowsOf('k').map((row) => {
      const { value, revision, deadlineMs } = decodeValue(this.rows.get(row)!);
      return { key: keyOfRow(row), value: value.toString('hex'), revision, deadlineMs };
    });
  }

  #sorted(): Row[] {
    return [...this.rows.keys()].toSorted();
  }
}
