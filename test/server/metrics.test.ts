/** What a real node tells a scraper. */

import { readFileSync } from 'node:fs';

import test from 'ava';
import { startCluster } from '../integration/cluster.js';
import { createMetrics } from '../../server/metrics/metrics.js';
import { startNode } from './http/harness.js';

function metricsOfNothing(): ReturnType<typeof createMetrics> {
  return createMetrics({ node: () => undefined, snapshots: () => [], engine: () => [], tickMs: 10 });
}

test('a cluster tells of requests, consensus, disk and process', async (t) => {
  t.timeout(60_000);
  const cluster = await startCluster(t);
  const leader = await cluster.leader();
  const url = cluster.url(leader);
  await cluster.caughtUp();
  await fetch(`${url}/set`, { method: 'POST', body: '{"key":"a","value":"v"}' });
  await fetch(`${url}/kv/no/such/key`);
  const response = await fetch(`${url}/metrics`);
  t.is(response.status, 200);
  t.regex(String(response.headers.get('content-type')), /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  const value = (series: string): number => {
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
    t.truthy(line, `no series ${series}`);
    return Number(line?.slice(series.length + 1));
  };
  t.is(value('kv_http_requests_total{method="POST",route="/set",status="200"}'), 1);
  t.is(value('kv_http_requests_total{method="GET",route="/kv/{key}",status="404"}'), 1);
  t.is(value('kv_http_request_duration_seconds_count{method="POST",route="/set"}'), 1);
  t.true(value('kv_raft_term') >= 1);
  t.is(value('kv_raft_role{role="leader"}'), 1);
  t.is(value('kv_raft_role{role="follower"}'), 0);
  t.is(value('kv_raft_has_leader'), 1);
  t.is(value('kv_raft_commit_index'), value('kv_raft_applied_index'));
  t.is(value('kv_raft_elections_total{result="won"}'), 1);
  t.true(value('kv_raft_proposals_total') >= 1);
  t.true(value('kv_commands_applied_total') >= 1);
  t.is(value('kv_raft_pending_proposals'), 0);
  t.is(value('kv_keys'), 1);
  for (const peer of cluster.ids.filter((id) => id !== leader)) {
    t.is(value(`kv_raft_follower_lag_entries{peer="${peer}"}`), 0);
    t.true(value(`kv_raft_follower_last_contact_seconds{peer="${peer}"}`) < 5);
    t.true(value(`kv_raft_follower_inflight_appends{peer="${peer}"}`) >= 0);
  }
  t.true(value('kv_log_sync_duration_seconds_count') >= 1);
  t.true(value('kv_log_entries_written_total') >= 2);
  t.true(value('kv_apply_duration_seconds_count') >= 1);
  t.is(value('kv_snapshots'), 0);
  t.true(value('kv_engine_property{database="log",property="cur_size_all_mem_tables"}') > 0);
  t.true(value('kv_engine_property{database="state",property="estimate_num_keys"}') > 0);
  t.true(value('nodejs_eventloop_lag_p99_seconds') >= 0);
  t.true(value('process_resident_memory_bytes') > 1e6);
  const follower = cluster.ids.find((id) => id !== leader);
  const other = await (await fetch(`${cluster.url(follower ?? '')}/metrics`)).text();
  t.notRegex(other, /kv_raft_follower_lag_entries\{/);
});

test('whatever is asked for, the series stay few', async (t) => {
  const metrics = metricsOfNothing();
  const { url } = await startNode(t, { metrics });
  for (let i = 0; i < 50; i += 1) {
    await fetch(`${url}/kv/key${i}`);
    await fetch(`${url}/nowhere/${i}`);
  }
  await fetch(`${url}/kv/x`, { method: 'PROPFIND' });
  const text = await (await fetch(`${url}/metrics`)).text();
  const counted = text.split('\n').filter((line) => line.startsWith('kv_http_requests_total{'));
  t.deepEqual(counted.toSorted(), [
    'kv_http_requests_total{method="GET",route="/kv/{key}",status="404"} 50',
    'kv_http_requests_total{method="GET",route="other",status="404"} 50',
    'kv_http_requests_total{method="other",route="/kv/{key}",status="405"} 1',
  ]);
});

test('a snapshot is told of with its time and size, a change of leader once', async (t) => {
  const metrics = metricsOfNothing();
  metrics.snapshotMade(1500, 5000);
  const follower = { role: 'follower', leader: undefined } as const;
  metrics.standing({ role: 'follower', leader: 'a' }, { role: 'follower' });
  metrics.standing(follower, { role: 'follower' });
  metrics.standing({ role: 'follower', leader: 'a' }, { role: 'follower' });
  metrics.standing({ role: 'candidate', leader: undefined }, { role: 'follower' });
  metrics.standing({ role: 'leader', leader: 'b' }, { role: 'candidate' });
  const text = await metrics.text();
  t.regex(text, /^kv_snapshot_duration_seconds_sum 1\.5$/m);
  t.regex(text, /^kv_snapshot_size_bytes_sum 5000$/m);
  t.regex(text, /^kv_raft_leader_changes_total 1$/m);
  t.regex(text, /^kv_raft_elections_total\{result="begun"\} 1$/m);
  t.regex(text, /^kv_raft_elections_total\{result="won"\} 1$/m);
});

test('every series of the dashboard is one that a node tells', async (t) => {
  const metrics = metricsOfNothing();
  metrics.request('GET', '/get')(200, 0.001);
  const names = new Set(
    (await metrics.text()).split('\n').flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? []),
  );
  const dashboard = readFileSync('docs/grafana-dashboard.json', 'utf8');
  const used = new Set(dashboard.match(/\b(?:kv|process|nodejs)_[a-z0-9_]+/g));
  t.true(used.size > 20);
  for (const name of used)
    t.true(names.has(name.replace(/_(?:bucket|sum|count)$/, '')) || names.has(name), name);
});
