/** What a run looks like to people. */

import { readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem, type } from 'node:os';
import Table from 'cli-table3';
import type { CpuUse } from './cpu.js';
import type { Measured, Tool } from './load.js';
import { TITLES, type Workload } from './workloads.js';

/** Below this, others disturb less than one run differs from the next. */
const DISTURBED_SHARE = 0.05;

export interface Row {
  readonly workload: Workload;
  readonly connections: number;
  readonly measured: Measured;
  readonly cpu: CpuUse | undefined;
  /** Another node led at the end than at the beginning. */
  readonly leaderChanged: boolean;
}

export function machine(tool: Tool): string {
  const cores = cpus();
  const model = cores[0]?.model.trim() ?? '';
  const memoryGiB = (totalmem() / 2 ** 30).toFixed(0);
  return [
    `${cores.length} cores${model === '' ? '' : ` (${model})`}, ${memoryGiB} GiB`,
    `${type()} ${release()} ${arch()}`,
    `Node.js ${process.versions.node}`,
    `quorumkv ${version()}`,
    `load by ${tool}`,
  ].join('; ');
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

export function table(rows: readonly Row[]): string {
  const drawn = new Table({
    head: ['', 'connections', 'per second', 'p50 ms', 'p99 ms', 'errors', 'others on the CPU'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { workload, connections, measured, cpu } of rows) {
    drawn.push([
      TITLES[workload],
      connections,
      Math.round(measured.requests / measured.seconds).toLocaleString('en'),
      measured.p50Ms.toFixed(2),
      measured.p99Ms.toFixed(2),
      measured.errors,
      cpu === undefined ? '?' : `${(100 * cpu.others).toFixed(0)} %`,
    ]);
  }
  return drawn.toString();
}

/** What makes the figures worth less than they look; a line each. */
export function warnings(rows: readonly Row[]): string[] {
  const lines: string[] = [];
  const disturbed = rows.filter(({ cpu }) => cpu !== undefined && cpu.others > DISTURBED_SHARE);
  if (disturbed.length > 0) {
    const most = Math.max(...disturbed.map(({ cpu }) => cpu?.others ?? 0));
    lines.push(
      `Warning: something else used the CPU during ${disturbed.length} of ${rows.length} runs (up to ${(100 * most).toFixed(0)} % of all cores): the figures are too low.`,
    );
  }
  const changed = rows.filter((row) => row.leaderChanged).length;
  if (changed > 0) lines.push(`Warning: the leader changed during ${changed} of ${rows.length} runs.`);
  const errors = rows.reduce((sum, { measured }) => sum + measured.errors, 0);
  if (errors > 0) lines.push(`Failed: ${errors} requests had no answer, or one that was not 2xx.`);
  return lines;
}

/** True when every request was answered as it should be, and there were any. */
export function isSound(rows: readonly Row[]): boolean {
  return rows.every(({ measured }) => measured.errors === 0 && measured.requests > 0);
}
