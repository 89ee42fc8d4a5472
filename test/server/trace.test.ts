import test from 'ava';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ConfigError } from '../../configs/problem.js';
import type { TraceEvent } from '../../raft/trace.js';
import { fileTrace } from '../../server/trace.js';
import { load } from '../configs/fixture.js';

const event: TraceEvent = {
  name: 'BecomeCandidate',
  node: 'n2',
  state: { term: 3, vote: 'n2', commit: 4 },
  role: 'candidate',
  lastIndex: 5,
  electorate: [['n1', 'n2']],
};

test('every event is in the file, a line each, when the call returns; what was there stays', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'quorumkv-trace-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'trace.ndjson');
  const config = load(t, JSON.stringify({ raft: { nodeID: 'n1', traceFile: file } }));
  const lines = (): unknown[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line): unknown => JSON.parse(line));
  fileTrace(config, ['n1', 'n2'])?.(event);
  const written = {
    tag: 'trace',
    event: {
      name: 'BecomeCandidate',
      nid: '2',
      state: { term: 3, vote: '2', commit: 4 },
      role: 'StateCandidate',
      log: 5,
      conf: [['1', '2'], []],
    },
  };
  t.deepEqual(lines(), [written]);
  fileTrace(config, ['n1', 'n2'])?.({ ...event, node: 'n1', state: { ...event.state, vote: undefined } });
  t.like(lines()[1], { event: { nid: '1', state: { vote: '0' } } });
});

test('without a file there is no trace; one that can’t be written is told', (t) => {
  t.is(fileTrace(load(t, 'raft: { nodeID: n1 }'), ['n1']), undefined);
  const config = load(t, 'raft: { nodeID: n1, traceFile: /nowhere/at/all/trace.ndjson }');
  const error = t.throws(() => fileTrace(config, ['n1']), { instanceOf: ConfigError });
  t.regex(
    error.message,
    /raft\.traceFile: can't be written \(.*ENOENT.*\); give a file in an existing directory/,
  );
});
