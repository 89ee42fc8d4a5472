import type { ExecutionContext } from 'ava';
import { ServiceError } from '../../server/service.js';
import { commandsOf } from '../../kv/shared.js';
import type { CommandResult, SetCommand } from '../../kv/command.js';
import type { Cluster, TestNode } from './cluster.js';

export function setOf(key: string, value: string): SetCommand {
  return { op: 'set', key, value: Buffer.from(value) };
}

/** Writes, and waits for the result. */
export function write(cluster: Cluster, on: TestNode, key: string, value: string): Promise<CommandResult> {
  return cluster.clock.until(on.service.write(setOf(key, value)), `a write of ${key}`);
}

/** Reads, and waits for the value. */
export async function read(
  cluster: Cluster,
  on: TestNode,
  key: string,
  consistency: 'linearizable' | 'stale' = 'linearizable',
): Promise<string | undefined> {
  const { entries } = await cluster.clock.until(on.service.read([key], consistency), `a read of ${key}`);
  return entries[0]?.value.toString();
}

/** What a request ended with, and when; a failure as `code outcome`. */
export async function ended(
  cluster: Cluster,
  request: Promise<unknown>,
): Promise<{ as: string; ms: number }> {
  const { clock } = cluster;
  const startMs = clock.nowMs();
  const end = (as: string): { as: string; ms: number } => ({ as, ms: clock.nowMs() - startMs });
  return clock.until(
    request.then(
      (result) => end(JSON.stringify(result)),
      (error: unknown) => {
        if (!(error instanceof ServiceError)) throw error;
        return end(`${error.code} ${error.outcome}`);
      },
    ),
    'the request ends',
  );
}

/** How often the log of a node, as far as it is applied, writes `key`. */
export async function timesApplied(
  t: ExecutionContext,
  cluster: Cluster,
  on: TestNode,
  key: string,
): Promise<number> {
  const entries = await cluster.clock.until(
    new Promise<readonly { readonly type: string; readonly data: Uint8Array }[]>((resolve) =>
      on.logStore.read(1, on.node.appliedIndex, Infinity, resolve),
    ),
    'the log is read',
  );
  t.true(entries.length > 0);
  const commands = entries.flatMap(({ type, data }) => (type === 'command' ? commandsOf(data) : []));
  return commands.filter((command) => 'key' in command && command.key === key).length;
}
