/** How much of the machine somebody else used meanwhile: a benchmark beside other work measures that work too. */

import { readFileSync } from 'node:fs';

export interface CpuUse {
  /** Of all cores' time, what other processes used; 0 to 1. */
  readonly others: number;
}

interface Reading {
  readonly total: number;
  readonly busy: number;
  readonly own: number;
}

/**
 * Starts watching; the result ends it. `pids`: the processes that belong to the benchmark, beside this one and those of its
 * children that end meanwhile. Undefined where there is no /proc.
 */
export function watchCpu(pids: readonly number[]): () => CpuUse | undefined {
  const before = read(pids);
  return () => {
    const after = read(pids);
    if (before === undefined || after === undefined) return undefined;
    const total = after.total - before.total;
    if (total <= 0) return undefined;
    const others = after.busy - before.busy - (after.own - before.own);
    return { others: Math.max(0, others / total) };
  };
}

/** All in clock ticks. */
function read(pids: readonly number[]): Reading | undefined {
  try {
    const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '';
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = line
      .split(/\s+/)
      .slice(1)
      .map(Number);
    // Interrupts are nobody's: most of them are the network traffic of the benchmark itself.
    const busy = user + nice + system + steal;
    const own = pids.reduce((sum, pid) => sum + ticksOf(pid), ticksOf(process.pid));
    return { total: busy + idle + iowait + irq + softirq, busy, own };
  } catch {
    return undefined;
  }
}

/** User and system time of a process, with that of its children that have ended; proc_pid_stat(5). */
function ticksOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}
