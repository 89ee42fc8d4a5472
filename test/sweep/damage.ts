/** Faults of single files: a bit that flips, an end that is missing. */

import { readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Random } from '../simulation/random.js';

export type FaultKind = 'flip' | 'cut';

export interface Damage {
  readonly kind: FaultKind;
  /** Relative to the data directory. */
  readonly file: string;
  /** The file's name without its number: all like it are one row of the table. */
  readonly group: string;
  readonly at: number;
  /** Puts the file back as it was. */
  readonly undo: () => void;
}

/** Every file that has a byte to lose. */
export function filesIn(dataDir: string): readonly { readonly name: string; readonly bytes: number }[] {
  const found: { name: string; bytes: number }[] = [];
  for (const name of readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).sort()) {
    const { size } = statSync(path.join(dataDir, name));
    const isFile = statSync(path.join(dataDir, name)).isFile();
    if (isFile && size > 0 && !name.startsWith('set-aside-')) found.push({ name, bytes: size });
  }
  return found;
}

/** Every second fault falls on a kind of file, whatever its size; the others fall on a byte of all there are. */
export function damageOne(dataDir: string, kind: FaultKind, byKind: boolean, random: Random): Damage {
  const files = filesIn(dataDir);
  const { name, at } = byKind ? ofAnyKind(files, random) : ofAllBytes(files, random);
  const file = path.join(dataDir, name);
  const before = readFileSync(file);
  if (kind === 'cut') truncateSync(file, at);
  else {
    const after = Buffer.from(before);
    after.writeUInt8(before.readUInt8(at) ^ (1 << random.whole(0, 7)), at);
    writeFileSync(file, after);
  }
  return { kind, file: name, group: groupOf(name), at, undo: () => writeFileSync(file, before) };
}

type Files = ReturnType<typeof filesIn>;
interface Place {
  readonly name: string;
  readonly at: number;
}

function ofAnyKind(files: Files, random: Random): Place {
  const group = random.pick([...new Set(files.map(({ name }) => groupOf(name)))].sort());
  const { name, bytes } = random.pick(files.filter((file) => groupOf(file.name) === group));
  return { name, at: random.whole(0, bytes - 1) };
}

function ofAllBytes(files: Files, random: Random): Place {
  let at = random.whole(0, files.reduce((sum, { bytes }) => sum + bytes, 0) - 1);
  for (const { name, bytes } of files) {
    if (at < bytes) return { name, at };
    at -= bytes;
  }
  throw new Error('there is no file to damage');
}

function groupOf(name: string): string {
  return name
    .replace(/[\da-f-]{8,}\.(snap|part|incoming)/, '*.$1')
    .replace(/(\D)\d{6,}/g, '$1*')
    .replace(/\.old\.\d+/, '.old');
}
