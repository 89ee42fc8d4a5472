import test from 'ava';
import type { ExecutionContext } from 'ava';
import { configuration } from '../../membership/configuration.js';
import { StorageError } from '../../persistence/errors.js';
import type { LogBatch, LogStore, RecoveredLog } from '../../persistence/log-store.js';
import { memoryLogDisk, openMemoryLogStore } from '../../persistence/memory/log-store.js';
import type { Assessment } from '../../persistence/assess.js';
import type { Applied, StateStore } from '../../persistence/state-store.js';
import { NOTHING_APPLIED } from '../../persistence/state-store.js';
import { firstBatch } from '../../server/bootstrap.js';
import type { Snapshot } from '../../raft/entry.js';
import type { Recovered, Remains } from '../../server/recovery.js';
import { forgottenPromise, isFresh, recoverSeed } from '../../server/recovery.js';

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

/** It begins behind entry 5. */
const compacted = (members: typeof FIRST): ReturnType<typeof logOf> => {
  const disk = memoryLogDisk();
  disk.base = { index: 5, term: 2, configuration: members, configurationIndex: 1 };
  disk.entries.push(command(6, 2), command(7, 2));
  disk.hardState = { term: 3, vote: 'n1', commit: 6 };
  return openMemoryLogStore({ disk, tailBytesMax: 1000, defer: (task) => void setImmediate(task) });
};

const COMPACTED = compacted(FIRST);

const NO_SNAPSHOT = (): Promise<undefined> => Promise.resolve(undefined);

/** What recovery makes of it, and to where the log was emptied. */
async function recovered(
  log: ReturnType<typeof logOf>,
  applied: Applied,
  more: Partial<Remains> = {},
): Promise<Recovered & { reset: Snapshot | undefined }> {
  let reset: Snapshot | undefined;
  const remains: Remains = {
    dataDir: '/d',
    log: log.recovered,
    logStore: {
      reset: (base, _, done) => {
        reset = base;
        done();
      },
    },
    stateStore: { persist: (done) => done(applied) },
    applied,
    assessment: undefined,
    restoreNewest: NO_SNAPSHOT,
    ...more,
  };
  return { ...(await recoverSeed(remains)), reset };
}

async function refusalOf(t: ExecutionContext, ...args: Parameters<typeof recovered>): Promise<string> {
  const error = await t.throwsAsync(() => recovered(...args), { instanceOf: StorageError });
  t.is(error.fault, 'damaged');
  t.notRegex(error.message, /\n/);
  return error.message;
}

test('log and state together give the start', async (t) => {
  const { seed, applied } = await recovered(LOG, appliedTo(2, 2));
  // What was applied is committed, whatever the hard state knew.
  t.deepEqual(seed.hardState, { term: 3, vote: 'n1', commit: 2 });
  t.like(seed.log, { lastIndex: 3, applied: 2 });
  t.deepEqual(seed.configurations, [{ index: 1, configuration: FIRST }]);
  t.is(applied.index, 2);
});

test('before anything is applied, the configuration is that of the first entry', async (t) => {
  const { seed } = await recovered(LOG, NOTHING_APPLIED);
  t.deepEqual(seed.configurations, [{ index: 1, configuration: FIRST }]);
  t.deepEqual(seed.hardState.commit, 1);
});

test('a state that ends behind the log, or beside it, came with a snapshot: the log is dropped', async (t) => {
  for (const applied of [appliedTo(9, 2), appliedTo(3, 3)]) {
    const { seed, reset, log } = await recovered(LOG, applied);
    t.deepEqual(reset, { ...applied, configuration: FIRST });
    t.like(seed.log, { base: { index: applied.index, term: applied.term }, lastIndex: applied.index });
    t.deepEqual(seed.hardState, { term: 3, vote: 'n1', commit: applied.index });
    t.deepEqual(log, { base: applied.index, last: applied.index, bytes: 0 });
  }
});

test('a state that ends before the log begins is restored from a snapshot', async (t) => {
  const asked: number[] = [];
  const restoreNewest = (atLeast: number): Promise<Applied> => {
    asked.push(atLeast);
    return Promise.resolve(appliedTo(6, 2));
  };
  const { seed, applied, reset } = await recovered(COMPACTED, appliedTo(2, 2), { restoreNewest });
  t.deepEqual(asked, [5]);
  t.is(applied.index, 6);
  t.like(seed.log, { lastIndex: 7, applied: 6 });
  t.is(reset, undefined);
});

test('without a snapshot such a state is left to be asked of the leader', async (t) => {
  const both = configuration('c1', [member, { ...member, id: 'n2' }]);
  const { seed, applied } = await recovered(compacted(both), NOTHING_APPLIED);
  t.is(applied.index, 0);
  t.like(seed.log, { base: { index: 5, term: 2 }, applied: 0 });
  t.deepEqual(seed.configurations, [{ index: 1, configuration: both }]);
});

test('without a snapshot and without another node there is nobody to ask', async (t) => {
  t.regex(await refusalOf(t, COMPACTED, NOTHING_APPLIED), /the state is lost, .* there is no other node/);
});

test('a log that has lost its end says to where it reached, or is refused when nobody knows', async (t) => {
  const what = 'the log ends early';
  const mark = { term: 3, vote: 'n1', last: { index: 9, term: 3 } };
  const { seed } = await recovered(LOG, appliedTo(2, 2), { assessment: { kind: 'damaged', what, mark } });
  t.deepEqual(seed.lostEnd, { index: 9, term: 3 });
  const unknown = { kind: 'damaged', what, mark: undefined } as const;
  t.regex(await refusalOf(t, LOG, appliedTo(2, 2), { assessment: unknown }), /the log ends early; restore/);
  const whole = await recovered(LOG, appliedTo(2, 2), { assessment: { kind: 'whole' } });
  t.is(whole.seed.lostEnd, undefined);
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

test('a state without its log is refused', async (t) => {
  t.regex(await refusalOf(t, logOf({ entries: [] }), appliedTo(2, 2)), /lost its term and vote/);
});

test('a log that tells no configuration is refused', async (t) => {
  const hardState = { term: 3, vote: 'n1', commit: 0 };
  for (const entries of [[], [command(1, 1)]])
    t.regex(await refusalOf(t, logOf({ entries, hardState }), NOTHING_APPLIED), /who the members are/);
});

test('a first snapshot whose log had not followed yet: the log begins behind it, in its term at least', async (t) => {
  const whole = { kind: 'whole' } as const;
  const applied = appliedTo(9, 2);
  for (const [hardState, after] of [
    [
      { term: 3, vote: 'n1', commit: 0 },
      { term: 3, vote: 'n1', commit: 9 },
    ],
    // The term in which the snapshot came was not on disk yet.
    [
      { term: 1, vote: 'n1', commit: 0 },
      { term: 2, vote: undefined, commit: 9 },
    ],
  ] as const) {
    const disk = memoryLogDisk();
    disk.hardState = hardState;
    const open = (): ReturnType<typeof logOf> =>
      openMemoryLogStore({ disk, tailBytesMax: 1000, defer: (task) => void setImmediate(task) });
    const log = open();
    const { seed } = await recovered(log, applied, { assessment: whole, logStore: log.store });
    t.like(seed.log, { base: { index: 9, term: 2 }, lastIndex: 9, applied: 9 });
    t.deepEqual(seed.configurations, [{ index: 1, configuration: FIRST }]);
    t.deepEqual(seed.hardState, after);
    await log.store.close();
    // From then on it is like any log behind a snapshot.
    const again = open().recovered;
    t.like(again, { base: { index: 9, term: 2 }, lastIndex: 9, hardState: after });
  }
  const taken = logOf({ entries: [], hardState: { term: 3, vote: 'n1', commit: 0 } });
  const what = 'the log ends with no entry, but entry 4 was durable in it';
  const mark = { term: 3, vote: 'n1', last: { index: 4, term: 2 } };
  t.regex(
    await refusalOf(t, taken, applied, { assessment: { kind: 'damaged', what, mark } }),
    /entry 4 was durable/,
  );
  const ofNobody = { ...applied, configuration: undefined };
  t.regex(await refusalOf(t, taken, ofNobody, { assessment: whole }), /the log is empty/);
});

test('what a node has promised is forgotten with its log or its watermark, but for one without a cluster', (t) => {
  const identity = {
    formatVersion: 1,
    engine: 'rocksdb',
    clusterName: 'test',
    clusterId: 'c1',
    nodeId: 'n1',
    incarnation: 'i1',
  };
  const whole = { kind: 'whole' } as const;
  const lost = { kind: 'damaged', what: 'the watermark is missing', mark: undefined } as const;
  const mark = { term: 3, vote: 'n1', last: { index: 9, term: 3 } };
  const faultOf = (
    log: RecoveredLog,
    assessment: Assessment,
    clusterId: string | null = 'c1',
    applied = NOTHING_APPLIED,
  ): StorageError | undefined => {
    const state = { recovered: applied } as StateStore;
    const storage = {
      identity: { ...identity, clusterId },
      log: { store: LOG.store, recovered: log },
      state,
    };
    return forgottenPromise('/d', { ...storage, assessment });
  };
  const empty = logOf({ entries: [] }).recovered;
  const taken = logOf({ entries: [], hardState: { term: 0, vote: undefined, commit: 0 } }).recovered;
  t.is(faultOf(empty, whole)?.fault, 'damaged');
  t.is(faultOf(empty, whole, 'c1', appliedTo(9, 2))?.fault, 'damaged');
  t.is(faultOf(taken, whole, 'c1', appliedTo(9, 2)), undefined);
  t.is(faultOf(taken, { ...lost, mark }, 'c1', appliedTo(9, 2))?.fault, 'damaged');
  t.regex(
    faultOf(empty, whole)!.message,
    /^\/d is damaged: the log is empty, but the node belongs to the cluster c1; restore/,
  );
  t.regex(
    faultOf({ ...empty, hardState: { term: 3, vote: 'n1', commit: 0 } }, { ...lost, mark })!.message,
    /the watermark is missing/,
  );
  t.regex(faultOf(LOG.recovered, lost)!.message, /the watermark is missing/);
  for (const [log, assessment, clusterId] of [
    [empty, whole, null],
    [LOG.recovered, lost, null],
    [LOG.recovered, whole, 'c1'],
    [LOG.recovered, { ...lost, mark }, 'c1'],
    [taken, whole, 'c1'],
  ] as const) {
    t.is(faultOf(log, assessment, clusterId), undefined);
  }
});
