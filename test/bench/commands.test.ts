/** Each command of the benchmarks in a tiny form, on real processes, and what it makes of figures. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ROOT } from '../../bench/cluster.js';
import { watchCpu } from '../../bench/cpu.js';
import { failoverOptions, failoverTable, measureFailovers } from '../../bench/failover.js';
import { followerOptions, followerTable, measureFollowers } from '../../bench/follower.js';
import { idleOptions, idleTable, watchIdle } from '../../bench/idle.js';
import { loadTool } from '../../bench/load.js';
import { diskBytes, processUse } from '../../bench/processes.js';
import { measureDimension, scaleOptions } from '../../bench/scale.js';
import { scaleMarkdown } from '../../bench/scale-report.js';
import { driftTable, minuteRow, type Minute } from '../../bench/steady-report.js';
import { measureSteadily, steadyOptions } from '../../bench/steady.js';

const never = new AbortController().signal;
const quiet = (): void => undefined;
/** Nodes start and are killed beside other tests. */
const PATIENCE_MS = 120_000;

function directory(t: ExecutionContext): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'quorumkv-bench-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('each command says what it takes, and refuses what it does not know', (t) => {
  for (const name of ['main', 'follower', 'failover', 'scale', 'idle', 'steady', 'memory']) {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [path.join(ROOT, `dist/bench/${name}.js`), ...args], { encoding: 'utf8' });
    const help = run('--help');
    t.is(help.status, 0, name);
    t.regex(help.stdout, /^Usage: npm run bench/, name);
    t.is(run('--unknown').status, 1, name);
  }
});

test.serial('a follower that is dead, or slow', async (t) => {
  t.timeout(PATIENCE_MS);
  const dir = directory(t);
  const args = [
    '--only',
    'dead,slow',
    '--seconds',
    '1',
    '--rounds',
    '1',
    '--keys',
    '50',
    '--connections',
    '4',
  ];
  const pairs = await measureFollowers(followerOptions([...args, '--dir', dir]), loadTool(), never, quiet);
  t.deepEqual(
    pairs.map(({ disturbance }) => disturbance),
    ['dead', 'slow'],
  );
  for (const { healthy, disturbed } of pairs) {
    t.true(healthy.measured.requests > 0);
    t.true(disturbed.measured.requests > 0);
  }
  t.regex(followerTable(pairs).join('\n'), /\| quorumkv \| killed \(kill -9\) \|.* \*\*\d+\.\d\d\*\* \|/);
  t.deepEqual(readdirSync(dir), [], 'nothing is left behind');
});

test.serial('the leader is killed', async (t) => {
  t.timeout(PATIENCE_MS);
  const options = failoverOptions(['--kills', '1', '--dir', directory(t)]);
  const all = await measureFailovers(options, never, quiet);
  t.regex(failoverTable(all).join('\n'), /\| quorumkv \| 1 \| \d+ \| \d+ \| \d+ \|/);
});

test.serial('one dimension at a time; a point that cannot be measured says why', async (t) => {
  t.timeout(PATIENCE_MS);
  const dir = directory(t);
  const args = ['--dimension', 'values', '--only', '16,2000000', '--nodes', '1', '--keys', '50'];
  const options = scaleOptions([
    ...args,
    '--seconds',
    '1',
    '--rounds',
    '1',
    '--connections',
    '4',
    '--dir',
    dir,
  ]);
  const points = await measureDimension('values', options, loadTool(), never, quiet);
  t.deepEqual(
    points.map(({ value, keys, runs }) => [value, keys, runs.length]),
    [
      [16, 50, 2],
      [2_000_000, 50, 0],
    ],
  );
  const { nodes, keys, size, connections, target, seconds, rounds } = options;
  const text = scaleMarkdown([
    {
      ...{ dimension: 'values', points, machine: 'a machine', command: 'npm run bench:scale', date: 'today' },
      ...{ nodes, keys, size, connections, target, seconds, rounds },
    },
  ]);
  t.regex(text, /\| 16 \| 50 \| put \| [\d,]+ \|.* \| 1\.00 \|/);
  t.regex(text, /\| 2,000,000 \| 50 \| not measured: .*413/);
});

test.serial('an idle cluster', async (t) => {
  t.timeout(PATIENCE_MS);
  const options = idleOptions(['--seconds', '1', '--settle', '1', '--keys', '50', '--dir', directory(t)]);
  const idle = await watchIdle('quorumkv', options, never);
  t.is(idle.nodes.length, 3);
  t.is(idle.nodes.filter(({ role }) => role === 'leader').length, 1);
  for (const { residentBytes, contextSwitches, sentBytes } of idle.nodes) {
    t.true(residentBytes > 2 ** 20);
    t.true(contextSwitches > 0);
    // Heartbeats and their answers; undefined where there is no `ss`.
    t.true(sentBytes === undefined || sentBytes > 0);
  }
  t.regex(idleTable([idle]).join('\n'), /\| quorumkv \| node1, \w+ \| \d+\.\d\d \|/);
});

test.serial('a steady load, at the pace of its answers and at its own', async (t) => {
  t.timeout(PATIENCE_MS);
  for (const pace of [[], ['--rate', '50']]) {
    const args = ['--minutes', '1', '--every', '1', '--nodes', '1', '--keys', '50', '--connections', '4'];
    const options = steadyOptions([...args, ...pace, '--dir', directory(t)]);
    const enough = new AbortController();
    const lines: Minute[] = [];
    await t.throwsAsync(
      measureSteadily(options, loadTool(), enough.signal, (minute) => {
        lines.push(minute);
        enough.abort(new Error('enough'));
      }),
    );
    t.is(lines.length, 1);
    for (const { perSecond, residentBytes, diskBytes: disks } of lines) {
      t.true(pace.length === 0 ? perSecond > 0 : perSecond <= 50);
      t.true((residentBytes[0] ?? 0) > 2 ** 20);
      t.true((disks[0] ?? 0) > 0);
    }
  }
});

test('the drift is that of the last third from the first', (t) => {
  const minutes = Array.from({ length: 7 }, (_, at): Minute => {
    const bytes = [(at + 1) * 2 ** 20];
    const figures = { perSecond: 1000 - 100 * at, p50Ms: 1, p99Ms: 2, errors: 0, others: 0 };
    return { line: at + 1, ...figures, residentBytes: bytes, diskBytes: bytes };
  });
  const text = driftTable(minutes).join('\n');
  t.regex(text, /\| per second \| 950 \| 450 \| 0\.47 \|/);
  t.regex(text, /\| resident MiB of node1 \| 2 \| 7 \| 4\.33 \|/);
  t.regex(driftTable(minutes.slice(0, 2)).join('\n'), /too few/);
  t.is(minutes.slice(0, 1).map(minuteRow).join(''), '| 1 | 1,000 | 1.00 | 2.00 | 0 | 1 | 1 | 0 % |');
});

test('a busy loop beside the servers is told of, and one that is a server is not', async (t) => {
  const busy = spawn(process.execPath, ['-e', 'process.stdout.write("on"); for (;;);'], { stdio: 'pipe' });
  t.teardown(() => busy.kill('SIGKILL'));
  await once(busy.stdout, 'data');
  const pid = busy.pid ?? 0;
  const endAsOther = watchCpu([]);
  const endAsServer = watchCpu([pid]);
  const before = processUse(pid).cpuSeconds;
  const used = (): number => processUse(pid).cpuSeconds - before;
  // By its own time: how long that takes hangs on who else is there.
  while (used() < 0.5) await new Promise((resolve) => setImmediate(resolve));
  const [asOther, asServer] = [endAsOther(), endAsServer()];
  if (asOther === undefined || asServer === undefined) throw new Error('there is no /proc');
  t.true(asOther.others * asOther.seconds >= 0.4, `${asOther.others} of ${asOther.seconds} s`);
  t.is(asOther.servers, 0);
  t.true(asServer.servers * asServer.seconds >= 0.4, `${asServer.servers} of ${asServer.seconds} s`);
  t.true(asServer.others < asOther.others);
});

test('what a directory takes of the disk', (t) => {
  const dir = directory(t);
  t.is(diskBytes(path.join(dir, 'none')), 0);
  writeFileSync(path.join(dir, 'file'), 'x'.repeat(100_000));
  t.true(diskBytes(dir) >= 100_000);
});

test('the README names every command', (t) => {
  const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  const { scripts } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const name of Object.keys(scripts).filter((script) => script.startsWith('bench')))
    t.true(readme.includes(`\`npm run ${name}`), name);
});
