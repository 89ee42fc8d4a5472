/** Who used the machine meanwhile: a benchmark beside other work measures that work too. */

import { readFileSync } from 'node:fs';
import { cpuTicks } from './processes.js';

/** Shares of all cores' time; 0 to 1. */
export interface CpuUse {
  /** The servers that are measured. */
  readonly servers: number;
  /** The benchmark itself: this process and the load. */
  readonly load: number;
  /** Every other process, idle servers of the benchmark left out. */
  readonly others: number;
  /** The seconds that all cores had together. */
  readonly seconds: number;
}

interface Reading {
  readonly total: number;
  readonly busy: number;
  readonly servers: number;
  readonly idlers: number;
  readonly load: number;
}

const TICKS_PER_SECOND = 100;

/**
 * Starts watching; the result ends it. The load is what this process and those of its children use that end meanwhile. Undefined where
 * there is no /proc.
 *
 * @param servers the processes that are measured
 * @param idlers those that belong to the benchmark, too
 */
export function watchCpu(
  servers: readonly number[],
  idlers: readonly number[] = [],
): () => CpuUse | undefined {
  const before = read(servers, idlers);
  return () => {
    const after = read(servers, idlers);
    if (before === undefined || after === undefined) return undefined;
    const used = (part: keyof Reading): number => Math.max(0, after[part] - before[part]);
    const total = used('total');
    if (total <= 0) return undefined;
    const others = used('busy') - used('servers') - used('idlers') - used('load');
    return {
      servers: used('servers') / total,
      load: used('load') / total,
      others: Math.max(0, others) / total,
      seconds: total / TICKS_PER_SECOND,
    };
  };
}

/** All in clock ticks. */
function read(servers: readonly number[], idlers: readonly number[]): Reading | undefined {
  try {
    const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '';
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = line
      .split(/\s+/)
      .slice(1)
      .map(Number);
    // Interrupts are nobody's: most of them are the network traffic of the benchmark itself.
    const busy = user + nice + system + steal;
    const sum = (pids: readonly number[]): number => pids.reduce((ticks, pid) => ticks + cpuTicks(pid), 0);
    return {
      total: busy + idle + iowait + irq + softirq,
      busy,
      servers: sum(servers),
      idlers: sum(idlers),
      load: cpuTicks(process.pid),
    };
  } catch {
    return undefined;
  }
}
