/** A data directory with entries and rows in it, and what of it can still be seen after something befell its files. */

import { cp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { EngineName } from '../../persistence/engine.js';
import type { StorageError } from '../../persistence/errors.js';
import type { Storage } from '../../persistence/storage.js';
import { openStorage } from '../../persistence/storage.js';
import { ALL, appended, entriesOf, hardState } from '../contracts/log-store.js';
import { appliedAt, scanOf, valuesOf, written } from '../contracts/state-store.js';
import { unexpected } from './directories.js';

const KEYS = 400;
const PER_BATCH = 20;

export function openOn(
  dataDir: string,
  engine: EngineName,
  fatal: (error: StorageError) => void = unexpected,
): Promise<Storage> {
  return openStorage({
    dataDir,
    engine,
    nodeId: 'node1',
    clusterName: 'demo',
    tailBytesMax: ALL,
    cacheBytes: 0,
    fatal,
  });
}

export async function closed({ log, state }: Storage): Promise<void> {
  await Promise.all([log.store.close(), state.close()]);
}

function keyOf(number: number): string {
  return `key${String(number % KEYS).padStart(4, '0')}`;
}

/** What the state holds once it has applied `index`: every key written twice over, and some deleted. */
async function applyTo(storage: Storage, index: number): Promise<void> {
  const first = (index - 1) * PER_BATCH;
  const puts = Array.from({ length: PER_BATCH }, (_, i): [string, Buffer] => [
    keyOf(first + i),
    Buffer.from(`${first + i} `.repeat(20)),
  ]);
  const deletes = index % 5 === 0 ? [keyOf(first + PER_BATCH + 3)] : [];
  await written(storage.state, { applied: appliedAt(index), puts, deletes });
}

/** @param reopen makes table files of what else would stay in the write-ahead logs. */
export async function fill(dataDir: string, engine: EngineName, reopen: boolean): Promise<void> {
  let storage = await openOn(dataDir, engine);
  for (let index = 1; index <= (2 * KEYS) / PER_BATCH; index += 1) {
    // A second leader replaces what the first one left uncommitted.
    const term = index > 20 ? 2 : 1;
    const last = (index - 1) * 3;
    const back = index === 21 ? 2 : 0;
    await appended(storage.log.store, {
      entries: entriesOf(last + 1 - back, last + 3, term),
      hardState: hardState(term, `node${term}`, last - back),
    });
    await applyTo(storage, index);
    if (reopen && index % 20 === 0) {
      await closed(storage);
      storage = await openOn(dataDir, engine);
    }
  }
  await closed(storage);
}

/** What a node sees. `applied` may be lower than it was: what is missing is applied again from the log. */
export interface Sight {
  readonly log: string;
  readonly applied: number;
  readonly rows: string;
  readonly gotten: string;
  readonly backwards: string;
}

export type Look =
  | { readonly kind: 'refused' | 'failed'; readonly error: unknown }
  | { readonly kind: 'forgetful' }
  | { readonly kind: 'sound'; readonly sight: Sight };

/** Opens the directory, reads everything in every way, and closes it. */
export async function look(dataDir: string, engine: EngineName): Promise<Look> {
  const errors: StorageError[] = [];
  let report: () => void = () => undefined;
  const failed = new Promise<undefined>((resolve) => (report = () => resolve(undefined)));
  let storage: Storage;
  try {
    storage = await openOn(dataDir, engine, (error) => {
      errors.push(error);
      report();
    });
  } catch (error) {
    return { kind: 'refused', error };
  }
  const sight = await Promise.race([sightOf(storage), failed]);
  await closed(storage);
  if (errors.length > 0 || sight === undefined) return { kind: 'failed', error: errors[0] };
  return storage.assessment.kind === 'damaged' ? { kind: 'forgetful' } : { kind: 'sound', sight };
}

async function sightOf({ log, state }: Storage): Promise<Sight> {
  const everything = { limit: ALL, bytesMax: ALL };
  const text = (rows: ReadonlyArray<readonly [string, Buffer | undefined]>): string =>
    rows.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value.toString()}`])).join();
  const keys = Array.from({ length: KEYS }, (_, number) => keyOf(number));
  const values = await valuesOf(state, keys);
  const { term, vote } = log.recovered.hardState ?? { term: 0, vote: undefined };
  return {
    log: JSON.stringify([term, vote, log.recovered.tail]),
    applied: state.recovered.index,
    rows: text((await scanOf(state, everything)).entries),
    gotten: text(keys.map((key, i) => [key, values[i]])),
    backwards: text([...(await scanOf(state, { ...everything, reverse: true })).entries].reverse()),
  };
}

/** What the state held when it had applied so much, from a directory of its own. */
export async function rowsAfter(dataDir: string, engine: EngineName, applied: number): Promise<string> {
  const storage = await openOn(dataDir, engine);
  for (let index = 1; index <= applied; index += 1) await applyTo(storage, index);
  const { rows } = await sightOf(storage);
  await closed(storage);
  return rows;
}

/** A fault of one file, by three numbers that are drawn. */
export interface Fault {
  readonly file: number;
  readonly where: number;
  readonly cut: boolean;
}

/** Copies `from` to `to` and damages one of its files; says which, and how. */
export async function damagedCopy(from: string, to: string, fault: Fault): Promise<string> {
  await rm(to, { recursive: true, force: true });
  await cp(from, to, { recursive: true });
  const files: string[] = [];
  for (const entry of (await readdir(to, { recursive: true })).sort()) {
    const file = await stat(path.join(to, entry));
    if (file.isFile() && file.size > 0) files.push(entry);
  }
  const name = files[fault.file % files.length] ?? '';
  const file = path.join(to, name);
  const bytes = await readFile(file);
  const at = fault.where % bytes.length;
  if (fault.cut) await truncate(file, at);
  else {
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (fault.where % 8)), at);
    await writeFile(file, bytes);
  }
  return `${name} ${fault.cut ? 'cut' : 'flipped'} at ${at}`;
}
