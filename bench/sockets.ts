/** What nodes have sent each other: the kernel's counts of each connection, as `ss` shows them. */

import { spawnSync } from 'node:child_process';
import type { ClusterNode } from './cluster.js';

export interface Sent {
  readonly bytes: number;
  readonly segments: number;
}

/**
 * By process, over its connections to and from other nodes since these began. A connection that ends takes its count along; those of nodes
 * last. Undefined where `ss` is missing or does not count.
 */
export function sentBetween(
  nodes: readonly Pick<ClusterNode, 'rpc' | 'raft'>[],
): Map<number, Sent> | undefined {
  const { stdout, status, error } = spawnSync('ss', ['-tinpHO', 'state', 'established'], {
    encoding: 'utf8',
  });
  if (error !== undefined || status !== 0) return undefined;
  return sentIn(stdout, new Set(nodes.flatMap(({ rpc, raft }) => [rpc, raft])));
}

/** From lines of `ss -tinpHO`. `addresses`: those that nodes listen on for each other. */
export function sentIn(text: string, addresses: ReadonlySet<string>): Map<number, Sent> | undefined {
  const sent = new Map<number, Sent>();
  let counts = false;
  for (const line of text.split('\n')) {
    const [, , own = '', other = ''] = line.trim().split(/\s+/);
    const bytes = /\bbytes_sent:(\d+)/.exec(line)?.[1];
    counts ||= bytes !== undefined;
    const pid = /\bpid=(\d+)/.exec(line)?.[1];
    if (pid === undefined || !(addresses.has(own) || addresses.has(other))) continue;
    const before = sent.get(Number(pid));
    const segments = /\bdata_segs_out:(\d+)/.exec(line)?.[1] ?? '0';
    sent.set(Number(pid), {
      bytes: (before?.bytes ?? 0) + Number(bytes ?? 0),
      segments: (before?.segments ?? 0) + Number(segments),
    });
  }
  return counts ? sent : undefined;
}
