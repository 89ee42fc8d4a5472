/** What the benchmarks make of histograms and of counts of the kernel, and that the README shows what was measured. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { ROOT } from '../../bench/cluster.js';
import { histogramsIn, merged, since, timesOf } from '../../bench/metrics.js';
import { blockIn, latestResults, MARKERS, readmeBlock, withBlock } from '../../bench/readme.js';
import { markdown } from '../../bench/report.js';
import { sentIn } from '../../bench/sockets.js';
import { stagesTable, writeTimes } from '../../bench/stages.js';

function histogram(
  name: string,
  labels: string,
  counts: readonly [number, number, number],
  sum: number,
): string {
  const inBraces = (bound: string): string => `{le="${bound}"${labels === '' ? '' : `,${labels}`}}`;
  const plain = labels === '' ? '' : `{${labels}}`;
  return [
    `# TYPE ${name} histogram`,
    ...['0.001', '0.01', '+Inf'].map((bound, at) => `${name}_bucket${inBraces(bound)} ${counts[at] ?? 0}`),
    `${name}_sum${plain} ${sum}`,
    `${name}_count${plain} ${counts[2]}`,
  ].join('\n');
}

test('what came to a histogram between two looks', (t) => {
  const [before, after] = [
    histogram('h', 'stage="queue"', [1, 1, 1], 0.0005),
    histogram('h', 'stage="queue"', [1, 9, 11], 0.1),
  ].map((text) => histogramsIn(`${text}\n${histogram('h2', '', [5, 5, 5], 1)}`, 'h').get('stage="queue"'));
  if (after === undefined) throw new Error('it is not found');
  const times = timesOf(since(before, after));
  t.is(times?.count, 10);
  t.is(times?.meanMs.toFixed(2), '9.95');
  // The fifth of eight between 1 and 10 ms.
  t.is(times?.p50Ms.toFixed(3), '6.625');
  t.is(times?.p99Ms, 10, 'above the last bound');
  t.is(timesOf(since(after, after)), undefined);
  t.is(merged([after, after])?.count, 22);
  t.is(merged([]), undefined);
});

const request = (count: number, sum: number): string =>
  histogram('kv_http_request_duration_seconds', 'method="POST",route="/set"', [0, count, count], sum);
const stage = (name: string, count: number, sum: number): string =>
  histogram('kv_write_stage_seconds', `stage="${name}"`, [0, count, count], sum);

test('the time of a write adds up, but for what goes on beside', (t) => {
  const fsync = histogram('kv_log_sync_duration_seconds', '', [0, 2, 2], 0.006);
  const after = [
    ...[request(10, 0.1), stage('queue', 1, 0.001), stage('sync', 1, 0.004), stage('replicate', 1, 0.006)],
    stage('apply', 1, 0.002),
  ].join('\n');
  const times = writeTimes({ leader: '', followers: ['', ''] }, { leader: after, followers: [fsync, fsync] });
  if (times === undefined) throw new Error('there is nothing');
  const text = stagesTable(times).join('\n');
  t.regex(text, /\(queue\) \| 1\.00 \|.*\| 10 % \|/);
  t.regex(text, /\(sync\) \| 4\.00 \|.*\| beside \|/);
  t.regex(text, /\(replicate\) \| 6\.00 \|.*\| 60 % \|/);
  t.regex(text, /follower's disk, fsync included \| 3\.00 \|/);
  t.regex(text, /the rest: .* \| 1\.00 \| {2}\| {2}\| 10 % \|/);
  t.regex(text, /the whole request in the server \| 10\.00 \|.*\| 100 % \|/);
});

test('a run without writes has no stages', (t) => {
  t.is(writeTimes({ leader: '', followers: [] }, { leader: '', followers: [] }), undefined);
});

test('what nodes sent each other is counted by process', (t) => {
  const line = (own: string, other: string, pid: number, bytes: number): string =>
    `0 0 ${own} ${other} users:(("node",pid=${pid},fd=9)) cubic rtt:1/1 bytes_sent:${bytes} bytes_acked:1 segs_out:9 data_segs_out:3 send 1bps`;
  const text = [
    line('127.0.0.1:1', '127.0.0.1:9', 7, 100),
    line('127.0.0.1:8', '127.0.0.1:2', 7, 10),
    line('127.0.0.1:2', '127.0.0.1:8', 8, 1),
    line('127.0.0.1:3', '127.0.0.1:4', 7, 1000),
    '0 0 127.0.0.1:1 127.0.0.1:9 bytes_sent:5',
  ].join('\n');
  t.deepEqual(
    [...(sentIn(text, new Set(['127.0.0.1:1', '127.0.0.1:2'])) ?? [])],
    [
      [7, { bytes: 110, segments: 6 }],
      [8, { bytes: 1, segments: 3 }],
    ],
  );
  t.is(sentIn('0 0 127.0.0.1:1 127.0.0.1:9 users:(("node",pid=7,fd=9)) cubic', new Set()), undefined);
});

test('the README shows the latest results', (t) => {
  const results = latestResults();
  const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  t.is(blockIn(readme), readmeBlock(results), 'npm run bench:readme writes it anew');
  const latest = readFileSync(path.join(ROOT, 'bench/results/latest.md'), 'utf8');
  t.is(latest, markdown(results), 'npm run bench:readme writes it anew');
});

test('a README without the markers is left alone', (t) => {
  const [begin, end] = MARKERS;
  t.is(withBlock(`a\n${begin}old\n${end}b`, 'new $& \n'), `a\n${begin}new $& \n${end}b`);
  t.throws(() => withBlock('nothing', 'new'), { message: /does not have the markers/ });
  t.throws(() => withBlock(`${begin}${end}${begin}${end}`, 'new'), { message: /does not have the markers/ });
});
