/** `kv members …`, `kv snapshot`, and the log of the prompt: what is done to the cluster itself. */

import type { ChangeResult } from 'quorumkv-client';
import { MEMBER_HEAD, memberRows } from './commands.js';
import { EXIT, type Context } from './context.js';
import { jsonLine, printable, tabbed, tableOf, write } from './output.js';

export interface MemberFlags {
  readonly raft: string;
  readonly rpc: string;
  readonly http: string;
  readonly learner?: boolean;
}

export async function listMembers({ client, format, signal }: Context): Promise<number> {
  const members = await client.cluster.members({ signal });
  if (format === 'json') await write(process.stdout, jsonLine({ members }));
  else await printRows(format, MEMBER_HEAD, memberRows({ members }));
  return EXIT.done;
}

export async function addMember(context: Context, id: string, flags: MemberFlags): Promise<number> {
  const { raft, rpc, http, learner } = flags;
  const voter = learner === true ? { voter: false } : {};
  const { client, signal } = context;
  return report(context, await client.cluster.addMember({ id, raft, rpc, http, ...voter }, { signal }));
}

export async function removeMember(context: Context, id: string): Promise<number> {
  const { client, signal } = context;
  return report(context, await client.cluster.removeMember(id, { signal }));
}

export async function promote(context: Context, id: string): Promise<number> {
  const { client, signal } = context;
  return report(context, await client.cluster.promote(id, { signal }));
}

export async function transfer(context: Context, to: string | undefined): Promise<number> {
  const { client, signal } = context;
  return report(context, await client.cluster.transferLeadership(to, { signal }));
}

export async function snapshot(context: Context): Promise<number> {
  const { client, format, signal } = context;
  const result = await client.cluster.snapshot({ signal });
  if (!result.done) return report(context, result);
  const { id, index, term, bytes, node } = result.snapshot;
  const text = `${node} has taken a snapshot at index ${index}, term ${term}, of ${bytes} bytes`;
  if (format === 'json') await write(process.stdout, jsonLine(result.snapshot));
  else await write(process.stdout, `${format === 'plain' ? printable(id) : printable(text)}\n`);
  return EXIT.done;
}

export async function log({ client, format, signal }: Context, limit: number | undefined): Promise<number> {
  const entries = await client.cluster.log(limit, { signal });
  if (format === 'json') {
    await write(process.stdout, jsonLine({ entries }));
    return EXIT.done;
  }
  const rows = entries.map(({ index, term, type, size, key }) => [
    String(index),
    String(term),
    type,
    String(size),
    key ?? '-',
  ]);
  await printRows(format, ['index', 'term', 'type', 'bytes', 'key'], rows);
  return EXIT.done;
}

async function printRows(
  format: 'table' | 'plain',
  head: readonly string[],
  rows: string[][],
): Promise<void> {
  const safe = rows.map((row) => row.map(printable));
  await write(process.stdout, format === 'plain' ? tabbed(rows) : tableOf(head, safe));
}

/** A change that outlasts the request goes on by itself: that is no error. */
async function report({ format }: Context, result: ChangeResult): Promise<number> {
  const text = result.done ? 'done' : `under way, waiting for ${printable(result.waitingFor)}`;
  await write(process.stdout, format === 'json' ? jsonLine(result) : `${text}\n`);
  return EXIT.done;
}
