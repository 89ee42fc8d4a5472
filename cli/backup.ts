/** `kv backup` and `kv restore`: a whole store as one file, which checks itself by the SHA-256 at its end. */

import { createHash } from 'node:crypto';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { mkdir } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { PATHS } from '../api/paths.js';
import { EXIT, type Context } from './context.js';
import { openStream } from './http-stream.js';
import { jsonLine, printable, write } from './output.js';
import { createByteProgress } from './progress.js';

const DIGEST_BYTES = 32;
const MAGIC = Buffer.from('qkvsnap\n', 'latin1');
const READ_BYTES = 1 << 20;
/** Where a node looks for it at its first start. */
const RESTORE_FILE = 'restore.snap';

/** The file appears under its name only when it is whole, checked, and on disk. */
export async function backup({ format, ...asking }: Context, file: string): Promise<number> {
  const response = await ask(asking);
  const total = Number(response.headers['content-length'] ?? 0);
  const revision = String(response.headers['kv-revision'] ?? '');
  const digest = await copy(response, total, file);
  const done = { file, bytes: total, revision, digest };
  if (format === 'json') await write(process.stdout, jsonLine(done));
  else await write(process.stdout, `backed up revision ${revision} to ${printable(file)}, ${total} bytes\n`);
  return EXIT.done;
}

/** The first node that gives one. */
async function ask({
  endpoints,
  access,
  signal,
}: Pick<Context, 'endpoints' | 'access' | 'signal'>): Promise<IncomingMessage> {
  const failures: string[] = [];
  for (const endpoint of endpoints) {
    const scheme = access.tls === undefined ? 'http' : 'https';
    const url = new URL(PATHS.snapshot, /^https?:\/\//.test(endpoint) ? endpoint : `${scheme}://${endpoint}`);
    try {
      const response = await openStream(url, access, signal);
      if (response.statusCode === 200) return response;
      failures.push(`${url.host}: ${response.statusCode ?? 0} ${(await text(response)).slice(0, 300)}`);
    } catch (error) {
      signal.throwIfAborted();
      failures.push(`${url.host}: ${reasonOf(error)}`);
    }
  }
  throw new Error(`no node gives a backup: ${failures.join('; ')}`);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Puts a backup into data directories that are empty or not there yet, one of each node of a new cluster; their first start restores it.
 */
export async function restore(
  { format }: Pick<Context, 'format'>,
  file: string,
  directories: readonly string[],
): Promise<number> {
  for (const directory of directories) await checkEmpty(directory);
  const { size } = await stat(file);
  let digest = '';
  for (const directory of directories) {
    await mkdir(directory, { recursive: true });
    const handle = await open(file, 'r');
    try {
      digest = await copy(
        handle.createReadStream({ highWaterMark: READ_BYTES }),
        size,
        path.join(directory, RESTORE_FILE),
      );
    } finally {
      await handle.close().catch(() => undefined);
    }
  }
  if (format === 'json') await write(process.stdout, jsonLine({ file, digest, directories }));
  else await write(process.stdout, `${directories.map(printable).join(', ')}: ready; now start the nodes\n`);
  return EXIT.done;
}

async function checkEmpty(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  const [first] = names.filter((name) => !name.startsWith(RESTORE_FILE));
  if (first === undefined) return;
  throw new Error(
    `${directory} holds ${first}: a backup goes into a new cluster, so give each of its nodes an empty data directory`,
  );
}

/** Copies and checks; its digest in hex. */
async function copy(from: AsyncIterable<Uint8Array>, total: number, file: string): Promise<string> {
  const partial = `${file}.partial-${process.pid}`;
  const progress = createByteProgress(total);
  try {
    const handle = await open(partial, 'wx');
    try {
      const digest = await copyChecked(from, total, handle, (bytes) => progress.update(bytes));
      await handle.sync();
      await handle.close();
      await rename(partial, file);
      return digest;
    } finally {
      await handle.close().catch(() => undefined);
    }
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  } finally {
    progress.stop();
  }
}

async function copyChecked(
  from: AsyncIterable<Uint8Array>,
  total: number,
  to: FileHandle,
  update: (bytes: number) => void,
): Promise<string> {
  const hash = createHash('sha256');
  // The end is not known before it is there: what may belong to the digest is held back.
  let held = Buffer.alloc(0);
  let bytes = 0;
  let begin = Buffer.alloc(0);
  for await (const chunk of from) {
    if (begin.length < MAGIC.length) begin = Buffer.concat([begin, chunk]).subarray(0, MAGIC.length);
    await to.write(chunk);
    bytes += chunk.length;
    const all = Buffer.concat([held, chunk]);
    const end = Math.max(0, all.length - DIGEST_BYTES);
    hash.update(all.subarray(0, end));
    held = Buffer.from(all.subarray(end));
    update(bytes);
  }
  const digest = hash.digest();
  if (!begin.equals(MAGIC)) throw new Error('it is not a backup of quorumkv');
  if (bytes !== total || !digest.equals(held)) {
    throw new Error(`the backup is damaged or cut off after ${bytes} of ${total} bytes; take it again`);
  }
  return digest.toString('hex');
}
