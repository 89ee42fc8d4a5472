/**
 * The process of `power-cut.test.ts`: writes so many batches to a state, or restores one from them, of which the last ones may be beyond what an engine keeps in one
 * write-ahead log, has them made durable, and is killed at that moment.
 */

import { openDiskStateStore } from '../../persistence/disk/state-store.js';
import type { EngineName } from '../../persistence/engine.js';
import { loadEngine } from '../../persistence/load-engine.js';
import { restoreOf } from '../contracts/state-restore.js';
import { appliedAt } from '../contracts/state-store.js';
import { unexpected } from './directories.js';

/** Compresses badly, so that what the engine gathers is as large as what is written. */
const VALUE_BYTES = 256 * 1024;

const [directory = '', engine = '', way = '', batches = ''] = process.argv.slice(2);
const state = await openDiskStateStore({
  engine: await loadEngine(engine as EngineName),
  directory,
  fatal: unexpected,
});
const end = (): void => void process.kill(process.pid, 'SIGKILL');
const all = Array.from({ length: Number(batches) }, (_, at) =>
  [`row${at + 1}`, `too${at + 1}`].map((row) => [row, Buffer.alloc(VALUE_BYTES, row)] as const),
);
if (way === 'restore') {
  const restore = await restoreOf(state);
  for (const rows of all) await new Promise<void>((done) => restore.write(rows, done));
  restore.finish(appliedAt(all.length), end);
} else {
  for (const [at, puts] of all.entries())
    await new Promise<void>((done) => state.write({ applied: appliedAt(at + 1), puts, deletes: [] }, done));
  state.persist(end);
}
