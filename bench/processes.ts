/** What the processes of servers use, as Linux tells it. */

import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** All but the memory counts up from the start of the process. */
export interface ProcessUse {
  readonly cpuSeconds: number;
  readonly contextSwitches: number;
  /** What it caused to be written to the disk. */
  readonly writtenBytes: number;
  readonly residentBytes: number;
}

const TICKS_PER_SECOND = 100;

const numberIn = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);

/** Throws where there is no /proc, and for a process that has gone. */
export function processUse(pid: number): ProcessUse {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    cpuSeconds: cpuTicks(pid) / TICKS_PER_SECOND,
    contextSwitches: contextSwitches(pid),
    writtenBytes: numberIn(readFileSync(`/proc/${pid}/io`, 'utf8'), /^write_bytes: (\d+)/m),
    residentBytes: numberIn(status, /^VmRSS:\s+(\d+) kB/m) * 1024,
  };
}

/** User and system time of a process, with that of its children that have ended; proc_pid_stat(5). */
export function cpuTicks(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}

/** Of all threads: each of them has a count of its own. */
function contextSwitches(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readUnlessGone(`/proc/${pid}/task/${thread}/status`);
    if (text === undefined) continue;
    sum += numberIn(text, /^voluntary_ctxt_switches:\s+(\d+)/m);
    sum += numberIn(text, /^nonvoluntary_ctxt_switches:\s+(\d+)/m);
  }
  return sum;
}

function readUnlessGone(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** `ESRCH`: a thread that ends while its file is read. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH');
}

/** What a directory takes of the disk; files that go meanwhile count as nothing. */
export function diskBytes(directory: string): number {
  const BLOCK_BYTES = 512;
  let entries;
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (isGone(error)) return 0;
    throw error;
  }
  return entries.reduce((sum, entry) => {
    const name = path.join(directory, entry.name);
    if (entry.isDirectory()) return sum + diskBytes(name);
    return sum + (lstatSync(name, { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK_BYTES;
  }, 0);
}
