import test from 'ava';
import type { ExecutionContext } from 'ava';
import { configuration } from '../../membership/configuration.js';
import { StorageError } from '../../persistence/errors.js';
import type { LogBatch, LogStore, RecoveredLog } from '../../persistence/log-store.js';
import { memoryLogDisk, openMemoryLogStore } from '../../persistence/memory/log-store.js';
import type { Applied } from '../../persistence/state-store.js';
import { NOTHING_APPLIED } from '../../persistence/state-store.js';
import { firstBatch } from '../../server/bootstrap.js';
import { isFresh, recoverSeed, checkForgetful } from '../../server/recovery.js';

const member = { id: 'n1', incarnation: 'i1', raft: 'n1:1', rpc: 'n1:2', http: 'n1:3', voter: true };
const FIRST = configuration('c1', [member]);
const { entries } = firstBatch(FIRST);
const command = (index: number, term: number): LogBatch['entries'][number] => ({
  index,
  term,
  type: 'command',
  data: Buffer.alloc(0),
});

function logOf(batch: LogBatch): { store: LogStore; recovered: RecoveredLog } {
  const disk = memoryLogDisk();
  disk.entries.push(...batch.entries);
  disk.hardState = batch.hardState;
  return openMemoryLogStore({ disk, tailBytesMax: 1000, defer: (task) => void setImmediate(task) });
}

const appliedTo = (index: number, term: number): Applied => ({
  index,
  term,
  configuration: FIRST,
  configurationIndex: 1,
});

const LOG = logOf({
  entries: [...entries, command(2, 2), command(3, 2)],
  hardState: { term: 3, vote: 'n1', commit: 1 },
});

async function refusalOf(t: ExecutionContext, ...args: Parameters<typeof recoverSeed>): Promise<string> {
  const error = await t.throwsAsync(() => recoverSeed(...args), { instanceOf: StorageError });
  t.is(error.fault, 'damaged');
  t.notRegex(error.message, /\n/);
  return error.message;
}

test('log and state together give the start', async (t) => {
  const seed = await recoverSeed('/d', LOG.store, LOG.recovered, appliedTo(2, 2));
  // What was applied is committed, whatever the hard state knew.
  t.deepEqual(seed.hardState, { term: 3, vote: 'n1', commit: 2 });
  t.like(seed.log, { lastIndex: 3, applied: 2 });
  t.deepEqual(seed.configuration, FIRST);
});

test('before anything is applied, the configuration is that of the first entry', async (t) => {
  const seed = await recoverSeed('/d', LOG.store, LOG.recovered, NOTHING_APPLIED);
  t.deepEqual(seed.configuration, FIRST);
  t.deepEqual(seed.hardState.commit, 1);
});

test('only a directory that never held anything is fresh', (t) => {
  const empty = logOf({ entries: [] }).recovered;
  t.true(isFresh(empty, NOTHING_APPLIED));
  t.false(isFresh(LOG.recovered, NOTHING_APPLIED));
  t.false(isFresh(empty, appliedTo(2, 2)));
  t.false(
    isFresh(
      logOf({ entries: [], hardState: { term: 1, vote: undefined, commit: 0 } }).recovered,
      NOTHING_APPLIED,
    ),
  );
});

test('a state that is ahead of its log is refused: the log has lost entries', async (t) => {
  const message = await refusalOf(t, '/d', LOG.store, LOG.recovered, appliedTo(4, 2));
  t.regex(message, /^\/d is damaged: the state has applied entry 4, the log holds 1 to 3; restore/);
});

test('a state without its log is refused', async (t) => {
  const { store, recovered } = logOf({ entries: [] });
  t.regex(await refusalOf(t, '/d', store, recovered, appliedTo(2, 2)), /lost its term and vote/);
});

test('a log without a configuration is refused', async (t) => {
  const none = logOf({ entries: [], hardState: { term: 3, vote: 'n1', commit: 0 } });
  t.regex(await refusalOf(t, '/d', none.store, none.recovered, NOTHING_APPLIED), /no configuration/);
  const other = logOf({ entries: [command(1, 1)], hardState: { term: 3, vote: 'n1', commit: 0 } });
  t.regex(
    await refusalOf(t, '/d', other.store, other.recovered, NOTHING_APPLIED),
    /does not begin with a configuration/,
  );
});

test('an empty log under the identity of a cluster is refused: its votes are forgotten', (t) => {
  const identity = {
    formatVersion: 1,
    engine: 'rocksdb',
    clusterName: 'test',
    clusterId: 'c1',
    nodeId: 'n1',
    incarnation: 'i1',
  };
  t.notThrows(() => checkForgetful('/d', { ...identity, clusterId: null }));
  const error = t.throws(() => checkForgetful('/d', identity), { instanceOf: StorageError });
  t.is(error.fault, 'damaged');
  t.regex(
    error.message,
    /^\/d is damaged: the log is empty, but the node belongs to the cluster c1; restore/,
  );
});
