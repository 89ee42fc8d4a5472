/** `kv get`, `kv set`, `kv delete`, `kv status`. */

import { addAbortSignal } from 'node:stream';
import type { ClusterStatusResponse, MemberStatus } from 'quorumkv-client';
import { EXIT, type Context } from './context.js';
import { cellOf, jsonLine, printable, tabbed, tableOf, write } from './output.js';
import { wireValue, type Value } from './value.js';

/** More than any value may have; keeps a mistaken `kv set key - < /dev/zero` from eating the memory. */
const STDIN_BYTES_MAX = 64 << 20;

export async function get({ client, format, consistency, signal }: Context, key: string): Promise<number> {
  const entry = await client.getEntry(key, { consistency, signal });
  if (entry === undefined) return notFound(key);
  const { value, revision } = entry;
  if (format === 'json') await write(process.stdout, jsonLine({ key, ...wireValue(value), revision }));
  // Exactly the value's bytes, with nothing added: `kv get a | kv set b -` makes a copy.
  else if (format === 'plain') await write(process.stdout, value);
  else {
    const row = [printable(key), cellOf(value), revision];
    await write(process.stdout, tableOf(['key', 'value', 'revision'], [row]));
  }
  return EXIT.done;
}

export interface SetFlags {
  /** In milliseconds. */
  readonly ttl?: number;
  readonly ifAbsent?: boolean;
  readonly ifRevision?: string;
}

export async function set(context: Context, key: string, argument: string, flags: SetFlags): Promise<number> {
  const { client, format, signal } = context;
  const value = argument === '-' ? await readStdin(signal) : argument;
  const { ttl: ttlMs, ifAbsent, ifRevision } = flags;
  const { revision } = await client.set(key, value, { ttlMs, ifAbsent, ifRevision, signal });
  if (format === 'json') await write(process.stdout, jsonLine({ success: true, key, revision }));
  else if (format === 'plain') await write(process.stdout, `${revision}\n`);
  else await write(process.stdout, `set ${printable(key)}, revision ${revision}\n`);
  return EXIT.done;
}

export interface DeleteFlags {
  readonly ifRevision?: string;
  /** The argument is a prefix. */
  readonly prefix?: boolean;
}

export async function remove(context: Context, key: string, flags: DeleteFlags): Promise<number> {
  const { client, format, signal } = context;
  const { ifRevision, prefix } = flags;
  if (prefix === true) return removePrefix(context, key);
  const deleted = await client.delete(key, { ifRevision, signal });
  if (format === 'json') await write(process.stdout, jsonLine({ success: true, key, deleted }));
  if (!deleted) return notFound(key);
  if (format === 'plain') await write(process.stdout, 'deleted\n');
  else if (format === 'table') await write(process.stdout, `deleted ${printable(key)}\n`);
  return EXIT.done;
}

async function removePrefix({ client, format, signal }: Context, prefix: string): Promise<number> {
  const deleted = await client.deletePrefix(prefix, { signal });
  if (format === 'json') await write(process.stdout, jsonLine({ success: true, prefix, deleted }));
  else if (format === 'plain') await write(process.stdout, `${deleted}\n`);
  else await write(process.stdout, `deleted ${deleted} keys\n`);
  return EXIT.done;
}

export async function status({ client, format, signal }: Context): Promise<number> {
  const first = await client.cluster.status({ signal });
  // Only the leader knows how far the others are; by now the client knows the leader. Without one, any view will do.
  const report = first.isLeader || first.leader === null ? first : await client.cluster.status({ signal });
  if (format === 'json') await write(process.stdout, jsonLine(report));
  else if (format === 'plain') await write(process.stdout, tabbed(memberRows(report)));
  else await write(process.stdout, statusText(report));
  return EXIT.done;
}

export const MEMBER_HEAD = [
  'id',
  'role',
  'http',
  'voter',
  'match index',
  'lag',
  'lag bytes',
  'last contact',
  'reachable',
  'snapshot',
  'version',
];

export function memberRows(report: Pick<ClusterStatusResponse, 'members'>): string[][] {
  return report.members.map((member) => [
    member.id,
    member.role,
    member.http,
    yesNo(member.voter),
    orDash(member.matchIndex),
    orDash(member.lagEntries),
    orDash(member.lagBytes),
    member.lastContactMs === null ? '-' : `${Math.round(member.lastContactMs)}ms`,
    member.reachable === null ? '-' : yesNo(member.reachable),
    progressText(member.snapshot),
    member.version ?? '-',
  ]);
}

function progressText(progress: MemberStatus['snapshot']): string {
  if (progress === null) return '-';
  const { phase, bytes, totalBytes } = progress;
  return totalBytes === null ? `${phase} ${bytes}` : `${phase} ${bytes}/${totalBytes}`;
}

function statusText(report: ClusterStatusResponse): string {
  const { leader } = report;
  const leading = leader === null ? 'no leader' : `leader ${leader.id} (${leader.http})`;
  const line = `cluster ${report.cluster}: ${leading}, term ${report.term}, commit index ${report.commitIndex}; seen by ${report.id}`;
  return `${printable(line)}\n${tableOf(
    MEMBER_HEAD,
    memberRows(report).map((row) => row.map(printable)),
  )}`;
}

function yesNo(flag: boolean): string {
  return flag ? 'yes' : 'no';
}

function orDash(value: number | null): string {
  return value === null ? '-' : String(value);
}

function notFound(key: string): number {
  process.stderr.write(`kv: key not found: ${printable(key)}\n`);
  return EXIT.notFound;
}

/** All of standard input. */
export async function readStdin(signal: AbortSignal): Promise<Value> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of addAbortSignal(signal, process.stdin) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > STDIN_BYTES_MAX)
      throw new Error(`the value on standard input is over ${STDIN_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
