import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { configuration } from '../../membership/configuration.js';
import { StorageError } from '../../persistence/errors.js';
import { markState, readStateMark } from '../../persistence/state-mark.js';
import { endSuspicion, settleSuspicion, suspectState } from '../../server/suspicion.js';

const members = ['n1', 'n2', 'n3'].map((id) => ({
  ...{ id, incarnation: `of ${id}`, raft: 'h:1', rpc: 'h:2', http: 'h:3' },
  voter: true,
}));
const THREE = configuration('c1', members);

function directory(t: ExecutionContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'quorumkv-suspicion-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** n1 asks the others, which have applied so much. */
async function settle(dataDir: string, applied: Readonly<Record<string, number | undefined>>): Promise<void> {
  await settleSuspicion({
    ...{ dataDir, self: 'n1', configuration: THREE },
    control: {
      call: (id) =>
        applied[id] === undefined
          ? Promise.reject(new Error('away'))
          : Promise.resolve({ lastApplied: applied[id] }),
    },
  });
}

test('a state is wrong once a majority has applied what it could not', async (t) => {
  const dataDir = directory(t);
  suspectState(dataDir, 10, new Error('what is that'));
  const error = await t.throwsAsync(settle(dataDir, { n2: 10, n3: 12 }), { instanceOf: StorageError });
  t.regex(
    error.message,
    /up to entry 10 failed: what is that, but a majority .* its next start makes it anew/,
  );
  t.is(error.fault, 'damaged');
  t.is(readStateMark(dataDir)?.kind, 'diverged');
});

test('where the others have not got past it, or do not answer, the state is kept', async (t) => {
  const dataDir = directory(t);
  suspectState(dataDir, 10, new Error('what is that'));
  for (const applied of [{ n2: 9, n3: 9 }, { n2: 12, n3: 9 }, { n2: 12 }, {}]) {
    await t.notThrowsAsync(settle(dataDir, applied));
    t.like(readStateMark(dataDir), { kind: 'suspect', index: 10 });
  }
});

test('a suspicion ends with what it was about, and no other mark ends with it', async (t) => {
  const dataDir = directory(t);
  await t.notThrowsAsync(settle(dataDir, { n2: 10, n3: 10 }));
  suspectState(dataDir, 10, new Error('what is that'));
  await endSuspicion(dataDir);
  t.is(readStateMark(dataDir), undefined);
  markState(dataDir, { kind: 'damaged', what: 'a row' });
  await endSuspicion(dataDir);
  t.is(readStateMark(dataDir)?.kind, 'damaged');
});
