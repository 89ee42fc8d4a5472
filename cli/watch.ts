/** `kv watch`: the changes of a key, or of all that begin with a prefix, until Ctrl-C. */

import type { WatchEvent } from 'quorumkv-client';
import { EXIT, type Context } from './context.js';
import { cellOf, jsonLine, printable, tabbed, write } from './output.js';
import { wireValue, type Value } from './value.js';

export interface WatchFlags {
  /** The argument is a prefix. */
  readonly prefix?: boolean;
  readonly fromRevision?: string;
  /** End after so many events. */
  readonly limit?: number;
}

export async function watch(context: Context, key: string, flags: WatchFlags): Promise<number> {
  const { client, format, signal } = context;
  const { fromRevision, prefix, limit = Number.POSITIVE_INFINITY } = flags;
  const what = prefix === true ? { prefix: key } : { key };
  let seen = 0;
  for await (const event of client.watch(what, { fromRevision, signal })) {
    await write(process.stdout, format === 'json' ? jsonLine(documentOf(event)) : lineOf(event));
    seen += 1;
    if (seen >= limit) break;
  }
  return EXIT.done;
}

function documentOf(event: WatchEvent<Value>): object {
  if (event.type === 'delete') return event;
  const { value, ...change } = event;
  return { ...change, ...wireValue(value) };
}

/** A table has no end here: people get the same lines as programs. */
function lineOf(event: WatchEvent<Value>): string {
  const detail = event.type === 'put' ? cellOf(event.value) : (event.reason ?? '');
  return tabbed([[event.type, printable(event.key), event.revision, detail]]);
}
