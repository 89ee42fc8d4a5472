import { keysOf } from '../kv/apply.js';
import { commandsOf } from '../kv/shared.js';
import type { LogStore } from '../persistence/log-store.js';
import type { Entry, Index } from '../raft/entry.js';
import type { Node } from './node.js';
import { shuttingDown } from './leadership.js';
import type { LogLine } from './service.js';

/** One read takes so many bytes of entries, of which only a line each is kept. */
const READ_BYTES_MAX = 1024 * 1024;

/** What the newest entries are that are durable and applied here, the newest first. Rejects with `shutting-down`. */
export async function newestLines(
  node: Pick<Node, 'state' | 'appliedIndex' | 'isStopped'>,
  logStore: Pick<LogStore, 'read'>,
  limit: number,
): Promise<LogLine[]> {
  // What is applied stays where it is; entries behind may yet be replaced.
  const to = node.appliedIndex;
  const lines: LogLine[] = [];
  let from = Math.max(node.state.log.firstIndex, to - limit + 1);
  while (from <= to) {
    if (node.isStopped) throw shuttingDown();
    // The log may have been compacted since the last read.
    from = Math.max(from, node.state.log.firstIndex);
    const entries = await read(logStore, from, to);
    for (const entry of entries) lines.push(...linesOf(entry));
    from += entries.length;
  }
  return lines.reverse().slice(0, limit);
}

function read(logStore: Pick<LogStore, 'read'>, from: Index, to: Index): Promise<readonly Entry[]> {
  return new Promise((resolve) => logStore.read(from, to, READ_BYTES_MAX, resolve));
}

/** Writes that share an entry have a line each. */
function linesOf({ index, term, type, data }: Entry): LogLine[] {
  const line = { index, term, bytes: data.length };
  if (type !== 'command') return [{ ...line, type }];
  return commandsOf(data).map((command) => {
    const [key] = command.op === 'delete-prefix' ? [command.prefix] : keysOf(command);
    return { ...line, type: command.op, ...(key !== undefined && { key }) };
  });
}
