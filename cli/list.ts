/** `kv list`: entries in the order of their keys' bytes. */

import type { KVEntry } from 'quorumkv-client';
import { EXIT, type Context } from './context.js';
import { cellOf, jsonLine, printable, tabbed, tableOf, write } from './output.js';
import { wireValue, type Value } from './value.js';

/** Entries that share one table: a listing may be longer than memory, and the width of a table is that of its rows. */
const TABLE_ROWS = 500;

export interface ListFlags {
  readonly start?: string;
  readonly end?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
  readonly keysOnly?: boolean;
}

export async function list(context: Context, prefix: string | undefined, flags: ListFlags): Promise<number> {
  const { client, format, consistency, signal } = context;
  const { start, end, limit, reverse, keysOnly } = flags;
  let rows: string[][] = [];
  const head = keysOnly === true ? ['key'] : ['key', 'value', 'revision'];
  const flush = async () => {
    await write(process.stdout, tableOf(head, rows));
    rows = [];
  };
  for await (const entry of client.list({ prefix, start, end, limit, reverse, consistency, signal })) {
    if (format === 'json') await write(process.stdout, jsonLine(documentOf(entry, keysOnly)));
    else if (format === 'plain') await write(process.stdout, tabbed([rowOf(entry, keysOnly)]));
    else rows.push(rowOf(entry, keysOnly));
    if (rows.length === TABLE_ROWS) await flush();
  }
  if (rows.length > 0) await flush();
  return EXIT.done;
}

function rowOf({ key, value, revision }: KVEntry<Value>, keysOnly: boolean | undefined): string[] {
  return keysOnly === true ? [printable(key)] : [printable(key), cellOf(value), revision];
}

function documentOf({ key, value, revision, ttlMs }: KVEntry<Value>, keysOnly: boolean | undefined): object {
  if (keysOnly === true) return { key, revision };
  return { key, ...wireValue(value), revision, ...(ttlMs === undefined ? {} : { ttlMs }) };
}
