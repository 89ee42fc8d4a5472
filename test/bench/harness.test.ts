/** The benchmark itself: a short run on real processes, wrong answers that it must not count, and what it makes of figures. */

import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import type { ClusterNode } from '../../bench/cluster.js';
import { compare, spreadOf } from '../../bench/compare.js';
import { draw } from '../../bench/draw.js';
import { loadTool, runLoad } from '../../bench/load.js';
import { parseOptions } from '../../bench/options.js';
import { selfTimes, sideBySide, summarize } from '../../bench/profile.js';
import { markdown, type Results } from '../../bench/report.js';
import { runAll, type Run } from '../../bench/runs.js';
import { systemNamed, type SystemName } from '../../bench/systems.js';

const never = new AbortController().signal;

test('a short run: every workload, counted and checked', async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'quorumkv-bench-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const options = parseOptions([
    ...['--workloads', 'put,get,lease,stale,mix,sdk-put', '--connections', '4'],
    ...['--keys', '50', '--nodes', '1', '--seconds', '1', '--dir', dir],
  ]);
  const runs = await runAll(options, loadTool(), never, () => undefined);
  t.deepEqual(
    runs.map(({ workload }) => workload),
    ['put', 'get', 'lease', 'stale', 'mix', 'sdk-put'],
  );
  for (const { measured, system } of runs) {
    t.is(system, 'quorumkv');
    t.is(measured.errors, 0);
    t.true(measured.requests > 0);
    t.true(measured.p99Ms >= measured.p50Ms);
  }
});

/** Answers everything with 200 and what `answer` says; where it says nothing, with 503. */
async function liar(
  answer: (url: string) => string | undefined,
): Promise<{ server: Server; target: ClusterNode }> {
  const server = createServer((request, response) => {
    request.resume();
    const text = answer(request.url ?? '');
    response.statusCode = text === undefined ? 503 : 200;
    response.setHeader('Content-Type', 'application/json');
    response.end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { server, target: { id: 'liar', http: `127.0.0.1:${port}` } as ClusterNode };
}

const metrics = 'kv_commands_applied_total 1\n';
const value = 'v'.repeat(64);

test('an answer that does not hold the value is an error', async (t) => {
  let asked = 0;
  // Right for the first who look, wrong for the load.
  const { server, target } = await liar((url) => {
    if (url.startsWith('/metrics')) return metrics;
    asked += 1;
    return JSON.stringify({ value: asked <= 32 ? value : '' });
  });
  t.teardown(() => server.close());
  const load = {
    ...{ system: systemNamed('quorumkv'), workload: 'get' as const, data: { keys: 9, value } },
    ...{ targets: [target], connections: 1, seconds: 1 },
  };
  await t.throwsAsync(runLoad(loadTool(), load, never), { message: /wrong value|do not hold the values/ });
});

test('a write that is answered and not applied is an error', async (t) => {
  const { server, target } = await liar((url) =>
    url.startsWith('/metrics') ? metrics : JSON.stringify({ value }),
  );
  t.teardown(() => server.close());
  const load = {
    ...{ system: systemNamed('quorumkv'), workload: 'put' as const, data: { keys: 9, value } },
    ...{ targets: [target], connections: 1, seconds: 1 },
  };
  await t.throwsAsync(runLoad(loadTool(), load, never), { message: /only 0 writes were applied/ });
});

test('requests may fail as far as the load allows, and no further', async (t) => {
  for (const errorsMax of [undefined, 1, 2]) {
    let asked = 0;
    const { server, target } = await liar((url) => {
      if (url.startsWith('/metrics')) return metrics;
      asked += 1;
      // Behind those who look first.
      return asked === 33 || asked === 34 ? undefined : JSON.stringify({ value });
    });
    t.teardown(() => server.close());
    const load = {
      ...{ system: systemNamed('quorumkv'), workload: 'get' as const, data: { keys: 9, value } },
      ...{ targets: [target], connections: 1, seconds: 1, ...(errorsMax !== undefined && { errorsMax }) },
    };
    const running = runLoad(loadTool(), load, never);
    if (errorsMax === 2) t.is((await running).errors, 2);
    else await t.throwsAsync(running, { message: /^quorumkv, get: 2 of \d+ requests had no answer/ });
  }
});

function run(system: SystemName, round: number, requests: number): Run {
  return {
    ...{ system, round, workload: 'put', valueBytes: 256, connections: 64, leaderChanged: false },
    measured: { requests, seconds: 1, p50Ms: 1, p99Ms: 2, errors: 0 },
    cpu: { servers: 0.5, load: 0.1, others: 0.2, seconds: 2 },
  };
}

const runs = [run('quorumkv', 1, 300), run('etcd', 1, 100), run('quorumkv', 2, 400), run('etcd', 2, 200)];
const results: Results = {
  ...{ machine: 'a machine', command: 'npm run bench', date: 'today', nodes: 3, keys: 10, target: 'leader' },
  ...{ seconds: 1, peer: 'etcd', runs },
};

test('ratios are of neighbouring runs', (t) => {
  const [cell] = compare(runs);
  t.deepEqual(cell?.ratio, { median: 2.5, min: 2, max: 3 });
  t.is(cell?.rounds, 2);
  t.is(cell?.systems.quorumkv?.perSecond.median, 350);
  t.is(cell?.systems.quorumkv?.cpuMsPerRequest?.min, 1000 / 400);
  t.is(spreadOf([]), undefined);
});

test('the report tells of ratios, spread and others on the machine', (t) => {
  const text = markdown(results);
  t.regex(text, /\| put \| 256 \| 64 \| 350 \(300 to 400\) \|.* \*\*2\.50\*\* \(2\.00 to 3\.00\) \|/);
  t.regex(text, /something else used the CPU during 4 of 4 runs \(up to 20 %/);
});

test('results are drawn', (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'quorumkv-plots-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(path.join(directory, 'latest.json'), JSON.stringify(results));
  t.deepEqual(draw(directory), ['put-256-per-second.svg', 'put-256-p99.svg']);
});

test('a profile is summed up by room, package and file', (t) => {
  const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 9 });
  const times = selfTimes({
    nodes: [
      { id: 1, callFrame: frame('(idle)', '') },
      { id: 2, callFrame: frame('applyAll', 'file:///x/dist/kv/apply.js') },
      { id: 3, callFrame: frame('parse', 'file:///x/node_modules/@koa/router/dist/index.js') },
    ],
    samples: [1, 2, 2, 3],
    timeDeltas: [4_000_000, 1_000_000, 2_000_000, 1_000_000],
  });
  const text = summarize(times);
  t.regex(text, /busy 50 % of 8\.0 s/);
  t.regex(text, /kv +│ +75\.0/);
  t.regex(text, /npm @koa\/router +│ +25\.0/);
  t.regex(text, /applyAll apply\.js:10 \[kv\] +│ +75\.0/);
  const both = sideBySide([
    { role: 'leader', times },
    { role: 'follower', times: { ...times, files: new Map() } },
  ]);
  t.regex(both, /leader busy 50 % of 8\.0 s; follower busy 50 %/);
  t.regex(both, /kv\/apply\.js +│ +75\.0 │ +0\.0/);
});
