/**
 * Tells a data directory from a copy of it. A small file knows its own inode and birth time, which a copy or a restored backup does not have.
 * What a copy promised before it was made may be less than what the original has promised since.
 */

import { open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { errorCode, syncDirectory } from './files.js';

const FILE = 'birthmark.json';

const markSchema = z.strictObject({
  inode: z.string(),
  /** Null where the file system does not tell. */
  bornNs: z.string().nullable(),
});

/** True for a copy. The first look at a directory leaves the mark. */
export async function isCopy(dataDir: string): Promise<boolean> {
  const file = path.join(dataDir, FILE);
  const mark = await readMark(file);
  if (mark === undefined) {
    await leaveMark(dataDir);
    return false;
  }
  const { ino, birthtimeNs } = await stat(file, { bigint: true });
  return mark.inode !== String(ino) || (mark.bornNs !== null && mark.bornNs !== String(birthtimeNs));
}

/** From now on this directory is no copy any more. */
export async function leaveMark(dataDir: string): Promise<void> {
  const handle = await open(path.join(dataDir, FILE), 'w');
  try {
    const before = await handle.stat({ bigint: true });
    const inode = String(before.ino);
    const { bytesWritten } = await handle.write(markText(inode, String(before.birthtimeNs)), 0);
    await handle.sync();
    const after = await handle.stat({ bigint: true });
    // Some file systems give the time of the last change for that of the birth.
    if (before.birthtimeNs === 0n || after.birthtimeNs !== before.birthtimeNs) {
      await handle.truncate(0);
      await handle.write(markText(inode, null), 0);
      await handle.sync();
    } else if (bytesWritten === 0) throw new Error(`${FILE} can't be written`);
  } finally {
    await handle.close();
  }
  await syncDirectory(dataDir);
}

function markText(inode: string, bornNs: string | null): string {
  return `${JSON.stringify({ inode, bornNs })}\n`;
}

/** Undefined when there is none, or none that was finished. */
async function readMark(file: string): Promise<z.infer<typeof markSchema> | undefined> {
  try {
    const parsed = markSchema.safeParse(JSON.parse(await readFile(file, 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
