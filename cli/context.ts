/** What every command works with: the global options, a client, and the signal of Ctrl-C. */

import { readFileSync } from 'node:fs';
import { KVClient, type Consistency } from 'quorumkv-client';
import type { Format } from './output.js';
import { valueCodec, type Value } from './value.js';

export interface GlobalOptions {
  readonly endpoints: readonly string[];
  readonly output?: Format;
  readonly consistency?: Consistency;
  /** In milliseconds. */
  readonly timeout?: number;
  readonly token?: string;
  /** PEM files. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** What every request shows, and whom it believes. */
export interface Access {
  readonly auth: { readonly token: string } | undefined;
  readonly tls: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer } | undefined;
}

export interface Context {
  readonly client: KVClient<Value>;
  readonly endpoints: readonly string[];
  readonly access: Access;
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
  const access = accessOf(options);
  const client = new KVClient<Value>({
    ...access,
    endpoints: options.endpoints,
    timeoutMs: options.timeout ?? timeoutMs,
    codec: valueCodec,
  });
  try {
    return await command({
      client,
      endpoints: options.endpoints,
      access,
      // People want to see structure; a pipe wants the bytes.
      format: options.output ?? (process.stdout.isTTY ? 'table' : 'plain'),
      consistency: options.consistency,
      signal,
    });
  } finally {
    await client.close();
  }
}

function accessOf({ token, ca, cert, key }: GlobalOptions): Access {
  const files = Object.entries({ ca, cert, key }).flatMap(([name, file]) =>
    file === undefined ? [] : [[name, readPem(`--${name}`, file)] as const],
  );
  return {
    auth: token === undefined ? undefined : { token },
    tls: files.length === 0 ? undefined : Object.fromEntries(files),
  };
}

function readPem(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`${option}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
