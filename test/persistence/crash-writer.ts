/**
 * The process that `crash.test.ts` kills: it goes on where the directory ends, appending to the log, which it compacts, and writing to the
 * state, which it replaces by itself now and then, unless it is told to `keep` it; and it says after each `done` how far it has come.
 */

import { writeSync } from 'node:fs';
import path from 'node:path';
import { openDiskLogStore } from '../../persistence/disk/log-store.js';
import { openDiskStateStore } from '../../persistence/disk/state-store.js';
import { appended, compacted, entriesOf, readOf } from '../contracts/log-store.js';
import { closed, finished, nextOf, restoreOf, viewOf } from '../contracts/state-restore.js';
import { batchOf, written } from '../contracts/state-store.js';
import type { EngineName } from '../../persistence/engine.js';
import { loadEngine } from '../../persistence/load-engine.js';
import { unexpected } from './directories.js';

const dataDir = process.argv[2] ?? '';
const keepsState = process.argv[4] === 'keep';
const engine = await loadEngine(process.argv[3] as EngineName);
const log = await openDiskLogStore({
  engine,
  directory: path.join(dataDir, 'log'),
  tailBytesMax: 0,
  fatal: unexpected,
});
const state = await openDiskStateStore({
  engine,
  directory: path.join(dataDir, 'state'),
  fatal: unexpected,
});

const say = (line: string): void => void writeSync(1, `${line}\n`);

async function writeLog(): Promise<void> {
  let last = log.recovered.lastIndex;
  let term = (log.recovered.hardState?.term ?? 0) + 1;
  let base = log.recovered.base.index;
  const compaction = { running: false };
  /** Beside the appends. */
  const compactTo = async (index: number): Promise<void> => {
    compaction.running = true;
    const [entry] = await readOf(log.store, index, index);
    if (entry === undefined) throw new Error(`entry ${index} is missing`);
    await compacted(log.store, { index, term: entry.term });
    base = index;
    compaction.running = false;
    say(`base ${index}`);
  };
  for (;;) {
    if (!compaction.running && last > base + 15) void compactTo(last - 8);
    // Now and then a new leader replaces the last two entries.
    const replaces = last % 7 === 0 && last > 0;
    if (replaces) term += 1;
    const first = replaces ? last - 1 : last + 1;
    const entries = entriesOf(first, first + 2, term);
    await appended(log.store, { entries, hardState: { term, vote: `node${term % 3}`, commit: first - 1 } });
    last = first + 2;
    say(`log ${last} ${term}`);
  }
}

async function writeState(): Promise<void> {
  for (let index = state.recovered.index + 1; ; index += 1) {
    await written(state, batchOf(index, { [`row${index}`]: String(index), last: String(index) }));
    say(`state ${index}`);
    if (index % 10 === 0 && !keepsState) await replaceState();
  }
}

async function replaceState(): Promise<void> {
  const view = await viewOf(state);
  const restore = await restoreOf(state);
  for (;;) {
    const rows = await nextOf(view, 100);
    if (rows.length === 0) break;
    await new Promise<void>((resolve) => restore.write(rows, resolve));
  }
  await closed(view);
  await finished(restore, view.applied);
  say('restored');
}

say('ready');
await Promise.all([writeLog(), writeState()]);
