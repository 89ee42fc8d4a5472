/** What every command works with: the global options, a client, and the signal of Ctrl-C. */

import { KVClient, type Consistency } from 'quorumkv-client';
import type { Format } from './output.js';
import { valueCodec, type Value } from './value.js';

export interface GlobalOptions {
  readonly endpoints: readonly string[];
  readonly output?: Format;
  readonly consistency?: Consistency;
  /** In milliseconds. */
  readonly timeout?: number;
}

export interface Context {
  readonly client: KVClient<Value>;
  readonly endpoints: readonly string[];
  readonly format: Format;
  readonly consistency: Consistency | undefined;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** The exit codes of `kv`, beside those of signals. */
export const EXIT = Object.freeze({ done: 0, error: 1, notFound: 2 });

/** Runs a command with a client that is closed behind it. */
export async function withContext(
  options: GlobalOptions,
  signal: AbortSignal,
  timeoutMs: number | undefined,
  command: (context: Context) => Promise<number>,
): Promise<number> {
  const client = new KVClient<Value>({
    endpoints: options.endpoints,
    timeoutMs: options.timeout ?? timeoutMs,
    codec: valueCodec,
  });
  try {
    return await command({
      client,
      endpoints: options.endpoints,
      // People want to see structure; a pipe wants the bytes.
      format: options.output ?? (process.stdout.isTTY ? 'table' : 'plain'),
      consistency: options.consistency,
      signal,
    });
  } finally {
    await client.close();
  }
}
