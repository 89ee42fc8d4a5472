/** Where the time of a write goes: the servers' own histograms, before and after a run. */

import { PATHS } from '../api/paths.js';
import { ask, type Cluster, type ClusterNode } from './cluster.js';
import { histogramsIn, merged, since, timesOf, type Histogram, type Times } from './metrics.js';

const STAGES = 'kv_write_stage_seconds';
const REQUESTS = 'kv_http_request_duration_seconds';
const FSYNC = 'kv_log_sync_duration_seconds';

/** What is known of one write on its leader; the names of the stages are the server's. */
export interface WriteTimes {
  /** One after the other, but for `sync`, which goes on beside `replicate`. */
  readonly stages: readonly { readonly stage: string; readonly times: Times }[];
  /** All of a request, from the parsed head to the answer. */
  readonly request: Times;
  /** One batch of the log on a follower's disk; undefined without followers. */
  readonly followerSync: Times | undefined;
}

interface Look {
  readonly leader: string;
  readonly followers: readonly string[];
}

/** Begins with a look at the histograms; the result takes the second look. Undefined when there is nothing to tell. */
export async function watchStages(
  { nodes }: Cluster,
  leader: ClusterNode,
): Promise<() => Promise<WriteTimes | undefined>> {
  const look = async (): Promise<Look> => {
    const metricsOf = async (node: ClusterNode): Promise<string> => (await ask(node, PATHS.metrics)).text;
    const followers = nodes.filter(({ id }) => id !== leader.id);
    const [own, ...others] = await Promise.all([leader, ...followers].map(metricsOf));
    return { leader: own ?? '', followers: others };
  };
  const before = await look();
  return async () => writeTimes(before, await look());
}

export function writeTimes(before: Look, after: Look): WriteTimes | undefined {
  const between = (early: string, late: string, name: string): Map<string, Histogram> => {
    const old = histogramsIn(early, name);
    return new Map(
      [...histogramsIn(late, name)].map(([labels, now]) => [labels, since(old.get(labels), now)]),
    );
  };
  const requests = between(before.leader, after.leader, REQUESTS).get(`method="POST",route="${PATHS.set}"`);
  const request = requests && timesOf(requests);
  if (request === undefined) return undefined;
  const stages = [...between(before.leader, after.leader, STAGES)].flatMap(([labels, histogram]) => {
    const times = timesOf(histogram);
    return times === undefined ? [] : [{ stage: /stage="([^"]*)"/.exec(labels)?.[1] ?? labels, times }];
  });
  const syncs = after.followers.flatMap((text, at) => {
    return [...between(before.followers[at] ?? '', text, FSYNC).values()];
  });
  const together = merged(syncs);
  return { stages, request, followerSync: together && timesOf(together) };
}

/** In a table's words. */
const TITLES: Readonly<Record<string, string>> = {
  queue: 'waits for the batch before it (queue)',
  sync: "on the leader's disk, fsync included (sync)",
  replicate: 'until a majority has it: network, disks of followers, commit (replicate)',
  apply: 'applied, and its answer made (apply)',
};

/** What goes on beside another stage, and adds nothing. */
const BESIDE = ['sync'];

interface Row {
  readonly what: string;
  readonly times: Times | undefined;
  readonly meanMs: number;
  readonly isBeside: boolean;
}

function rows({ stages, request, followerSync }: WriteTimes): Row[] {
  const sequence = stages.filter(({ stage }) => !BESIDE.includes(stage));
  const restMs = sequence.reduce((left, { times }) => left - times.meanMs, request.meanMs);
  const row = (what: string, times: Times, isBeside: boolean): Row => {
    return { what, times, meanMs: times.meanMs, isBeside };
  };
  return [
    ...stages.map(({ stage, times }) => row(TITLES[stage] ?? stage, times, BESIDE.includes(stage))),
    ...(followerSync === undefined
      ? []
      : [row("one batch on a follower's disk, fsync included", followerSync, true)]),
    { what: 'the rest: parse, check, propose, reply', times: undefined, meanMs: restMs, isBeside: false },
    row('the whole request in the server', request, false),
  ];
}

/** Lines of Markdown: a table of one run. */
export function stagesTable(times: WriteTimes): string[] {
  return [
    '| stage | mean ms | p50 ms | p99 ms | share of the mean |',
    '| --- | --- | --- | --- | --- |',
    ...rows(times).map(({ what, times: own, meanMs, isBeside }) => {
      const share = isBeside ? 'beside' : `${((100 * meanMs) / times.request.meanMs).toFixed(0)} %`;
      const cells = [
        what,
        meanMs.toFixed(2),
        own?.p50Ms.toFixed(2) ?? '',
        own?.p99Ms.toFixed(2) ?? '',
        share,
      ];
      return `| ${cells.join(' | ')} |`;
    }),
  ];
}
