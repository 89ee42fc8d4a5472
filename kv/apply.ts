/**
 * What commands do. A function of the state and the entry alone: no clock, no chance, no setting of a node, so that
 * every node comes to the same state and the same results.
 */

import type { Command, CommandResult } from './command.js';
import { KEY_COUNT_ROW, decodeCount, decodeValue, encodeCount, encodeValue, keyRow } from './rows.js';
import type { WorkingSet } from './working-set.js';

/** Every row that applying the commands reads; without repeats. */
export function rowsRead(commands: readonly Command[]): Buffer[] {
  const keys = new Set(commands.map((command) => command.key));
  return [KEY_COUNT_ROW, ...[...keys].map(keyRow)];
}

/** `index`: that of the command's log entry; the revision of what it writes. */
export function apply(set: WorkingSet, command: Command, index: number): CommandResult {
  const row = keyRow(command.key);
  const found = set.get(row);
  const currentRevision = found === undefined ? 0 : decodeValue(found).revision;
  if (refused(command, currentRevision)) return { status: 'revision-mismatch', currentRevision };
  if (command.op === 'set') {
    set.put(row, encodeValue(index, command.value));
    if (found === undefined) count(set, 1);
    return { status: 'set', revision: index };
  }
  if (found === undefined) return { status: 'not-found', revision: index };
  set.delete(row);
  count(set, -1);
  return { status: 'deleted', revision: index };
}

function refused(command: Command, currentRevision: number): boolean {
  if (command.ifRevision !== undefined && command.ifRevision !== currentRevision) return true;
  return command.op === 'set' && command.ifAbsent === true && currentRevision !== 0;
}

function count(set: WorkingSet, change: 1 | -1): void {
  set.put(KEY_COUNT_ROW, encodeCount(decodeCount(set.get(KEY_COUNT_ROW)) + change));
}
