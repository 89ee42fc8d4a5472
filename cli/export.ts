/** `kv export`: the store as JSON lines or CSV, in the order of the keys' bytes. */

import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import type { Writable } from 'node:stream';
import { EXIT, type Context } from './context.js';
import { formatOf, headOf, textOfEntry, type FileFormat } from './file-format.js';
import { write } from './output.js';
import { createProgress } from './progress.js';

/** Lines gathered for one write. */
const BATCH_BYTES = 64 << 10;

export interface ExportFlags {
  readonly prefix?: string;
  readonly stale?: boolean;
  readonly format?: FileFormat;
}

export async function exportFile(context: Context, file: string, flags: ExportFlags): Promise<number> {
  const started = performance.now();
  const entries =
    file === '-'
      ? await dump(context, formatOf(file, flags.format), flags, process.stdout)
      : await toFile(context, flags, file);
  if (file !== '-' || process.stderr.isTTY) {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stderr.write(`exported ${entries} entries in ${seconds} s\n`);
  }
  return EXIT.done;
}

/** A file appears under its name only when it is whole: half an export must not pass for one. */
async function toFile(context: Context, flags: ExportFlags, file: string): Promise<number> {
  const partial = (await isSpecial(file)) ? file : `${file}.partial-${process.pid}`;
  const stream = createWriteStream(partial, { flush: partial !== file });
  // Whoever writes next finds the error; without a listener it would end the process.
  stream.on('error', () => undefined);
  try {
    const entries = await dump(context, formatOf(file, flags.format), flags, stream);
    stream.end();
    await finished(stream);
    if (partial !== file) await rename(partial, file);
    return entries;
  } catch (error) {
    stream.destroy();
    if (partial !== file) await rm(partial, { force: true });
    throw error;
  }
}

async function dump(
  { client, consistency, signal }: Context,
  format: FileFormat,
  flags: ExportFlags,
  out: Writable,
): Promise<number> {
  let entries = 0;
  let batch = headOf(format);
  // Output on the same terminal is progress enough.
  const progress = out === process.stdout ? undefined : createProgress(0);
  const listing = client.list({
    prefix: flags.prefix,
    consistency: flags.stale === true ? 'stale' : consistency,
    signal,
  });
  try {
    for await (const entry of listing) {
      batch += textOfEntry(format, entry);
      entries += 1;
      progress?.update(0, entries);
      if (batch.length < BATCH_BYTES) continue;
      await write(out, batch);
      if (out.errored !== null) throw out.errored;
      batch = '';
    }
    await write(out, batch);
  } finally {
    progress?.stop();
  }
  return entries;
}

/** A device or a pipe, such as /dev/stdout, is written to directly. */
async function isSpecial(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && !found.isFile();
}
